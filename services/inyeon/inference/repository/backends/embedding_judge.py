"""Bank search and head on a content embedding, for Triton's Python backend.

Runs inside tritonserver, alone in its folder: only numpy beside it, no package of ours. The head's
numbers are head.npz beside this file; the bank is in this process's memory and comes through `put`
requests, so a restarted server has generation 0 0 and is fed again by whoever asks it.

judge  EMBEDDING (1, dims) float32, SPACE (1, 1) text "model@version"
       -> PROBABILITIES (1, classes), HIT_NAMES (1, k, 2) bank and entry id,
       HIT_SIMILARITIES (1, k), GENERATION (1, 2) int64 number and digest of the bank that was
       searched; k banks, maybe 0
put    SPACE; BANK_HEADER (1, 5) int64 number, digest, part, parts, entries; BANK_VECTORS
       (1, n, dims) float32 of length 1, in order of bank, BANK_NAMES (1, n, 2); without entries
       the header alone -> GENERATION
ask    SPACE alone -> GENERATION

Parts may come from several feeders at once: they are kept by generation. The whole replaces the
bank only if its generation is higher.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

MAX_ENTRIES = 200_000
MAX_FEEDS = 4  # put under way at once; the oldest is dropped, its feeder starts again
TINY = 1e-12

Generation = tuple[int, int]
Name = tuple[bytes, bytes]


class Refused(Exception):
    """The request is not as the contract says."""


class Bank:
    """One generation, whole."""

    def __init__(self, generation: Generation, vectors: Any, names: list[Name]) -> None:
        self.generation = generation
        self.vectors = vectors
        self.names = names
        edges = [i for i in range(len(names)) if i == 0 or names[i][0] != names[i - 1][0]]
        self.slices = list(zip(edges, [*edges[1:], len(names)], strict=True)) if edges else []

    def search(self, embeddings: Any) -> list[tuple[Any, Any]]:
        """For each row the nearest entry of each bank: names (k, 2), similarities (k,)."""
        length = np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), TINY)
        table = self.vectors @ (embeddings / length).T
        return [self._hits(table[:, row]) for row in range(len(embeddings))]

    def _hits(self, similarities: Any) -> tuple[Any, Any]:
        best = [start + int(similarities[start:end].argmax()) for start, end in self.slices]
        names = np.array([self.names[i] for i in best], dtype=np.object_).reshape(-1, 2)
        return names, np.clip(similarities[best], -1.0, 1.0).astype(np.float32)


class Head:
    """The classifier's last layers, folded onto the embedding."""

    def __init__(self, path: str) -> None:
        with np.load(path, allow_pickle=False) as archive:
            self.layers = [(archive[f"w{n}"], archive[f"b{n}"]) for n in (1, 2, 3)]
            self.space = f"{archive['model']}@{archive['version']}"
            self.dims = int(archive["dims"])

    def probabilities(self, embeddings: Any) -> Any:
        """(n, classes) of (n, dims)."""
        value = embeddings
        for weight, bias in self.layers[:2]:
            value = np.maximum(value @ weight.T + bias, np.float32(0.0))
        weight, bias = self.layers[2]
        logits = (value @ weight.T + bias).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


