"""Small models of our own, an engine that does what it is told, and a Triton that may lie."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc

from inyeon.inference.banks import Banks
from inyeon.inference.catalogue import IMAGE_MODELS, LABELS, ImageModel, ModelName
from inyeon.inference.engine import Models
from inyeon.inference.port import EmbeddingAnswer, ImageVote

DIMS = 64
pb: Any = service_pb2

Float = NDArray[np.float32]


def write_models(folder: Path) -> Path:
    """A head with random numbers, and its known answers; no image model."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    sizes = [(16, DIMS), (8, 16), (len(LABELS), 8)]
    arrays: dict[str, Any] = {}
    for number, size in enumerate(sizes, start=1):
        arrays[f"w{number}"] = random.normal(size=size).astype(np.float32) / 4
        arrays[f"b{number}"] = random.normal(size=size[0]).astype(np.float32) / 4
    names = {"labels": np.asarray(LABELS), "model": np.asarray("tiny"), "version": np.asarray("1")}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays, **names, dims=np.asarray(DIMS))
    (folder / "content_head.npz").write_bytes(buffer.getvalue())
    value = ((109 * np.arange(DIMS) % 255 - 127) / 16.0).astype(np.float64)
    for number in (1, 2):
        value = np.maximum(arrays[f"w{number}"] @ value + arrays[f"b{number}"], 0.0)
    logits = arrays["w3"] @ value + arrays["b3"]
    answer = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    pictures = [
        {"product": m.product, "side": m.side, "pattern": 0, "probabilities": [0.2] * 5}
        for m in IMAGE_MODELS
    ]
    document = {"bound": 0.01, "dims": DIMS, "head": answer.tolist(), "pictures": pictures}
    (folder / "canaries.json").write_text(json.dumps({"schema_version": 1, **document}))
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models.load(write_models(tmp_path / "models"))


@pytest.fixture
def vector() -> Callable[[int], Float]:
    def make(seed: int) -> Float:
        return np.random.default_rng(seed).normal(size=DIMS).astype(np.float32)

    return make


@dataclass
class PuppetEngine:
    """Implements Engine: answers by the head unless `broken` says otherwise."""

    models: Models
    remote: bool = True
    broken: dict[str, Exception] = field(default_factory=dict)
    """Model -> what its questions and its known answer end with."""
    hanging: set[str] = field(default_factory=set)
    """Models that never answer."""
    checked: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    banks: list[Banks] = field(default_factory=list)
    renewed: int = 0
    closed: int = 0

    async def judge(self, embedding: Float, budget_s: float) -> EmbeddingAnswer:
        self.asked.append("embedding_judge")
        await self._obey("embedding_judge")
        head = self.models.head
        return EmbeddingAnswer((), LABELS, head.probabilities(embedding), (head.model,))

    async def vote(
        self, model: ImageModel, picture: NDArray[np.uint8], budget_s: float
    ) -> ImageVote:
        self.asked.append(model.name)
        await self._obey(model.name)
        return ImageVote(model.model, LABELS, np.full(5, 0.2, np.float32))

    async def check(self, model: ModelName, budget_s: float) -> None:
        self.checked.append(model)
        await self._obey(model)

    async def put(self, banks: Banks) -> None:
        self.banks.append(banks)
        await self._obey("put")

    async def renew(self) -> None:
        self.renewed += 1

    async def close(self) -> None:
        self.closed += 1

    async def _obey(self, name: str) -> None:
        if name in self.hanging:
            await asyncio.Event().wait()
        if name in self.broken:
            raise self.broken[name]


@pytest.fixture
def puppet(models: Models) -> Callable[..., PuppetEngine]:
    return lambda **how: PuppetEngine(models, **how)


Answer = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Any]


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """A gRPC server with Triton's service whose answers a test writes."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.requests: list[Any] = []

    async def ModelInfer(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        self.requests.append(request)
        assert self.answer is not None
        result = self.answer(request, context)
        return await result if asyncio.iscoroutine(result) else result


@pytest.fixture
async def fake_triton() -> AsyncIterator[tuple[FakeTriton, str]]:
    """(the server, its address)."""
    fake, server = FakeTriton(), grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield fake, f"127.0.0.1:{port}"
    await server.stop(None)


def tensors(**outputs: NDArray[Any]) -> Any:
    """A ModelInferResponse with these outputs, as a whole server writes it."""
    response = pb.ModelInferResponse(model_name="m", model_version="1")
    kinds = {"float32": "FP32", "int64": "INT64", "float64": "FP64", "object": "BYTES"}
    for name, values in outputs.items():
        output = response.outputs.add(name=name, datatype=kinds[str(values.dtype)])
        output.shape.extend(values.shape)
        response.raw_output_contents.append(_raw(values))
    return response


def _raw(values: NDArray[Any]) -> bytes:
    if values.dtype != object:
        return values.tobytes()
    texts = [text if isinstance(text, bytes) else text.encode() for text in values.ravel()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


@pytest.fixture
def response() -> Callable[..., Any]:
    return tensors
