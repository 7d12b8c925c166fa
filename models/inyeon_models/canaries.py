"""Known answers: inputs made from integers, with what each heavy model must say of them.

Whoever serves the models asks these first and every now and then: a server can answer with success
and carry nothing, or carry another model. `canaries.json` holds

    {"schema_version": 1, "bound": ..., "dims": 64, "head": [probabilities],
     "pictures": [{"product": "nsfw-inception-v3", "side": 299, "pattern": 0, "probabilities":
     [...]}]}

The picture `pattern` is that of `golden.pattern`, (side, side, 3) in [0, 1]. The embedding is e_i =
(109 i mod 255 - 127) / 16 for i in 0 .. dims - 1. Probabilities of pictures are TF.js's (golden
files); those of the head are our float64 reading.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inyeon_models import golden
from inyeon_models.content_head import load_head
from inyeon_models.errors import SourceError
from inyeon_models.runtimes import onnx_session

# Other runtimes and processors round otherwise (TF32 on a GPU: up to about 2e-3 seen by their
# makers); another model, class order or preprocessing is further away than this.
BOUND = 0.01
SIDES = {"nsfw-inception-v3": 299, "nsfw-mobilenet-v2-mid": 224}


@dataclass(frozen=True, slots=True)
class PictureCanary:
    """What the model made as `product` says of one pattern."""

    product: str
    side: int
    pattern: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Canaries:
    """The whole file."""

    bound: float
    dims: int
    head: tuple[float, ...]
    pictures: tuple[PictureCanary, ...]


def embedding(dims: int) -> NDArray[np.float64]:
    """(dims,) embedding of the head's canary, exact in binary; 109 gives unlike probabilities."""
    return (109 * np.arange(dims) % 255 - 127) / 16.0


def document(goldens: Mapping[str, bytes], head: Path) -> bytes:
    """The file's bytes from golden files (by path) and the built head; raises SourceError."""
    pictures = [_from_golden(name, data) for name, data in sorted(goldens.items())]
    made = load_head(head)
    dims = made.weights[0].shape[1]
    answer = tuple(round(float(p), 7) for p in made.probabilities(embedding(dims)[None])[0])
    whole = Canaries(BOUND, dims, answer, tuple(pictures))
    return (json.dumps({"schema_version": 1, **asdict(whole)}, indent=1) + "\n").encode()


def read(path: Path) -> Canaries:
    """Read the file; raises SourceError naming it."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        pictures = [
            {**item, "probabilities": tuple(item["probabilities"])} for item in raw["pictures"]
        ]
        facts = tuple(PictureCanary(**item) for item in pictures)
        return Canaries(float(raw["bound"]), int(raw["dims"]), tuple(raw["head"]), facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path.name}: no canaries ({error})") from error


def distance(model: Path, canary: PictureCanary) -> float:
    """How far the ONNX file's answer is from the known one."""
    picture = golden.pattern(canary.pattern, (1, canary.side, canary.side, 3))
    answer = np.asarray(onnx_session(model).run(["probabilities"], {"pictures": picture})[0])[0]
    return float(np.abs(answer - np.asarray(canary.probabilities)).max())


def _from_golden(name: str, data: bytes) -> PictureCanary:
    try:
        raw = json.loads(data)
        product, case = str(raw["product"]), raw["cases"][0]
        values = tuple(float(value) for value in case["outputs"][0]["values"])
        return PictureCanary(product, SIDES[product], int(case["pattern"]), values)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SourceError(f"{name}: no golden values of a filter ({error})") from error
