"""Observe, Report, Block and review through real gRPC, with the product's interceptor in front."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from inyeon.runtime.identity.statements_pb import unseal
from inyeon_protos.common.v1 import identity_pb2, stream_pb2
from inyeon_protos.moderation.v1 import review_pb2, review_pb2_grpc, safety_pb2, safety_pb2_grpc

pytestmark = pytest.mark.integration
WAIT_S = 10.0  # far above the 500 ms of a commit; reached only by a failure


class Client:
    """A device, as thin as possible."""

    def __init__(self, channel: grpc.aio.Channel, token: str, session_id: str) -> None:
        stub = safety_pb2_grpc.SafetyServiceStub(channel)
        self.call: Any = stub.Observe(metadata=(("authorization", f"Bearer {token}"),))
        self.session_id = session_id
        self.seen: list[safety_pb2.ObserveResponse] = []
        self.next = 1

    async def open(self, resume_after: int = 0) -> stream_pb2.StreamOpened:
        opening = stream_pb2.StreamOpen(
            client_id="c",
            session_id=self.session_id,
            resume_after=resume_after,
            protocol_version=1,
        )
        await self.call.write(
            safety_pb2.ObserveRequest(control=stream_pb2.ClientControl(open=opening))
        )
        first = await self.until(lambda m: m.control.HasField("opened"))
        self.next = first.control.opened.acknowledged + 1
        return first.control.opened

    async def send(self, *windows: safety_pb2.ObservationWindow) -> None:
        for item in windows:
            await self.call.write(safety_pb2.ObserveRequest(sequence=self.next, window=item))
            self.next += 1

    async def until(
        self, wanted: Callable[[safety_pb2.ObserveResponse], bool]
    ) -> safety_pb2.ObserveResponse:
        async with asyncio.timeout(WAIT_S):
            while True:
                message = await self.call.read()
                assert isinstance(message, safety_pb2.ObserveResponse), "the stream ended"
                self.seen.append(message)
                if wanted(message):
                    return message

    async def acknowledged(self, through: int) -> safety_pb2.ObserveResponse:
        return await self.until(lambda m: m.control.ack.through >= through)


def window(**change: Any) -> safety_pb2.ObservationWindow:
    """A quiet second; `drawing` makes it a drawing."""
    drawing = change.pop("drawing", 0.0)
    mean = [drawing, 0.0, 1.0 - drawing, 0.0, 0.0]
    fields: dict[str, Any] = {
        "subject": safety_pb2.OBSERVED_SUBJECT_MYSELF,
        "started_at": Timestamp(seconds=1),
        "duration": Duration(seconds=1),
        "presence": safety_pb2.PRESENCE_STATE_ALONE,
        "presence_share": 1.0,
        "scores": safety_pb2.FilterScores(
            model="mobilenet_v2", version="1", frames=2, mean=mean, max=mean
        ),
    }
    return safety_pb2.ObservationWindow(**(fields | change))


@pytest.fixture
async def served(moderation_process: ModuleType, tmp_path: Path) -> AsyncIterator[Any]:
    async with (
        moderation_process.serving(tmp_path) as (address, service, ground),
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield channel, ground, service


@pytest.fixture
async def device(
    served: Any, moderation_process: ModuleType, tmp_path: Path
) -> AsyncIterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(user: str = "a", session_id: str = "", token: str = "") -> Client:
        token = token or moderation_process.token(tmp_path, user)
        made.append(Client(served[0], token, session_id or f"s-{user}"))
        return made[-1]

    yield make
    for client in made:
        client.call.cancel()


async def _read_all(client: Client) -> None:
    while await client.call.read() is not grpc.aio.EOF:
        pass


async def refusal(client: Client) -> tuple[str, str, str]:
    """(code, reason, field) of the stream's end."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await asyncio.wait_for(_read_all(client), WAIT_S)
    status = rpc_status.from_call(refused.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return refused.value.code().name, info.reason, info.metadata["field"]


async def test_the_whole_way(served: Any, device: Callable[..., Client]) -> None:
    client = device()
    await client.open()
    await client.until(lambda m: m.HasField("policy"))
    await client.until(lambda m: m.verdict.verdict == safety_pb2.VERDICT_UNSPECIFIED)
    # Quiet is bounded by time that passed: 1 s for the first window, then what the clock gives.
    await client.send(window())
    await asyncio.wait_for(client.acknowledged(1), WAIT_S)
    while not any(m.verdict.verdict == safety_pb2.VERDICT_CLEAR for m in client.seen):
        await client.send(window())
        await client.acknowledged(client.next - 1)
    passed = next((m for m in client.seen if m.HasField("safety_pass")), None)
    passed = passed or await client.until(lambda m: m.HasField("safety_pass"))
    fact = unseal(
        served[1].verifier("moderation"),
        passed.safety_pass,
        identity_pb2.SafetyPass,
        served[1].clock.now(),
    )
    assert (fact.user_id, fact.session_id) == ("a", "s-a")
    await client.send(*[window(drawing=0.9)] * 3)
    told = await client.until(lambda m: m.HasField("directive"))
    assert told.directive.action == safety_pb2.DIRECTIVE_ACTION_PROTECT
    assert told.directive.reason == "DRAWING_SUSTAINED"
    last = await client.acknowledged(client.next - 1)
    assert not last.HasField("safety_pass")


async def test_resume_starts_from_what_is_acknowledged(device: Callable[..., Client]) -> None:
    first = device()
    await first.open()
    await first.send(window(drawing=0.9), window(drawing=0.9))
    await first.acknowledged(2)
    first.call.cancel()
    again = device()
    opened = await again.open()
    assert (opened.acknowledged, opened.epoch) == (2, 2)
    await again.send(window(drawing=0.9))
    told = await again.until(lambda m: m.HasField("directive"))
    assert told.directive.action == safety_pb2.DIRECTIVE_ACTION_PROTECT


async def test_repeated_sequences_count_once(device: Callable[..., Client]) -> None:
    client = device()
    await client.open()
    for sequence in (1, 2, 1, 2, 2):
        message = safety_pb2.ObserveRequest(sequence=sequence, window=window(drawing=0.9))
        await client.call.write(message)
    await client.acknowledged(2)
    assert not any(m.HasField("directive") for m in client.seen)
    await client.call.write(safety_pb2.ObserveRequest(sequence=3, window=window(drawing=0.9)))
    await client.until(lambda m: m.HasField("directive"))


async def test_a_gap_is_refused(device: Callable[..., Client]) -> None:
    client = device()
    await client.open()
    await client.call.write(safety_pb2.ObserveRequest(sequence=5, window=window()))
    assert await refusal(client) == ("INVALID_ARGUMENT", "SEQUENCE_GAP", "sequence")


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"subject": 9}, "UNKNOWN_ENUM", "window.subject"),
        ({"presence": 9}, "UNKNOWN_ENUM", "window.presence"),
        ({"duration": Duration(seconds=3600)}, "DURATION_RANGE", "window.duration"),
        ({"duration": Duration()}, "DURATION_RANGE", "window.duration"),
        ({"subject": 2}, "MATCH_MISSING", "window.match_id"),
        (
            {"scores": safety_pb2.FilterScores(model="m", version="1", frames=1, mean=[1.0] * 4)},
            "TOO_SHORT",
            "window.scores.mean",
        ),
        (
            {
                "scores": safety_pb2.FilterScores(
                    model="m",
                    version="1",
                    frames=1,
                    mean=[0, 0, math.nan, 0, 0],
                    max=[0, 0, 1, 0, 0],
                )
            },
            "NOT_FINITE",
            "window.scores.mean[2]",
        ),
    ],
)
async def test_bad_windows(
    device: Callable[..., Client], change: dict[str, Any], reason: str, field: str
) -> None:
    client = device()
    await client.open()
    await client.send(window(**change))
    assert await refusal(client) == ("INVALID_ARGUMENT", reason, field)


