"""Bank search and head on a content embedding, for Triton's Python backend.

Runs inside tritonserver, alone in its folder: only numpy beside it, no package of ours. The head's
numbers are head.npz beside this file; banks are in this process's memory and come through `put`
requests, so a restarted server has generation 0 0 and is fed again by whoever asks it. Every feeder
names a scope: platforms that share a server (production, canary, tests) do not mix their cases.

judge  EMBEDDING (n, dims) float32, SPACE (n, 2) texts "model@version" and scope, the same in all
       rows -> PROBABILITIES (n, classes), HIT_NAMES (n, k, 2) bank and entry id,
       HIT_SIMILARITIES (n, k), GENERATION (n, 2) int64 number and digest of the bank that was
       searched; k banks, maybe 0
put    SPACE (1, 2); BANK_HEADER (1, 5) int64 number, digest, part, parts, entries; BANK_VECTORS
       (1, n, dims) float32 of length 1, in order of bank, BANK_NAMES (1, n, 2); without entries
       the header alone -> GENERATION
ask    SPACE (1, 2) alone -> GENERATION

Parts may come from several feeders at once: they are kept by generation. The whole replaces the
scope's bank only if its generation is higher. Above MAX_TOTAL entries in all, the scope that was
asked longest ago is forgotten.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

# Before numpy is loaded: OpenBLAS's threads spin for some 80 ms after every product, a third of a
# core for the known answers alone, and on a busy machine a product waits for the slowest of them.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

MAX_ENTRIES = 200_000
MAX_TOTAL = 400_000  # 102 MB: two full platforms, or many small ones
MAX_SCOPES = 64
MAX_FEEDS = 4  # put under way at once; the oldest is dropped, its feeder starts again
TINY = 1e-12

Generation = tuple[int, int]
Feed = tuple[str, int, int]
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
        self.banks: OrderedDict[str, Bank] = OrderedDict()
        self.feeds: OrderedDict[Feed, dict[int, Any]] = OrderedDict()

    def empty(self, generation: Generation) -> Bank:
        return Bank(generation, np.zeros((0, self.head.dims), np.float32), [])

    def execute(self, requests: list[Any]) -> list[Any]:
        responses: list[Any] = [None] * len(requests)
        judged: dict[str, list[tuple[int, Any]]] = {}
        for place, request in enumerate(requests):
            try:
                scope = self.scope(request)
                if has(request, "EMBEDDING"):
                    judged.setdefault(scope, []).append((place, self.embeddings(request)))
                    continue
                if has(request, "BANK_HEADER"):
                    self.put(scope, request)
                responses[place] = self.answer(self.bank(scope), 1, {})
            except Refused as error:
                responses[place] = refusal(error)
        for scope, rows in judged.items():
            for place, response in self.judge(self.bank(scope), rows):
                responses[place] = response
        return responses

    def judge(self, bank: Bank, judged: list[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """All rows of one scope in one product."""
        rows = np.concatenate([some for _, some in judged])
        probabilities, hits = self.head.probabilities(rows), bank.search(rows)
        start = 0
        for place, some in judged:
            mine = slice(start, start + len(some))
            names, near = (np.stack(each) for each in zip(*hits[mine], strict=True))
            tensors = {"PROBABILITIES": probabilities[mine]}
            tensors |= {"HIT_NAMES": names, "HIT_SIMILARITIES": near}
            yield place, self.answer(bank, len(some), tensors)
            start = mine.stop

    def answer(self, bank: Bank, rows: int, tensors: dict[str, Any]) -> Any:
        generation = np.array([bank.generation] * rows, dtype=np.int64)
        tensors = {**tensors, "GENERATION": generation}
        made = [pb_utils.Tensor(name, np.ascontiguousarray(v)) for name, v in tensors.items()]
        return pb_utils.InferenceResponse(output_tensors=made)

    def embeddings(self, request: Any) -> Any:
        rows = tensor(request, "EMBEDDING", (None, self.head.dims))
        if not np.isfinite(rows).all():
            raise Refused("EMBEDDING holds a number that is not finite")
        return rows

    def scope(self, request: Any) -> str:
        """Who asks, after the space was found to be the head's."""
        names = tensor(request, "SPACE", (None, 2))[0].tolist()
        space, scope = (bytes(name).decode("utf-8", "replace") for name in names)
        if space != self.head.space:
            raise Refused(f"SPACE is {space}, the head is for {self.head.space}")
        return scope

    def bank(self, scope: str) -> Bank:
        if scope not in self.banks:
            return self.empty((0, 0))
        self.banks.move_to_end(scope)
        return self.banks[scope]

    def put(self, scope: str, request: Any) -> None:
        number, digest, part, parts, entries = tensor(request, "BANK_HEADER", (1, 5))[0].tolist()
        if not (0 <= part < parts <= MAX_ENTRIES and 0 <= entries <= MAX_ENTRIES and number >= 0):
            raise Refused("BANK_HEADER is out of range")
        if (number, digest) <= self.bank(scope).generation:
            return
        feed = (scope, number, digest)
        received = self.feeds.setdefault(feed, {})
        self.feeds.move_to_end(feed)
        while len(self.feeds) > MAX_FEEDS:
            self.feeds.popitem(last=False)
        if entries:
            received[part] = self.part(request)
        if entries == 0 or len(received) == parts or count(received) > entries:
            del self.feeds[feed]
            self.replace(scope, (number, digest), received, entries)

    def part(self, request: Any) -> tuple[Any, list[Name]]:
        names = tensor(request, "BANK_NAMES", (1, None, 2))[0]
        vectors = tensor(request, "BANK_VECTORS", (1, len(names), self.head.dims))[0]
        if not np.isfinite(vectors).all():
            raise Refused("BANK_VECTORS holds a number that is not finite")
        # copies: the tensor's memory belongs to the request
        return vectors.copy(), [(bytes(bank), bytes(entry)) for bank, entry in names]

    def replace(
        self, scope: str, generation: Generation, received: dict[int, Any], entries: int
    ) -> None:
        parts = [received[number] for number in sorted(received)]
        if count(received) != entries:
            raise Refused(f"{count(received)} entries came, {entries} were announced")
        names = [pair for _, some in parts for pair in some]
        empty = np.zeros((0, self.head.dims), np.float32)
        vectors = np.concatenate([empty, *(some for some, _ in parts)])
        self.banks[scope] = Bank(generation, vectors, names)
        self.banks.move_to_end(scope)
        for feed in [feed for feed in self.feeds if feed[0] == scope and feed[1:] <= generation]:
            del self.feeds[feed]
        self.forget()

    def forget(self) -> None:
        """Keeps memory bounded; the newest scope always stays."""
        while len(self.banks) > 1 and (
            len(self.banks) > MAX_SCOPES
            or sum(len(bank.names) for bank in self.banks.values()) > MAX_TOTAL
        ):
            self.banks.popitem(last=False)


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
