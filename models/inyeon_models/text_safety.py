"""The text-safety head: what a sentence embedding says about hate and insult.

probabilities = softmax(weights @ embedding + bias), classes in the order of CLASSES. One layer is
all that the labels support: a hidden layer did not raise a single held-out figure (see the card).
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import SourceError
from inyeon_models.files import sha256_of_bytes

Float = NDArray[np.float32]
Exact = NDArray[np.float64]

CLASSES = ("hate", "offensive", "neither")
HATE, OFFENSIVE, NEITHER = range(3)
FORMAT = 1
CANARIES = (
    "You are an idiot.",
    "See you tomorrow at the station!",
    "  \uff28\uff25\uff2c\uff2c\uff2f @rose,\n look: https://example.org/?q=1  ",
    "넌 정말 바보야",
    "Nadie te quiere aquí, vete",
)
"""Sentences whose scores travel in the file: a reader that prepares texts otherwise finds out."""

_LINK = re.compile(r"https?://\S+|www\.\S+")
_MENTION = re.compile(r"@\w+:?")


def clean(text: str) -> str:
    """What the encoder is given: no links and no @names, compatible forms, small letters, single
    blanks. May be empty. Services repeat these lines; CANARIES hold both to the same result.
    """
    without = _MENTION.sub(" ", _LINK.sub(" ", text))
    return " ".join(unicodedata.normalize("NFKC", without).lower().split())


@dataclass(frozen=True, slots=True)
class TextHead:
    """weights (3, 512), bias (3,), float32; `points` are operating points chosen in training."""

    weights: Float
    bias: Float
    encoder: str
    """Name and version of the encoder that it was trained on, as name@version."""
    points: Mapping[str, float]

    @property
    def version(self) -> str:
        """The format and 12 digits of the numbers' digest: equal only for equal numbers."""
        digest = sha256_of_bytes(self.weights.tobytes() + self.bias.tobytes())
        return f"{FORMAT}-{digest[:12]}"

    def probabilities(self, embeddings: Float) -> Exact:
        """(n, 3) rows that sum to 1, of (n, 512) embeddings."""
        exact = embeddings.astype(np.float64) @ self.weights.T.astype(np.float64)
        return softmax(exact + self.bias)


def softmax(logits: Exact) -> Exact:
    """Rows of probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def to_npz(head: TextHead, canary_scores: Exact) -> bytes:
    """The file that ships, bytes stable: weights, bias, classes, encoder, version, points and the
    scores (n, 3) of CANARIES."""
    buffer = io.BytesIO()
    names = sorted(head.points)
    np.savez(
        buffer,
        allow_pickle=False,
        weights=head.weights,
        bias=head.bias,
        classes=np.asarray(CLASSES),
        encoder=np.asarray(head.encoder),
        version=np.asarray(head.version),
        point_names=np.asarray(names),
        points=np.asarray([head.points[name] for name in names], dtype=np.float64),
        canary_texts=np.asarray(CANARIES),
        canary_scores=canary_scores.astype(np.float32),
    )
    return buffer.getvalue()


def load_head(path: Path) -> tuple[TextHead, Float]:
    """The head of a file and the scores it promises for CANARIES. Raises SourceError naming a file
    that is absent, truncated, of another form, or whose version is not that of its numbers."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            head, version = _head(archive), str(archive["version"])
            scores = np.asarray(archive["canary_scores"], dtype=np.float32)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise SourceError(f"{path.name}: no text-safety head ({error})") from error
    if version != head.version or scores.shape != (len(CANARIES), len(CLASSES)):
        raise SourceError(f"{path.name}: version {version} is not that of its numbers")
    return head, scores


def _head(archive: Mapping[str, NDArray[np.generic]]) -> TextHead:
    weights = np.asarray(archive["weights"], dtype=np.float32)
    bias = np.asarray(archive["bias"], dtype=np.float32)
    if weights.ndim != 2 or weights.shape[0] != len(CLASSES) or bias.shape != (len(CLASSES),):
        raise ValueError(f"weights are {weights.shape}, bias {bias.shape}")
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise ValueError("numbers that are not finite")
    values = np.asarray(archive["points"], dtype=np.float64).tolist()
    points = dict(zip(archive["point_names"].tolist(), values, strict=True))
    return TextHead(weights, bias, str(archive["encoder"]), points)
