"""Golden inputs and outputs: small committed numbers that a built file must reproduce.

Inputs are made from integers alone, so that they are the same bits everywhere; outputs are
committed as a few values at fixed places with their mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import VerifyError
from inyeon_models.files import write_bytes

Float = NDArray[np.float32]

SAMPLES = 12
_KNUTH = 2654435761  # Knuth's multiplicative hash, modulo 2^32: neighbours become unrelated


@dataclass(frozen=True, slots=True)
class Expected:
    """What one output tensor must look like: shape, mean, and values at `places` (flat)."""

    shape: tuple[int, ...]
    mean: float
    places: tuple[int, ...]
    values: tuple[float, ...]

    def distance(self, actual: Float) -> float:
        """Largest difference; above 1, relative to the largest golden value.

        Raises VerifyError for another shape or NaN.
        """
        if tuple(actual.shape) != self.shape:
            raise VerifyError(f"shape is {tuple(actual.shape)}, golden is {self.shape}")
        if not np.isfinite(actual).all():
            raise VerifyError("output holds NaN or infinity")
        flat = actual.astype(np.float64).ravel()
        apart = np.abs(flat[list(self.places)] - np.asarray(self.values))
        largest = max(1.0, float(np.abs(self.values).max()))
        return float(max(apart.max(), abs(flat.mean() - self.mean)) / largest)


@dataclass(frozen=True, slots=True)
class Case:
    """One input (a pattern's number, a text, or a built picture's file) and what must come out."""

    outputs: tuple[Expected, ...]
    pattern: int | None = None
    text: str | None = None
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class Golden:
    """All cases of one file, the bound, and which runtime the numbers came from."""

    product: str
    made_with: str
    bound: float
    cases: tuple[Case, ...]


def pattern(number: int, shape: Sequence[int]) -> Float:
    """Input picture in [0, 1]: even numbers give noise, odd ones smooth stripes."""
    count = int(np.prod(shape))
    index = np.arange(count, dtype=np.uint64)
    if number % 2 == 0:
        mixed = ((index + np.uint64(number + 1)) * np.uint64(_KNUTH)) % np.uint64(1 << 32)
        values = (mixed >> np.uint64(8)).astype(np.float64) / (1 << 24)
    else:
        period = np.uint64(97 * (number + 2))
        values = ((index % period).astype(np.float64)) / float(period)
    return values.astype(np.float32).reshape(tuple(shape))


def sampled(picture: NDArray[np.uint8], height: int, width: int) -> Float:
    """A picture (rows, columns, 3) as (1, height, width, 3) in [0, 1], by nearest sample only."""
    rows = np.arange(height) * picture.shape[0] // height
    columns = np.arange(width) * picture.shape[1] // width
    chosen = picture[rows][:, columns].astype(np.float32)
    return np.asarray(chosen / np.float32(255.0))[None]


def expected_from(actual: Float) -> Expected:
    """Golden values of one output: SAMPLES places spread evenly, and the largest."""
    flat = actual.astype(np.float64).ravel()
    spread = np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).astype(int)
    places = tuple(sorted({int(place) for place in spread} | {int(np.abs(flat).argmax())}))
    values = tuple(round(float(flat[place]), 7) for place in places)
    return Expected(tuple(actual.shape), round(float(flat.mean()), 7), places, values)


def read(folder: Path, product: str) -> Golden:
    """Read `golden/<product>.json`; raises VerifyError where it is absent or broken."""
    path = folder / f"{product}.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        cases = tuple(_case(item) for item in document["cases"])
        made_with, bound = str(document["made_with"]), float(document["bound"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerifyError(f"golden/{path.name}: cannot be read ({error})") from error
    return Golden(product, made_with, bound, cases)


def write(folder: Path, golden: Golden) -> None:
    """Write `golden/<product>.json`, one case a line."""
    head = {"product": golden.product, "made_with": golden.made_with, "bound": golden.bound}
    lines = ",\n  ".join(json.dumps(_document(case), ensure_ascii=False) for case in golden.cases)
    start = json.dumps(head, ensure_ascii=False)[:-1]
    text = f'{start}, "cases": [\n  {lines}\n]}}\n'
    write_bytes(folder / f"{golden.product}.json", text.encode())


def _document(case: Case) -> dict[str, Any]:
    outputs = [
        {"shape": out.shape, "mean": out.mean, "places": out.places, "values": out.values}
        for out in case.outputs
    ]
    origins = {"pattern": case.pattern, "text": case.text, "picture": case.picture}
    origin = {key: value for key, value in origins.items() if value is not None}
    return {**origin, "outputs": outputs}


def _case(item: Mapping[str, Any]) -> Case:
    outputs = tuple(
        Expected(
            shape=tuple(int(dim) for dim in out["shape"]),
            mean=float(out["mean"]),
            places=tuple(int(place) for place in out["places"]),
            values=tuple(float(value) for value in out["values"]),
        )
        for out in item["outputs"]
    )
    return Case(outputs, item.get("pattern"), item.get("text"), item.get("picture"))
