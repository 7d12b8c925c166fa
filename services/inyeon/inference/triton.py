"""The models on tritonserver, over gRPC.

The bank lives in the server's memory and may be gone, older or newer than ours at any answer: the
server restarted, another replica answers, another worker fed it. Every answer carries its
generation; an older one than ours is fed (once for all callers who notice) and asked again, never
passed on. Several servers behind one address: a channel keeps to one of them; after a reconnect the
generation tells. Several workers may feed one server: the higher generation wins, equal ones are
the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from inyeon.inference import wire
from inyeon.inference.banks import Banks, Generation
from inyeon.inference.catalogue import (
    IMAGE_MODELS,
    JUDGE,
    JUDGE_BATCH,
    LABELS,
    ImageModel,
    ModelName,
)
from inyeon.inference.engine import Models
from inyeon.inference.errors import BANK_BEHIND, ModelFailed, unavailable
from inyeon.inference.gathering import Gathering
from inyeon.inference.pictures import model_input
from inyeon.inference.port import BankHit, EmbeddingAnswer, ImageVote
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import DeadlineExceeded, InyeonError, Overloaded

FEED_S = 10.0  # 200,000 entries are 51 MB in 49 parts, about 2 s on one machine; 5 times that
SIMILARITY_APART = 1e-3  # float32 dot products of two machines differ by 1e-6
CHANNEL = [
    # an answer is below 1 KB; a server that sends more is broken
    ("grpc.max_receive_message_length", 1 << 20),
    # a part of the bank is 1.1 MB, an Inception picture 1.07 MB
    ("grpc.max_send_message_length", 8 << 20),
    # the default backs off up to 120 s; the probe asks every quarter of a second
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # a channel that shared its connection would share its back-off too
    ("grpc.use_local_subchannel_pool", 1),
]

Float = NDArray[np.float32]


class TritonEngine:
    """Implements Engine. `address` is host:port; `root_certificates` (PEM) asks for TLS."""

    def __init__(
        self,
        address: str,
        scope: str,
        models: Models,
        clock: Clock,
        root_certificates: bytes | None = None,
    ) -> None:
        self._address = address
        self._scope = scope
        self._models = models
        self._clock = clock
        self._root_certificates = root_certificates
        self._client: Any = None
        self._banks = Banks.of(models.head.space, (), 0)
        self._newest = self._banks
        self._known_hits: tuple[BankHit, ...] = ()
        self._feeding: asyncio.Task[None] | None = None
        self._together = Gathering(self._judged, JUDGE_BATCH)

    @property
    def remote(self) -> bool:
        return True

    async def judge(self, embedding: Float, budget_s: float) -> EmbeddingAnswer:
        judgement = await self._together.one(embedding, budget_s)
        head = self._models.head
        models = (head.model, f"bank@{judgement.generation.number}")
        return EmbeddingAnswer(judgement.hits, head.labels, judgement.probabilities, models)

    async def vote(
        self, model: ImageModel, picture: NDArray[np.uint8], budget_s: float
    ) -> ImageVote:
        ends_at = self._clock.monotonic() + budget_s
        asked = await asyncio.to_thread(model_input, picture, model.side)
        scores = await self._probabilities(model, asked, ends_at - self._clock.monotonic())
        return ImageVote(model.model, LABELS, scores)

    async def check(self, model: ModelName, budget_s: float) -> None:
        canaries = self._models.canaries
        if model == JUDGE:
            embedding = canaries.embedding()
            (judgement,) = await self._judged([embedding], budget_s)
            canaries.head.check(model, judgement.probabilities)
            return self._check_hits(judgement)
        image = next(known for known in IMAGE_MODELS if known.name == model)
        scores = await self._probabilities(image, canaries.picture(image), budget_s)
        canaries.pictures[image.product].check(model, scores)

    async def put(self, banks: Banks) -> None:
        asked = self._models.canaries.embedding()
        hits = await asyncio.to_thread(banks.nearest, asked)
        self._newest = banks
        try:
            await self._feed(FEED_S)
        finally:
            # only now: until then the older bank is what callers were promised
            self._banks, self._known_hits = banks, hits

    async def renew(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def close(self) -> None:
        await self._together.close()
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.gather(self._feeding, return_exceptions=True)
        await self.renew()

    async def _judged(self, embeddings: Sequence[Float], budget_s: float) -> list[wire.Judgement]:
        """By our banks or newer ones, after feeding the server where it must be."""
        ends_at = self._clock.monotonic() + budget_s
        judgements = await self._judgements(embeddings, budget_s)
        if any(one.generation < self._banks.generation for one in judgements):
            await self._feed(ends_at - self._clock.monotonic())
            judgements = await self._judgements(embeddings, ends_at - self._clock.monotonic())
        for judgement in judgements:
            self._require_bank(judgement)
        return judgements

    async def _judgements(
        self, embeddings: Sequence[Float], budget_s: float
    ) -> list[wire.Judgement]:
        inputs = wire.judge_inputs(self._models.head.space, self._scope, embeddings)
        result = await self._infer(JUDGE, inputs, wire.JUDGE_OUTPUTS, budget_s)
        return wire.read_judgements(result, len(embeddings), len(LABELS))

    def _require_bank(self, judgement: wire.Judgement) -> None:
        ours = self._banks
        if judgement.generation < ours.generation:
            message = "the server's bank is older than ours, although it was fed"
            raise unavailable(message, reason=BANK_BEHIND)
        if judgement.generation == ours.generation and {hit.bank for hit in judgement.hits} != set(
            ours.sizes
        ):
            raise ModelFailed("the judge left out a bank, or searched one that is not there")

    def _check_hits(self, judgement: wire.Judgement) -> None:
        """Search as a known answer: only where the server searched what we have."""
        if judgement.generation != self._banks.generation:
            return
        found = {hit.bank: hit.similarity for hit in judgement.hits}
        for hit in self._known_hits:
            if abs(found.get(hit.bank, -2.0) - hit.similarity) > SIMILARITY_APART:
                raise ModelFailed(f"the judge's nearest case of {hit.bank} is another than ours")

    async def _feed(self, budget_s: float) -> None:
        """Waits for the one feed under way, starting it where there is none. It goes on when this
        caller's time is over."""
        if self._feeding is None or self._feeding.done():
            self._feeding = asyncio.create_task(self._feed_all(), name="inference-feed")
            self._feeding.add_done_callback(_retrieve)
        try:
            async with asyncio.timeout(max(0.0, budget_s)):
                await asyncio.shield(self._feeding)
        except TimeoutError:
            message = "the server's bank is older than ours and being fed"
            raise unavailable(message, reason=BANK_BEHIND) from None

    async def _feed_all(self) -> None:
        """Until the server has our newest, or newer ones: ours may change meanwhile."""
        while (banks := self._newest).generation > await self._generation():
            parts = await asyncio.to_thread(_parts, banks, self._scope)
            for inputs in parts:
                result = await self._infer(JUDGE, inputs, wire.GENERATION_OUTPUTS, FEED_S)
            if wire.read_generation(result) < banks.generation:
                raise ModelFailed("the server did not take the bank")

    async def _generation(self) -> Generation:
        inputs = wire.ask_inputs(self._models.head.space, self._scope)
        return wire.read_generation(
            await self._infer(JUDGE, inputs, wire.GENERATION_OUTPUTS, FEED_S)
        )

    async def _probabilities(self, model: ImageModel, pictures: Float, budget_s: float) -> Float:
        inputs = wire.image_inputs(pictures)
        result = await self._infer(model.name, inputs, wire.IMAGE_OUTPUTS, budget_s)
        rows = wire.read_probabilities(result, len(pictures), len(LABELS))
        return np.asarray(rows[0], dtype=np.float32)

    async def _infer(
        self, model: str, inputs: Sequence[Any], outputs: Sequence[str], budget_s: float
    ) -> Any:
        if budget_s <= 0.0:
            raise DeadlineExceeded("no time is left to ask a model")
        try:
            return await self._connected().infer(
                model,
                list(inputs),
                outputs=wire.wanted(outputs),
                client_timeout=budget_s,
                timeout=max(1, int(budget_s * 1e6)),  # the server drops it from its queue by then
            )
        except InferenceServerException as error:
            raise mapped(error) from error
        except grpc.aio.UsageError as error:  # the connection was renewed meanwhile
            raise unavailable(f"{model}: the connection was closed") from error

    def _connected(self) -> Any:
        if self._client is None:
            self._client = InferenceServerClient(
                self._address, creds=self._credentials(), channel_args=CHANNEL
            )
        return self._client

    def _credentials(self) -> grpc.ChannelCredentials | None:
        if self._root_certificates is None:
            return None
        return grpc.ssl_channel_credentials(self._root_certificates)


def mapped(error: InferenceServerException) -> InyeonError:
    """Ours for tritonclient's; the server's words decide where it has one code for two things."""
    text = error.message() or "no details"
    match str(error.status()).removeprefix("StatusCode."):
        case "UNAVAILABLE" if "maximum queue size" in text:
            return Overloaded(text, retry_after_s=0.5)
        case "UNAVAILABLE" if "timeout expired" in text.lower():
            return DeadlineExceeded(text)
        case "RESOURCE_EXHAUSTED" if "queue" in text.lower():
            return Overloaded(text, retry_after_s=0.5)
        case "DEADLINE_EXCEEDED":
            return DeadlineExceeded(text)
        case "UNAVAILABLE" | "NOT_FOUND" | "CANCELLED" | "UNIMPLEMENTED" | "UNAUTHENTICATED":
            return unavailable(text)
    return ModelFailed(text)


def _parts(banks: Banks, scope: str) -> list[list[Any]]:
    return list(wire.put_parts(banks, scope))


def _retrieve(task: asyncio.Task[None]) -> None:
    """Whoever waits hears of a failure; nobody may be waiting any more."""
    if not task.cancelled():
        task.exception()