class TritonPythonModel:
    """What the backend calls, one thread."""

    def initialize(self, args: dict[str, str]) -> None:
        folder = os.path.join(args["model_repository"], args["model_version"])
        self.head = Head(os.path.join(folder, "head.npz"))
        configured = json.loads(args["model_config"])["parameters"]["space"]["string_value"]
        if configured != self.head.space:
            raise pb_utils.TritonModelException(f"head.npz is of {self.head.space}")
        self.bank = self.empty((0, 0))
        self.feeds: OrderedDict[Generation, dict[int, Any]] = OrderedDict()

    def empty(self, generation: Generation) -> Bank:
        return Bank(generation, np.zeros((0, self.head.dims), np.float32), [])

    def execute(self, requests: list[Any]) -> list[Any]:
        responses: list[Any] = [None] * len(requests)
        judged: list[tuple[int, Any]] = []
        for place, request in enumerate(requests):
            try:
                self.check_space(request)
                if has(request, "EMBEDDING"):
                    judged.append((place, self.embedding(request)))
                    continue
                if has(request, "BANK_HEADER"):
                    self.put(request)
                responses[place] = self.answer({})
            except Refused as error:
                responses[place] = refusal(error)
        for place, response in self.judge(judged):
            responses[place] = response
        return responses

    def judge(self, judged: list[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """All rows of the batch in one product."""
        if not judged:
            return
        rows = np.stack([row for _, row in judged])
        probabilities, hits = self.head.probabilities(rows), self.bank.search(rows)
        for number, (place, _) in enumerate(judged):
            names, near = hits[number]
            tensors = {"PROBABILITIES": probabilities[number]}
            yield place, self.answer({**tensors, "HIT_NAMES": names, "HIT_SIMILARITIES": near})

    def answer(self, tensors: dict[str, Any]) -> Any:
        tensors = {**tensors, "GENERATION": np.array(self.bank.generation, dtype=np.int64)}
        made = [pb_utils.Tensor(name, value[None]) for name, value in tensors.items()]
        return pb_utils.InferenceResponse(output_tensors=made)

    def embedding(self, request: Any) -> Any:
        rows = tensor(request, "EMBEDDING", (1, self.head.dims))
        if not np.isfinite(rows).all():
            raise Refused("EMBEDDING holds a number that is not finite")
        return rows[0]

    def check_space(self, request: Any) -> None:
        space = tensor(request, "SPACE", (1, 1))[0, 0].decode("utf-8", "replace")
        if space != self.head.space:
            raise Refused(f"SPACE is {space}, the head is for {self.head.space}")

    def put(self, request: Any) -> None:
        number, digest, part, parts, entries = tensor(request, "BANK_HEADER", (1, 5))[0].tolist()
        if not (0 <= part < parts <= MAX_ENTRIES and 0 <= entries <= MAX_ENTRIES and number >= 0):
            raise Refused("BANK_HEADER is out of range")
        generation = (number, digest)
        if generation <= self.bank.generation:
            return
        if entries == 0:
            self.bank = self.empty(generation)
            return
        received = self.feeds.setdefault(generation, {})
        self.feeds.move_to_end(generation)
        while len(self.feeds) > MAX_FEEDS:
            self.feeds.popitem(last=False)
        received[part] = self.part(request)
        if len(received) == parts or count(received) > entries:
            del self.feeds[generation]
            self.replace(generation, received, entries)

    def part(self, request: Any) -> tuple[Any, list[Name]]:
        names = tensor(request, "BANK_NAMES", (1, None, 2))[0]
        vectors = tensor(request, "BANK_VECTORS", (1, len(names), self.head.dims))[0]
        if not np.isfinite(vectors).all():
            raise Refused("BANK_VECTORS holds a number that is not finite")
        # copies: the tensor's memory belongs to the request
        return vectors.copy(), [(bytes(bank), bytes(entry)) for bank, entry in names]

    def replace(self, generation: Generation, received: dict[int, Any], entries: int) -> None:
        parts = [received[number] for number in sorted(received)]
        if count(received) != entries:
            raise Refused(f"{count(received)} entries came, {entries} were announced")
        names = [pair for _, some in parts for pair in some]
        self.bank = Bank(generation, np.concatenate([vectors for vectors, _ in parts]), names)
        for known in [known for known in self.feeds if known <= generation]:
            del self.feeds[known]


def count(received: dict[int, Any]) -> int:
    """Entries in all parts."""
    return sum(len(names) for _, names in received.values())


def has(request: Any, name: str) -> bool:
    """The request carries that input."""
    return pb_utils.get_input_tensor_by_name(request, name) is not None


def tensor(request: Any, name: str, shape: tuple[int | None, ...]) -> Any:
    """The input; None in `shape` is any length above 0. Raises Refused."""
    found = pb_utils.get_input_tensor_by_name(request, name)
    if found is None:
        raise Refused(f"{name} is missing")
    value = found.as_numpy()
    fits = len(value.shape) == len(shape) and all(
        value.shape[axis] == want or (want is None and value.shape[axis] > 0)
        for axis, want in enumerate(shape)
    )
    if not fits:
        raise Refused(f"{name} is {value.shape}, not {shape}")
    return value


def refusal(error: Refused) -> Any:
    """The request fails, the others of its batch do not."""
    reason = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse(output_tensors=[], error=reason)
