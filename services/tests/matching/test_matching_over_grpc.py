"""Matching as devices see it: real gRPC, real store, the log in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from inyeon.runtime.identity.claims import AgeBand
from inyeon.runtime.identity.tokens import audience_of
from inyeon_protos.common.v1.identity_pb2 import MatchGrant
from inyeon_protos.matching.v1 import matching_pb2 as pb
from inyeon_protos.matching.v1.matching_pb2_grpc import PoolServiceStub

pytestmark = pytest.mark.integration


async def seeking(stage: Any, user: str, wish: pb.Wish, **facts: Any) -> Any:
    """A device that is open, beats and seeks."""
    device = await stage.device(user, **facts).open()
    device.keep_beating()
    await device.seek(wish)
    return device


async def matched(stage: Any, wish: Any) -> tuple[Any, Any, Any, Any]:
    """Two devices and what they were told of their match."""
    ana = await seeking(stage, "ana", wish("es"), country="ES")
    bob = await seeking(stage, "bob", wish("en"), country="US")
    return ana, bob, await ana.hear("matched"), await bob.hear("matched")


async def test_two_languages_meet_by_interest_and_are_told_why(stage: Any, wish: Any) -> None:
    _, _, told_ana, told_bob = await matched(stage, wish)
    assert told_ana.match_id == told_bob.match_id
    assert (told_ana.partner.partner_id, told_bob.partner.partner_id) == ("bob", "ana")
    assert told_ana.partner.country == "US"
    assert told_ana.offers != told_bob.offers
    reasons = {(one.reason, one.detail): one.strength for one in told_ana.reasons}
    assert reasons[pb.MATCH_REASON_INTERESTS, ""] == pytest.approx(1.0, abs=1e-3)
    assert (pb.MATCH_REASON_TRANSLATED, "en-es") in reasons
    grant = MatchGrant.FromString(told_ana.grant.payload)
    assert (grant.user_id, grant.partner_id, grant.match_id) == ("ana", "bob", told_ana.match_id)
    assert list(grant.user_languages) == ["es"] and list(grant.partner_languages) == ["en"]
    assert grant.expires_at.seconds - grant.issued_at.seconds == 120


async def test_a_double_tap_makes_one_ticket(stage: Any, wish: Any) -> None:
    device = await stage.device("ana").open()
    device.keep_beating()
    first = await device.send(wish=wish())
    second = await device.send(wish=wish("es"))
    await device.until(lambda: device.acknowledged >= max(first, second))
    tickets = {(await device.hear("queued")).ticket_id for _ in range(2)}
    assert len(tickets) == 1


async def test_alone_is_told_so_and_then_that_nobody_fits(stage: Any, wish: Any) -> None:
    ana = await seeking(stage, "ana", wish("es"))
    await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    await seeking(stage, "ken", wish("ja"))
    told = await ana.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)
    assert told.candidates == 0


async def test_a_block_survives_a_new_account_on_the_same_device(stage: Any, wish: Any) -> None:
    ana = await seeking(stage, "ana", wish(), device_key="phone-a")
    bob = await seeking(stage, "bob", wish(), device_key="phone-b")
    await ana.hear("matched")
    await stage.edge("ana", "bob")
    assert (await bob.hear("match_over")).reason == pb.END_REASON_REPORTED
    again = await seeking(stage, "bob-again", wish(), device_key="phone-b")
    await ana.seek(wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)
    await again.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)
    other = await seeking(stage, "ana-too", wish(), device_key="phone-a")
    await other.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)  # nor ana's own device, nor bob's


async def flood(device: Any) -> grpc.aio.AioRpcError:
    """What ends a stream on which far too much is said."""
    await device.open()
    for _ in range(300):
        if device.error is not None:
            break
        try:
            await device.send(cancel=pb.Cancel())
            await asyncio.sleep(0.002)  # a write on a stream that has just ended hides the answer
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            break
    await device.until(lambda: device.error is not None)
    error: grpc.aio.AioRpcError = device.error
    return error


async def test_a_flood_of_one_user_ends_their_stream_and_nobody_elses(
    stage: Any, wish: Any
) -> None:
    ana = await seeking(stage, "ana", wish())
    for _ in range(5):
        error = await flood(stage.device("eve"))
        # Whoever writes while the stream ends may fail before the answer was read.
        if error.code() is not grpc.StatusCode.INTERNAL:
            break
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "RATE_LIMITED" in str(error.trailing_metadata())
    await seeking(stage, "bob", wish())
    await ana.hear("matched")


async def test_a_country_that_does_not_exist_is_refused(stage: Any, wish: Any) -> None:
    ana = await stage.device("ana").open()
    await ana.send(wish=wish(countries=["FR", "ZZ"]))
    await ana.until(lambda: ana.error is not None)
    assert ana.error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "COUNTRY_UNKNOWN" in str(ana.error.trailing_metadata())


async def test_both_are_asked_where_the_operator_says_so(stages: Any, wish: Any) -> None:
    stage = await stages(accept_within_s=20)
    ana = await seeking(stage, "ana", wish())
    bob = await seeking(stage, "bob", wish())
    asked = await ana.hear("proposed")
    assert asked.partner.partner_id == "bob" and 0 < asked.answer_within.seconds <= 20
    await ana.send(accept=pb.Accept(match_id=asked.match_id))
    assert (await ana.hear("proposed")).accepted
    await bob.send(decline=pb.Decline(match_id=asked.match_id))
    for device in (ana, bob):
        assert (await device.hear("match_over")).reason == pb.END_REASON_DECLINED
    await ana.hear("queued")  # without asking
    cid = await seeking(stage, "cid", wish())
    again = await ana.hear("proposed")
    for device in (ana, cid):
        await device.send(accept=pb.Accept(match_id=again.match_id))
    for device in (ana, cid):
        assert MatchGrant.FromString((await device.hear("matched")).grant.payload).user_id


async def test_who_asks_why_is_told_what_a_filter_costs_and_a_plan_drops_it(
    stage: Any, wish: Any
) -> None:
    plan = [pb.WideningStep(after_s=1, drops=pb.FILTER_COUNTRIES)]
    zoe = await seeking(stage, "zoe", wish(countries=["FR"]))
    await seeking(stage, "ana", wish(countries=["FR"], widening=plan))
    costs: list[pb.FilterCost] = []
    for _ in range(50):  # ana may not be in the pool yet
        await zoe.send(why_waiting=pb.WhyWaiting())
        costs = list((await zoe.hear("queued")).filter_costs)
        if costs:
            break
    assert [(one.filter, one.more_people) for one in costs] == [(pb.FILTER_COUNTRIES, 1)]
    bob = await seeking(stage, "bob", wish(), country="DE")
    assert (await bob.hear("matched")).partner.partner_id == "ana"


async def test_who_is_away_waits_paused_until_somebody_comes(stage: Any, wish: Any) -> None:
    empty = stage.device("room")
    empty.present = False
    await empty.open()
    empty.keep_beating()
    await empty.seek(wish())
    await empty.hear("paused", reason=pb.WAIT_REASON_AWAY)
    ana = await seeking(stage, "ana", wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)
    empty.present = True
    await empty.hear("matched")
    await ana.hear("matched")


async def test_who_is_distracted_is_told_apart_from_who_is_away(stage: Any, wish: Any) -> None:
    ana = await stage.device("ana").open()
    await ana.seek(wish())
    for _ in range(2):
        beat = pb.Heartbeat(
            safety_pass=stage.safety_pass("ana"),
            present=True,  # said too, but attention is newer
            attention=pb.ATTENTION_DISTRACTED,
        )
        await ana.send(heartbeat=beat)
    await ana.hear("paused", reason=pb.WAIT_REASON_DISTRACTED)


async def test_without_a_pass_nobody_is_proposed(stage: Any, wish: Any) -> None:
    ana = stage.device("ana")
    ana.passed = False
    await ana.open()
    ana.keep_beating()
    await ana.seek(wish())
    await ana.hear("paused", reason=pb.WAIT_REASON_NO_SAFETY_PASS)
    ana.passed = True
    await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)


async def test_protect_ends_the_match_and_keeps_out_until_clear(stage: Any, wish: Any) -> None:
    ana, bob, told, _ = await matched(stage, wish)
    await stage.verdict("bob", "PROTECT")
    over = await ana.hear("match_over")
    assert (over.match_id, over.reason, over.by_me) == (
        told.match_id,
        pb.END_REASON_POLICY,
        False,
    )
    await bob.hear("match_over", reason=pb.END_REASON_POLICY)
    await bob.seek(wish("en"))
    await bob.hear("paused", reason=pb.WAIT_REASON_NOT_CLEAR)
    cid = await seeking(stage, "cid", wish("es"))
    await cid.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)
    await stage.verdict("bob", "CLEAR")
    met = await bob.hear("matched")
    assert met.partner.partner_id == "cid"


async def test_the_innocent_side_meets_the_third(stage: Any, wish: Any) -> None:
    ana, _, _, _ = await matched(stage, wish)
    await stage.verdict("bob", "PROTECT")
    await ana.hear("match_over")
    await ana.seek(wish("es"))
    await seeking(stage, "cid", wish("en"))
    assert (await ana.hear("matched")).partner.partner_id == "cid"


async def test_leaving_ends_it_for_both_and_the_two_do_not_meet_again(
    stage: Any, wish: Any
) -> None:
    ana, bob, told, _ = await matched(stage, wish)
    left = pb.EndMatch(match_id=told.match_id, reason=pb.END_REASON_LEFT)
    await ana.send(end_match=left)
    assert (await ana.hear("match_over")).by_me
    assert not (await bob.hear("match_over", reason=pb.END_REASON_LEFT)).by_me
    await ana.seek(wish("es"))
    await bob.seek(wish("en"))
    await ana.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)
    await bob.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)


async def test_a_block_ends_the_match_at_once(stage: Any, wish: Any) -> None:
    ana, bob, _, _ = await matched(stage, wish)
    await stage.edge("ana", "bob")
    assert (await ana.hear("match_over")).reason == pb.END_REASON_REPORTED
    await bob.hear("match_over", reason=pb.END_REASON_REPORTED)


async def test_cancel_ends_the_ticket(stage: Any, wish: Any) -> None:
    ana = await seeking(stage, "ana", wish())
    ticket = (await ana.hear("queued")).ticket_id
    await ana.send(cancel=pb.Cancel())
    gone = await ana.hear("cancelled")
    assert (gone.ticket_id, gone.reason) == (ticket, "CANCELLED")
    await ana.send(cancel=pb.Cancel())
    assert (await ana.hear("cancelled")).ticket_id == ""


async def test_a_killed_service_keeps_the_match_and_the_ticket(stage: Any, wish: Any) -> None:
    ana, bob, told, _ = await matched(stage, wish)
    dora = await seeking(stage, "dora", wish("ja"))
    ticket = (await dora.hear("queued")).ticket_id
    for device in (ana, bob, dora):
        await device.close()
    await stage.kill()
    await stage.start()
    for device in (ana, bob):
        device.news.clear()
        await device.open()
        again = await device.hear("matched")
        assert again.match_id == told.match_id
        assert MatchGrant.FromString(again.grant.payload).user_id == device.user
    dora.news.clear()
    await dora.open()
    dora.keep_beating()
    assert (await dora.hear("queued")).ticket_id == ticket
    await seeking(stage, "kenji", wish("ja"))
    assert (await dora.hear("matched")).partner.partner_id == "kenji"


async def test_minors_and_adults_and_the_undeclared_do_not_meet(stage: Any, wish: Any) -> None:
    bands = (AgeBand.ADULT, AgeBand.MINOR, AgeBand.UNKNOWN, AgeBand.UNKNOWN)
    devices = [
        await seeking(stage, f"user-{number}", wish(), age_band=band)
        for number, band in enumerate(bands)
    ]
    for device, band in zip(devices, bands, strict=True):
        unknown = band is AgeBand.UNKNOWN
        told = pb.WAIT_REASON_AGE_UNKNOWN if unknown else pb.WAIT_REASON_NO_ONE_FITS
        await device.hear("queued", reason=told)
    await seeking(stage, "other-minor", wish(), age_band=AgeBand.MINOR)
    assert (await devices[1].hear("matched")).partner.partner_id == "other-minor"


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda w: w.interests.__setattr__("data", b"123"), "wish.interests.data"),
        (lambda w: w.interests.__setattr__("data", bytes(4)), "wish.interests.data"),
        (lambda w: w.genders.append(0), "wish.genders"),
        (lambda w: w.languages.append(w.languages[0]), "wish.languages"),
        (lambda w: w.languages[0].__setattr__("tag", "english"), "wish.languages[0].tag"),
        (lambda w: w.widening.add(after_s=5, drops=9), "wish.widening[0].drops"),
        (lambda w: w.widening.add(after_s=5, drops=4), "wish.widening[0].drops"),
        (lambda w: w.widening.add(after_s=0, drops=1), "wish.widening[0].after_s"),
        (lambda w: w.interests.space.ClearField("encoding"), "wish.interests.space.encoding"),
    ],
)
async def test_a_wish_that_cannot_be_is_refused_naming_the_field(
    stage: Any, wish: Any, spoil: Any, field: str
) -> None:
    bad = wish()
    spoil(bad)
    device = await stage.device("ana").open()
    await device.send(wish=bad)
    await device.until(lambda: device.error is not None)
    assert device.error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in str(dict(device.error.trailing_metadata()))


async def test_a_pass_of_somebody_else_is_refused(stage: Any) -> None:
    device = await stage.device("ana").open()
    beat = pb.Heartbeat(present=True, safety_pass=stage.safety_pass("bob"))
    await device.send(heartbeat=beat)
    await device.until(lambda: device.error is not None)
    assert device.error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "WRONG_USER" in str(dict(device.error.trailing_metadata()))


async def test_a_second_device_takes_over_the_one_ticket(stage: Any, wish: Any) -> None:
    phone = await seeking(stage, "ana", wish())
    ticket = (await phone.hear("queued")).ticket_id
    laptop = stage.device("ana")
    laptop.session = "on-the-laptop"
    await laptop.open()
    assert (await laptop.hear("queued")).ticket_id == ticket
    await phone.until(lambda: phone.ending is not None)
    await laptop.seek(wish())
    assert (await laptop.hear("queued")).ticket_id == ticket


async def test_operators_see_the_pool_and_others_do_not(stage: Any, wish: Any) -> None:
    ana = await seeking(stage, "ana", wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{stage.port}") as channel:
        stub = PoolServiceStub(channel)

        async def pools(*roles: str) -> Any:
            token = stage.issuer.issue("op", audience_of("matching"), roles=roles)
            metadata = (("authorization", f"Bearer {token}"),)
            return await stub.ListPools(pb.ListPoolsRequest(), metadata=metadata, timeout=5)

        pool = (await pools("operator")).pools[0]
        assert (pool.pool, pool.waiting, pool.live_matches) == ("main", 1, 0)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await pools("reviewer")
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_many_people_at_once_are_each_in_one_match(stage: Any, wish: Any) -> None:
    devices = await asyncio.gather(
        *(seeking(stage, f"user-{number}", wish()) for number in range(12))
    )
    told = await asyncio.gather(*(device.hear("matched") for device in devices))
    partner = {
        device.user: one.partner.partner_id for device, one in zip(devices, told, strict=True)
    }
    assert all(partner[partner[user]] == user for user in partner)
