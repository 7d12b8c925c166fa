"""Whatever a server says that is no whole answer is a failure, never an opinion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from inyeon.inference.banks import Banks, Generation
from inyeon.inference.catalogue import INCEPTION, LABELS
from inyeon.inference.engine import Models
from inyeon.inference.errors import BANK_BEHIND, BankTooLarge, ModelFailed
from inyeon.inference.port import BankEntry
from inyeon.inference.triton import TritonEngine, mapped
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import DeadlineExceeded, InyeonError, Overloaded, Unavailable

pytestmark = pytest.mark.unit

BUDGET_S = 10.0
PROBABILITIES = np.asarray([[0.1, 0.2, 0.3, 0.3, 0.1]], dtype=np.float32)
NO_NAMES = np.zeros((1, 0, 2), dtype=object)
NEAR = np.zeros((1, 0), dtype=np.float32)
GENERATION = np.zeros((1, 2), dtype=np.int64)
WHOLE: dict[str, NDArray[Any]] = {
    "PROBABILITIES": PROBABILITIES,
    "HIT_NAMES": NO_NAMES,
    "HIT_SIMILARITIES": NEAR,
    "GENERATION": GENERATION,
}
ONE_NAME = np.asarray([[["b", "e"]]], dtype=object)

Vector = Callable[[int], NDArray[np.float32]]


@pytest.fixture
async def engine(fake_triton: Any, models: Models) -> AsyncIterator[TritonEngine]:
    engine = TritonEngine(fake_triton[1], "test", models, SystemClock())
    yield engine
    await engine.close()


async def test_a_whole_answer_is_an_opinion(
    fake_triton: Any, engine: TritonEngine, response: Any, vector: Vector
) -> None:
    fake_triton[0].answer = lambda request, _: response(**WHOLE)
    answer = await engine.judge(vector(0), BUDGET_S)
    np.testing.assert_array_equal(answer.scores, PROBABILITIES[0])
    assert (answer.hits, answer.classes) == ((), LABELS)
    (request,) = fake_triton[0].requests
    assert request.parameters["timeout"].int64_param <= BUDGET_S * 1e6


@pytest.mark.parametrize(
    "wrong",
    [
        {"PROBABILITIES": np.zeros((1, 0), np.float32)},
        {"PROBABILITIES": PROBABILITIES[:, :4]},
        {"PROBABILITIES": PROBABILITIES[0]},
        {"PROBABILITIES": PROBABILITIES.astype(np.float64)},
        {"PROBABILITIES": PROBABILITIES * np.float32(np.nan)},
        {"PROBABILITIES": np.asarray([[np.inf, 0, 0, 0, 0]], np.float32)},
        {"PROBABILITIES": PROBABILITIES * np.float32(2.0)},
        {"PROBABILITIES": np.asarray([[1.2, -0.2, 0, 0, 0]], np.float32)},
        {"HIT_SIMILARITIES": np.asarray([[0.5]], np.float32)},
        {"HIT_NAMES": ONE_NAME},
        {"HIT_NAMES": ONE_NAME, "HIT_SIMILARITIES": np.asarray([[1.5]], np.float32)},
        {"HIT_NAMES": ONE_NAME, "HIT_SIMILARITIES": np.asarray([[np.nan]], np.float32)},
        {"HIT_NAMES": ONE_NAME, "HIT_SIMILARITIES": np.asarray([[0.5]], np.float32)},
        {
            "HIT_NAMES": np.asarray([[[b"\xff", b"e"]]], dtype=object),
            "HIT_SIMILARITIES": np.asarray([[0.5]], np.float32),
        },
        {"GENERATION": GENERATION.astype(np.float32)},
        {"GENERATION": GENERATION[:, :1]},
    ],
)
async def test_an_answer_that_is_none_is_a_failure_of_the_model(
    fake_triton: Any,
    engine: TritonEngine,
    response: Any,
    vector: Vector,
    wrong: dict[str, NDArray[Any]],
) -> None:
    """The last but three: a bank that we never put there."""
    fake_triton[0].answer = lambda request, _: response(**{**WHOLE, **wrong})
    with pytest.raises(ModelFailed):
        await engine.judge(vector(0), BUDGET_S)


@pytest.mark.parametrize("missing", list(WHOLE))
async def test_a_missing_output_is_a_failure_of_the_model(
    fake_triton: Any, engine: TritonEngine, response: Any, vector: Vector, missing: str
) -> None:
    some = {name: values for name, values in WHOLE.items() if name != missing}
    fake_triton[0].answer = lambda request, _: response(**some)
    with pytest.raises(ModelFailed, match=missing):
        await engine.judge(vector(0), BUDGET_S)


@pytest.mark.parametrize("kept_bytes", [0, 7])
async def test_success_with_no_bytes_is_a_failure_of_the_model(
    fake_triton: Any, engine: TritonEngine, response: Any, vector: Vector, kept_bytes: int
) -> None:
    """What a server with numpy 2 does: the right shape, status OK, nothing behind it."""

    def empty(request: Any, context: Any) -> Any:
        whole = response(**WHOLE)
        raw = [data[:kept_bytes] for data in whole.raw_output_contents]
        del whole.raw_output_contents[:]
        whole.raw_output_contents.extend(raw)
        return whole

    fake_triton[0].answer = empty
    with pytest.raises(ModelFailed):
        await engine.judge(vector(0), BUDGET_S)


async def test_no_raw_contents_at_all_are_a_failure_of_the_model(
    fake_triton: Any, engine: TritonEngine, response: Any, vector: Vector
) -> None:
    def bare(request: Any, context: Any) -> Any:
        whole = response(**WHOLE)
        del whole.raw_output_contents[:]
        return whole

    fake_triton[0].answer = bare
    with pytest.raises(ModelFailed):
        await engine.judge(vector(0), BUDGET_S)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((1, 0)), np.full((1, 5), np.nan), np.full((2, 5), 0.2), np.full((1, 5), 0.3)],
)
async def test_an_image_answer_that_is_none_is_a_failure_of_the_model(
    fake_triton: Any, engine: TritonEngine, response: Any, wrong: NDArray[Any]
) -> None:
    answer = response(probabilities=wrong.astype(np.float32))
    fake_triton[0].answer = lambda request, _: answer
    with pytest.raises(ModelFailed):
        await engine.vote(INCEPTION, np.zeros((8, 8, 3), np.uint8), BUDGET_S)


async def test_a_known_answer_that_is_another_is_a_failure_of_the_model(
    fake_triton: Any, engine: TritonEngine, response: Any
) -> None:
    fake_triton[0].answer = lambda request, _: response(**WHOLE)
    with pytest.raises(ModelFailed, match="off its known answer"):
        await engine.check("embedding_judge", BUDGET_S)
    swapped = np.asarray([[0.2, 0.2, 0.2, 0.1, 0.3]], dtype=np.float32)
    fake_triton[0].answer = lambda request, _: response(probabilities=swapped)
    with pytest.raises(ModelFailed, match="image_filter_inception"):
        await engine.check("image_filter_inception", BUDGET_S)


async def test_a_search_that_misses_our_nearest_case_is_a_failure_of_the_model(
    fake_triton: Any, engine: TritonEngine, response: Any, models: Models, vector: Vector
) -> None:
    banks = Banks.of(models.head.space, [BankEntry("e", "b", models.head.space, vector(1))], 1)
    scores = models.head.probabilities(models.canaries.embedding())[None]
    generation = np.asarray([[1, banks.generation.digest]], dtype=np.int64)
    (hit,) = banks.nearest(models.canaries.embedding())

    def say(similarity: float) -> Any:
        near = np.asarray([[similarity]], np.float32)
        named = {"HIT_NAMES": ONE_NAME, "HIT_SIMILARITIES": near, "GENERATION": generation}
        return response(**{**WHOLE, "PROBABILITIES": scores, **named})

    fake_triton[0].answer = lambda request, _: say(hit.similarity)
    await engine.put(banks)
    await engine.check("embedding_judge", BUDGET_S)
    fake_triton[0].answer = lambda request, _: say(hit.similarity - 0.01)
    with pytest.raises(ModelFailed, match="another than ours"):
        await engine.check("embedding_judge", BUDGET_S)


async def test_a_server_that_hangs_costs_the_budget_and_no_more(
    fake_triton: Any, engine: TritonEngine, vector: Vector
) -> None:
    async def hang(request: Any, context: Any) -> Any:
        await asyncio.Event().wait()

    fake_triton[0].answer = hang
    with pytest.raises(DeadlineExceeded):
        await engine.judge(vector(0), 0.05)


async def test_nobody_at_the_address_is_unavailable(models: Models, vector: Vector) -> None:
    engine = TritonEngine("127.0.0.1:1", "test", models, SystemClock())
    with pytest.raises(Unavailable) as caught:
        await engine.judge(vector(0), BUDGET_S)
    assert caught.value.reason == "INFERENCE_UNAVAILABLE"
    await engine.close()
    await engine.close()


async def test_a_server_that_dies_while_asked_is_unavailable(
    fake_triton: Any, engine: TritonEngine, vector: Vector
) -> None:
    async def die(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")

    fake_triton[0].answer = die
    with pytest.raises(Unavailable):
        await engine.judge(vector(0), BUDGET_S)


async def test_a_renewed_connection_goes_on(
    fake_triton: Any, engine: TritonEngine, response: Any, vector: Vector
) -> None:
    fake_triton[0].answer = lambda request, _: response(**WHOLE)
    await engine.judge(vector(0), BUDGET_S)
    await engine.renew()
    await engine.judge(vector(0), BUDGET_S)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("UNAVAILABLE", "failed to connect", Unavailable),
        ("UNAVAILABLE", "inference request: Exceeds maximum queue size", Overloaded),
        ("UNAVAILABLE", "Request timeout expired", DeadlineExceeded),
        ("RESOURCE_EXHAUSTED", "queue is full", Overloaded),
        ("RESOURCE_EXHAUSTED", "Received message larger than max", ModelFailed),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", DeadlineExceeded),
        ("NOT_FOUND", "unknown model", Unavailable),
        ("CANCELLED", "", Unavailable),
        ("INVALID_ARGUMENT", "unexpected shape", ModelFailed),
        ("INTERNAL", "the backend failed", ModelFailed),
        ("UNKNOWN", None, ModelFailed),
        (None, "a client-side error", ModelFailed),
    ],
)
def test_every_code_is_one_of_ours(
    status: str | None, message: str | None, kind: type[InyeonError]
) -> None:
    code = None if status is None else f"StatusCode.{status}"
    assert type(mapped(InferenceServerException(message, status=code))) is kind


class _Bank:
    """A judge that keeps one bank as the real one does, for requests of one part."""

    def __init__(self, models: Models, response: Any) -> None:
        self.models, self.response = models, response
        self.generation = Generation(0, 0)
        self.names: list[str] = []
        self.puts = 0
        self.deaf = False
        self.judged: list[int] = []

    def __call__(self, request: Any, context: Any) -> Any:
        names = [tensor.name for tensor in request.inputs]
        if "BANK_HEADER" in names:
            self._put(request, names)
        generation = np.asarray([[self.generation.number, self.generation.digest]], np.int64)
        if "EMBEDDING" not in names:
            return self.response(GENERATION=generation)
        rows = request.inputs[names.index("EMBEDDING")].shape[0]
        self.judged.append(rows)
        found = [["b", name] for name in self.names[:1]]
        hits = np.asarray(found * rows, dtype=object).reshape(rows, len(found), 2)
        near = np.full((rows, len(found)), 0.5, np.float32)
        return self.response(
            PROBABILITIES=PROBABILITIES.repeat(rows, axis=0),
            HIT_NAMES=hits,
            HIT_SIMILARITIES=near,
            GENERATION=generation.repeat(rows, axis=0),
        )

    def _put(self, request: Any, names: list[str]) -> None:
        self.puts += 1
        raw = request.raw_input_contents[names.index("BANK_HEADER")]
        number, digest, _, _, entries = np.frombuffer(raw, np.int64).tolist()
        if not self.deaf:
            self.generation = Generation(number, digest)
            self.names = [f"e{i}" for i in range(entries)]


def _banks(models: Models, vector: Vector, number: int) -> Banks:
    space = models.head.space
    return Banks.of(space, [BankEntry(f"e{i}", "b", space, vector(i)) for i in range(3)], number)


async def test_a_server_that_forgot_is_fed_once_for_all_who_ask(
    fake_triton: Any, engine: TritonEngine, response: Any, models: Models, vector: Vector
) -> None:
    server = _Bank(models, response)
    fake_triton[0].answer = server
    await engine.put(_banks(models, vector, 7))
    assert server.puts == 1
    server.generation, server.names = Generation(0, 0), []
    answers = await asyncio.gather(*(engine.judge(vector(0), BUDGET_S) for _ in range(8)))
    assert server.puts == 2
    assert all(answer.models[-1] == "bank@7" and answer.hits for answer in answers)


async def test_those_who_ask_at_the_same_time_ask_as_one(
    fake_triton: Any, engine: TritonEngine, response: Any, models: Models, vector: Vector
) -> None:
    server = _Bank(models, response)
    fake_triton[0].answer = server
    answers = await asyncio.gather(*(engine.judge(vector(n), BUDGET_S) for n in range(70)))
    assert sorted(server.judged) == [6, 64]  # both under way at once: either may come first
    assert all(answer.scores.shape == (5,) for answer in answers)


async def test_a_newer_generation_of_another_feeder_is_left_alone(
    fake_triton: Any, engine: TritonEngine, response: Any, models: Models, vector: Vector
) -> None:
    server = _Bank(models, response)
    server.generation, server.names = Generation(9, 5), ["theirs"]
    fake_triton[0].answer = server
    await engine.put(_banks(models, vector, 7))
    answer = await engine.judge(vector(0), BUDGET_S)
    assert (server.puts, answer.models[-1]) == (0, "bank@9")
    assert answer.hits[0].entry_id == "theirs"


async def test_a_server_that_does_not_take_the_bank_gives_no_opinion(
    fake_triton: Any, engine: TritonEngine, response: Any, models: Models, vector: Vector
) -> None:
    server = _Bank(models, response)
    server.deaf = True
    fake_triton[0].answer = server
    with pytest.raises(ModelFailed, match="did not take"):
        await engine.put(_banks(models, vector, 7))
    with pytest.raises(ModelFailed):
        await engine.judge(vector(0), BUDGET_S)


async def test_who_has_no_time_to_feed_is_told_so_and_the_feed_goes_on(
    fake_triton: Any, engine: TritonEngine, response: Any, models: Models, vector: Vector
) -> None:
    server, go = _Bank(models, response), asyncio.Event()
    fake_triton[0].answer = server
    await engine.put(_banks(models, vector, 7))
    server.generation, server.names = Generation(0, 0), []

    async def slow_put(request: Any, context: Any) -> Any:
        if any(tensor.name == "BANK_HEADER" for tensor in request.inputs):
            await go.wait()
        return server(request, context)

    fake_triton[0].answer = slow_put
    with pytest.raises(Unavailable) as caught:
        await engine.judge(vector(0), 0.3)
    assert caught.value.reason == BANK_BEHIND
    go.set()
    answer = await engine.judge(vector(0), BUDGET_S)
    assert answer.models[-1] == "bank@7"


async def test_a_large_bank_goes_in_parts_of_a_megabyte(
    fake_triton: Any, engine: TritonEngine, response: Any, models: Models
) -> None:
    space = models.head.space
    many = [BankEntry(f"e{i}", "b", space, np.ones(64, np.float32)) for i in range(9000)]
    server = _Bank(models, response)
    fake_triton[0].answer = server
    await engine.put(Banks.of(space, many, 1))
    puts = [r for r in fake_triton[0].requests if any(t.name == "BANK_NAMES" for t in r.inputs)]
    assert len(puts) == 3
    assert all(request.ByteSize() < 2 << 20 for request in puts)


def test_the_limit_is_an_error_of_its_own() -> None:
    assert BankTooLarge("too many").reason == "BANK_TOO_LARGE"