async def test_tokens(
    device: Callable[..., Client], moderation_process: ModuleType, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    cases = {
        "TOKEN_FOREIGN": moderation_process.token(tmp_path, "a", audience="matching"),
        "TOKEN_EXPIRED": moderation_process.short_token(tmp_path, "a", -120.0),
        "TOKEN_INVALID": moderation_process.token(other, "a"),
    }
    for reason, token in cases.items():
        code, found, _ = await refusal(device(token=token))
        assert (code, found) == ("UNAUTHENTICATED", reason)


async def test_a_foreign_session_is_refused(device: Callable[..., Client]) -> None:
    await device("a", "mine").open()
    thief = device("b", "mine")
    opening = stream_pb2.StreamOpen(client_id="c", session_id="mine", protocol_version=1)
    control = stream_pb2.ClientControl(open=opening)
    await thief.call.write(safety_pb2.ObserveRequest(control=control))
    assert (await refusal(thief))[:2] == ("PERMISSION_DENIED", "SESSION_FOREIGN")


async def test_a_newer_camera_ends_the_older_one(device: Callable[..., Client]) -> None:
    old = device("a", "first")
    await old.open()
    await device("a", "second").open()
    ending = await old.until(lambda m: m.control.HasField("ending"))
    assert ending.control.ending.reason == stream_pb2.STREAM_END_REASON_SUPERSEDED


async def test_review_over_grpc(
    served: Any,
    device: Callable[..., Client],
    moderation_process: ModuleType,
    tmp_path: Path,
) -> None:
    client = device()
    await client.open()
    await client.send(*[window(drawing=0.9)] * 3)
    await client.acknowledged(3)
    stub = review_pb2_grpc.ReviewServiceStub(served[0])

    def bearer(*roles: str) -> tuple[tuple[str, str]]:
        return (("authorization", f"Bearer {moderation_process.token(tmp_path, 'r', *roles)}"),)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ListCases(review_pb2.ListCasesRequest(), metadata=bearer(), timeout=WAIT_S)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    listed = await stub.ListCases(
        review_pb2.ListCasesRequest(state=review_pb2.CASE_STATE_OPEN),
        metadata=bearer("reviewer"),
        timeout=WAIT_S,
    )
    [case] = listed.cases
    assert (case.user_id, case.reason) == ("a", "DRAWING_SUSTAINED")
    done = await stub.DecideCase(
        review_pb2.DecideCaseRequest(
            case_id=case.case_id, decision=review_pb2.DECISION_DISMISS, note="a cat"
        ),
        metadata=bearer("reviewer"),
        timeout=WAIT_S,
    )
    assert done.case.state == review_pb2.CASE_STATE_CLOSED
    assert done.case.decision == review_pb2.DECISION_DISMISS
    told = await client.until(lambda m: m.directive.action == safety_pb2.DIRECTIVE_ACTION_CLEAR)
    assert told.directive.reason == "DISMISSED"


async def test_report_and_block_over_grpc(
    served: Any, moderation_process: ModuleType, tmp_path: Path
) -> None:
    stub = safety_pb2_grpc.SafetyServiceStub(served[0])
    metadata = (("authorization", f"Bearer {moderation_process.token(tmp_path, 'b')}"),)
    await stub.Block(
        safety_pb2.BlockRequest(request_id="1", blocked_id="a"), metadata=metadata, timeout=WAIT_S
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Report(
            safety_pb2.ReportRequest(
                request_id="2", reported_id="a", reason=safety_pb2.REPORT_REASON_HATE, match_id="m"
            ),
            metadata=metadata,
            timeout=WAIT_S,
        )
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
