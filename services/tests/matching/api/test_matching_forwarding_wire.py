"""Verbs as messages between replicas, and what becomes of odd ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.api.beats import Beats
from inyeon.matching.api.callers import Caller, Closed, Opened, Said, Verb
from inyeon.matching.api.forwarding import (
    Spoken,
    answer_to,
    refusal_of,
    request_from,
    request_to,
)
from inyeon.runtime.errors import (
    InvalidRequest,
    InyeonError,
    Overloaded,
    StatementRefused,
    StoreUnavailable,
)
from inyeon.runtime.identity.claims import AgeBand, Claims, Gender
from inyeon_protos.matching.v1 import forwarding_pb2 as pb
from inyeon_protos.matching.v1.matching_pb2 import Cancel, Heartbeat, SeekRequest

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 1, tzinfo=UTC)
VERBS: list[Verb] = [
    Opened(),
    Said(SeekRequest(cancel=Cancel())),
    Said(SeekRequest(heartbeat=Heartbeat(present=True))),
    Closed(True),
    Closed(False),
]


def caller(user: str = "ana", epoch: int = 3) -> Caller:
    return Caller("s", epoch, Claims(user, "inyeon-matching", AT))


@given(
    st.sampled_from(AgeBand),
    st.sampled_from(Gender),
    st.sampled_from(["", "KR"]),
    st.lists(st.sampled_from(VERBS)),
)
def test_verbs_come_as_they_went(
    band: AgeBand, gender: Gender, country: str, verbs: list[Verb]
) -> None:
    claims = replace(caller().claims, age_band=band, gender=gender, country=country, device_key="k")
    who = replace(caller(), claims=claims)
    pool, spoken = request_from(request_to("main", [(who, verb) for verb in verbs]))
    assert pool == "main" and [verb for _, verb in spoken] == verbs
    for told, _ in spoken:
        assert (told.session_id, told.epoch) == (who.session_id, who.epoch)
        same = replace(told.claims, audience=claims.audience, expires_at=claims.expires_at)
        assert same == claims


@pytest.mark.parametrize(
    "payload",
    [b"\xff\xff", pb.ForwardRequest(verbs=[pb.Forwarded(user_id="x")]).SerializeToString()],
)
def test_what_says_nothing_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidRequest):
        request_from(payload)


def test_an_age_band_of_a_newer_contract_is_unknown() -> None:
    message = pb.Forwarded(user_id="x", appeared=pb.StreamAppeared())
    message.age_band = 77  # type: ignore[assignment]
    _, [(who, _)] = request_from(pb.ForwardRequest(verbs=[message]).SerializeToString())
    assert who.claims.age_band is AgeBand.UNKNOWN


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("bad", reason="COUNTRY_UNKNOWN", field="token.country"),
        StatementRefused("forged", reason="WRONG_USER"),
        Overloaded("full", retry_after_s=5.0, reason="POOL_FULL"),
        StoreUnavailable("away"),
    ],
)
def test_a_refusal_comes_as_it_went(error: InyeonError) -> None:
    told = refusal_of(answer_to(error))
    assert told is not None
    assert (told.code, told.reason, told.field) == (error.code, error.reason, error.field)
    assert str(told) == str(error)
    if isinstance(error, Overloaded):
        assert isinstance(told, Overloaded) and told.retry_after_s == 5.0


def test_no_refusal_is_none() -> None:
    assert refusal_of(answer_to(None)) is None


class Owner:
    """Takes batches, or not."""

    def __init__(self, takes: bool = True) -> None:
        self.takes = takes
        self.got: list[Spoken] = []

    async def send(self, pool: str, spoken: list[Spoken]) -> bool:
        if self.takes:
            self.got += spoken
        return self.takes


def test_only_the_newest_heartbeat_waits_and_goes_before_what_is_said_next() -> None:
    beats = Beats(Owner().send)  # type: ignore[arg-type]
    one, other = Said(SeekRequest(sequence=1)), Said(SeekRequest(sequence=2))
    beats.add("main", (caller(), one), True)
    beats.add("main", (caller(), other), True)
    assert beats.take("main", caller()) == [(caller(), other)]
    assert beats.take("main", caller()) == []
    beats.add("main", (caller(), one), True)
    beats.forget("main", caller())
    assert beats.take("main", caller()) == []
