"""The text-safety model as files: sentencepiece -> table rows -> encoder (ONNX) -> head.

A few lines are those of `inyeon_models`, which makes the files and is never imported here; the
head's file carries sentences with their scores, and a reading that differs is refused at start.
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from inyeon.inference.errors import ModelFailed
from inyeon.runtime.errors import SettingsRefused

NAME = "text-safety-head"
FILES = (
    "text_encoder_sp.model",
    "text_encoder_table.npy",
    "text_encoder_scale.json",
    "text_encoder.onnx",
    "text_safety_head.npz",
)
LANGUAGES = frozenset(
    ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh")
)
"""Languages that the encoder knows; sentences in others give noise."""

BOS, EOS = 1, 2
WINDOW = 64  # tokens; the head learned from lines of about 25, and a long text must not dilute one
OVERLAP = 16  # an insult that a cut divides stands whole in the next window
CANARY_BOUND = 0.005  # processors differ by 1e-6; another way of cleaning by 0.01 and more

Float = NDArray[np.float32]

_LINK = re.compile(r"https?://\S+|www\.\S+")
_MENTION = re.compile(r"@\w+:?")


def clean(text: str) -> str:
    """What the encoder is given: no links and no @names, compatible forms, small letters, single
    blanks. May be empty."""
    without = _MENTION.sub(" ", _LINK.sub(" ", text))
    return " ".join(unicodedata.normalize("NFKC", without).lower().split())


def missing(folder: Path) -> tuple[str, ...]:
    """Files that are not there."""
    return tuple(name for name in FILES if not (folder / name).is_file())


class TextModel:
    """Loaded model. Safe to call from several threads; one call uses one core."""

    def __init__(self, tokenizer: Any, table: _Table, session: Any, head: _Head) -> None:
        self._tokenizer = tokenizer
        self._table = table
        self._session = session
        self._head = head

    @classmethod
    def load(cls, folder: Path) -> TextModel:
        """Opens the files in `folder`, 0.1 s and about 40 MB; the 65 MB table is mapped. Raises
        SettingsRefused (NO_MODELS) for a file that is absent, truncated or of another form, and for
        a model that does not say of known sentences what it should."""
        if absent := missing(folder):
            raise _refused(folder / absent[0], "absent")
        model = cls(_tokenizer(folder), _Table(folder), _session(folder), _Head(folder))
        model._check_canaries(folder)
        return model

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the scores; the last one is the harmless class."""
        return self._head.classes

    @property
    def version(self) -> str:
        """Of the head: equal only for equal numbers."""
        return self._head.version

    def scores(self, text: str) -> tuple[float, ...]:
        """Probability of each class for a cleaned text that is not empty.

        A long text is looked at in windows: each harmful class has its highest probability of all
        windows and the harmless class its lowest. Raises ModelFailed."""
        rows = np.stack([self._window(ids) for ids in self._windows(text)])
        scores = np.append(rows[:, :-1].max(axis=0), rows[:, -1].min())
        if not np.isfinite(scores).all():
            raise ModelFailed("the text-safety model gave numbers that are not finite")
        return tuple(float(score) for score in scores)

    def _windows(self, text: str) -> Iterator[list[int]]:
        pieces = [int(piece) for piece in self._tokenizer.encode(text)]
        starts = range(0, max(1, len(pieces) - OVERLAP), WINDOW - OVERLAP)
        for start in starts:
            yield [BOS, *pieces[start : start + WINDOW], EOS]

    def _window(self, ids: list[int]) -> Float:
        try:
            found = self._session.run(None, {"rows": self._table.rows(ids)})[0]
        except Exception as error:  # onnxruntime raises classes of its own without a common root
            raise ModelFailed(f"text encoder: {type(error).__name__}") from error
        return self._head.probabilities(np.asarray(found)[0])

    def _check_canaries(self, folder: Path) -> None:
        path = folder / FILES[-1]
        for text, promised in self._head.canaries.items():
            try:
                scores = self.scores(clean(text))
            except (ModelFailed, IndexError, ValueError) as error:
                raise _refused(path, f"no answer to a known sentence: {error}") from error
            apart = float(np.abs(np.asarray(scores) - promised).max())
            if not apart <= CANARY_BOUND:
                raise _refused(path, f"a known sentence is {apart:.3f} off")


class _Table:
    """Dequantised rows of the mapped table."""

    def __init__(self, folder: Path) -> None:
        try:
            name = "text_encoder_table.npy"
            self._table = np.load(folder / name, mmap_mode="r", allow_pickle=False)
            name = "text_encoder_scale.json"
            rule = json.loads((folder / name).read_text("utf-8"))
            self._scale = np.asarray(rule["scale"], dtype=np.float32)
            self._low = np.asarray(rule["low"], dtype=np.float32)
        except (OSError, ValueError, KeyError, EOFError, TypeError) as error:
            raise _refused(folder / name, str(error)) from error

    def rows(self, ids: list[int]) -> Float:
        """(1, tokens, 512) float32."""
        index = np.asarray(ids, dtype=np.int64)
        block = index % len(self._scale)
        quantised = np.asarray(self._table[index], dtype=np.float32)
        return np.asarray(quantised * self._scale[block, None] + self._low[block, None])[None]


class _Head:
    """softmax(weights @ embedding + bias)."""

    def __init__(self, folder: Path) -> None:
        path = folder / FILES[-1]
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
                self._take(archive)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise _refused(path, str(error)) from error

    def _take(self, archive: Mapping[str, NDArray[Any]]) -> None:
        self._weights = np.asarray(archive["weights"], dtype=np.float64)
        self._bias = np.asarray(archive["bias"], dtype=np.float64)
        self.classes = tuple(str(name) for name in archive["classes"])
        self.version = str(archive["version"])
        texts, scores = archive["canary_texts"].tolist(), archive["canary_scores"]
        self.canaries: dict[str, Float] = dict(zip(texts, scores, strict=True))
        if self._weights.shape[:1] != self._bias.shape or self._bias.shape != (len(self.classes),):
            raise ValueError(f"weights {self._weights.shape}, classes {self.classes}")

    def probabilities(self, embedding: Float) -> Float:
        """(classes,) of a (512,) embedding."""
        logits = self._weights @ embedding + self._bias
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum(), dtype=np.float32)


def _tokenizer(folder: Path) -> Any:
    import sentencepiece  # 12 MB that a process without a text screen does without

    path = folder / "text_encoder_sp.model"
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise _refused(path, str(error)) from error


def _session(folder: Path) -> Any:
    import onnxruntime

    path = folder / "text_encoder.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own without a common root
        raise _refused(path, str(error)) from error


def _refused(path: Path, why: str) -> SettingsRefused:
    message = f"{path}: no text-safety model ({why}); run `make models`"
    return SettingsRefused(message, reason="NO_MODELS", field="models_dir")
