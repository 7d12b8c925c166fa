"""Tensors of the Triton models: requests written, answers read with suspicion.

A server can say OK and carry nothing (numpy 2 in its interpreter), another type, another shape or
NaN. Each of these is ModelFailed here; nothing that passes is less than a whole answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.utils import np_to_triton_dtype

from inyeon.inference.banks import Banks, Generation
from inyeon.inference.errors import ModelFailed
from inyeon.inference.port import BankHit, SpaceId
from inyeon.inference.probabilities import check_probabilities

Float = NDArray[np.float32]
Exact = NDArray[np.float64]

PART_ENTRIES = 4096  # 64 float32 each: 1 MB, a message that no proxy refuses
SIMILARITY_BOUND = 1.0 + 1e-3
APART = 1e-2  # directions come from three digits; no number of a sum is above its counts
JUDGE_OUTPUTS = ("PROBABILITIES", "HIT_NAMES", "HIT_SIMILARITIES", "GENERATION")
GENERATION_OUTPUTS = ("GENERATION",)
IMAGE_OUTPUTS = ("probabilities",)
SESSION_OUTPUTS = ("STATE", "MODEL")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the embedding judge answered, checked."""

    probabilities: Float
    hits: tuple[BankHit, ...]
    generation: Generation


def judge_inputs(space: SpaceId, scope: str, embeddings: Sequence[Float]) -> list[Any]:
    """Asks for a judgement of each (dims,) embedding by the banks of `scope`."""
    rows = np.stack(embeddings).astype(np.float32)
    return [_input("EMBEDDING", rows), *ask_inputs(space, scope, len(rows))]


def ask_inputs(space: SpaceId, scope: str, rows: int = 1) -> list[Any]:
    """Asks which generation of the scope's banks is searched."""
    names = [f"{space.model}@{space.version}", scope]
    return [_input("SPACE", np.array([names] * rows, dtype=np.object_))]


def put_parts(banks: Banks, scope: str) -> Iterator[list[Any]]:
    """The requests that feed `banks`, in order; at least one."""
    starts = range(0, len(banks.entries), PART_ENTRIES) or range(1)
    for part, start in enumerate(starts):
        number, digest = banks.generation.number, banks.generation.digest
        header = [number, digest, part, len(starts), len(banks.entries)]
        inputs = [_input("BANK_HEADER", np.array([header], dtype=np.int64))]
        if banks.entries:
            chosen = slice(start, start + PART_ENTRIES)
            names = [[entry.bank, entry.entry_id] for entry in banks.entries[chosen]]
            inputs.append(_input("BANK_NAMES", np.array([names], dtype=np.object_)))
            inputs.append(_input("BANK_VECTORS", banks.vectors[None, chosen]))
        yield [*inputs, *ask_inputs(banks.space, scope)]


def image_inputs(pictures: Float) -> list[Any]:
    """Asks for probabilities of (n, side, side, 3) pictures in [0, 1]."""
    return [_input("pictures", np.ascontiguousarray(pictures, dtype=np.float32))]


def session_inputs(before: Exact, talks: Exact, partners: Float) -> list[Any]:
    """Asks for states of (n, dims + 4), (n, talks, 2) and (n, talks, dims)."""
    return [_input("BEFORE", before), _input("TALKS", talks), _input("PARTNERS", partners)]


def wanted(names: Sequence[str]) -> list[Any]:
    """Names the outputs that an answer must carry."""
    return [InferRequestedOutput(name) for name in names]


def read_judgements(result: Any, rows: int, classes: int) -> list[Judgement]:
    """Checks a judgement of each row; raises ModelFailed."""
    probabilities = _probabilities(result, "PROBABILITIES", (rows, classes))
    near = _tensor(result, "HIT_SIMILARITIES", np.float32, (rows, None))
    names = _tensor(result, "HIT_NAMES", np.object_, (rows, near.shape[1], 2))
    if not np.isfinite(near).all() or (np.abs(near) > SIMILARITY_BOUND).any():
        raise ModelFailed("HIT_SIMILARITIES holds a number that is no cosine")
    generations = _tensor(result, "GENERATION", np.int64, (rows, 2)).tolist()
    return [
        Judgement(probabilities[row], _hits(names[row], near[row]), Generation(*generations[row]))
        for row in range(rows)
    ]


def read_generation(result: Any) -> Generation:
    """Which state of the banks the server has; raises ModelFailed."""
    number, digest = _tensor(result, "GENERATION", np.int64, (1, 2))[0].tolist()
    return Generation(number, digest)


def read_probabilities(result: Any, pictures: int, classes: int) -> Float:
    """(pictures, classes) of an image filter; raises ModelFailed."""
    return _probabilities(result, "probabilities", (pictures, classes))


def read_sessions(result: Any, shape: tuple[int, ...], model: str) -> Exact:
    """(n, dims + 4) states, said by `model`; raises ModelFailed."""
    said = _tensor(result, "MODEL", np.object_, (shape[0], 1))
    if any(bytes(name) != model.encode() for name in said[:, 0]):
        raise ModelFailed(f"MODEL is {said[0, 0]!r}, not {model}")
    state = _tensor(result, "STATE", np.float64, shape)
    if not np.isfinite(state).all():
        raise ModelFailed("STATE holds a number that is not finite")
    if (state[:, -4:-2] < 0.0).any() or (np.abs(state[:, :-4]) > state[:, -4:-3] + APART).any():
        raise ModelFailed("STATE is no sum of directions")
    return state


def _probabilities(result: Any, name: str, shape: tuple[int, int]) -> Float:
    values = _tensor(result, name, np.float32, shape)
    check_probabilities(values, name)
    return np.asarray(values, dtype=np.float32)


def _tensor(
    result: Any, name: str, dtype: type[np.generic], shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """The output; None in `shape` is any length. tritonclient raises whatever it stumbles over."""
    try:
        values = result.as_numpy(name)
    except Exception as error:
        raise ModelFailed(f"{name} cannot be read ({error})") from error
    if values is None:
        raise ModelFailed(f"{name} is missing or empty")
    fits = len(values.shape) == len(shape) and all(
        want is None or have == want for have, want in zip(values.shape, shape, strict=True)
    )
    if values.dtype != np.dtype(dtype) or not fits:
        raise ModelFailed(f"{name} is {values.dtype} {values.shape}, not {shape}")
    return np.asarray(values)


def _hits(names: NDArray[Any], near: NDArray[Any]) -> tuple[BankHit, ...]:
    return tuple(_hit(name, float(value)) for name, value in zip(names, near, strict=True))


def _hit(name: NDArray[Any], similarity: float) -> BankHit:
    try:
        bank, entry = (bytes(part).decode("utf-8") for part in name)
    except (UnicodeDecodeError, TypeError) as error:
        raise ModelFailed(f"HIT_NAMES holds no text ({error})") from error
    return BankHit(bank, entry, float(np.clip(similarity, -1.0, 1.0)))


def _input(name: str, values: NDArray[Any]) -> Any:
    tensor = InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    tensor.set_data_from_numpy(values)
    return tensor
