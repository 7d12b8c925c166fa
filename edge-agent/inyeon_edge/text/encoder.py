"""Interests in any of the encoder's 16 languages as one small int8 vector.

text -> sentencepiece ids (BOS and EOS included) -> rows of a memory-mapped uint8 table -> ONNX ->
512 dimensions of length 1 -> projection -> int8 with one scale (INT8_SCALED of the contract).

The table takes 65 MB on disk and is mapped, so a dozen of its pages are ever read. The encoder is
made for one text and let go: the process does not keep its 20 MB.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inyeon_edge.errors import InputRefused, ModelError
from inyeon_edge.text.naming import model_name

Float = NDArray[np.float32]

DIMS = 512
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)  # the scale travels as float32
MAX_TOKENS = 256  # about 200 words; cost grows with the length and an interest is a line or two
MAX_TEXT_BYTES = 8192  # as long as a chat line may be
FILES = (
    "text_encoder_sp.model",
    "text_encoder_table.npy",
    "text_encoder_scale.json",
    "text_encoder.onnx",
    "interest_projection.npz",
)


@dataclass(frozen=True, slots=True)
class InterestVector:
    """What the platform compares. Vectors of different model or version never meet."""

    model: str
    version: str
    scale: float
    """Value of one step."""
    steps: NDArray[np.int8]
    """(dims,) int8; value = step * scale."""

    def values(self) -> Float:
        """(dims,) float32."""
        return self.steps.astype(np.float32) * np.float32(self.scale)


def encode_interests(text: str, folder: Path) -> InterestVector:
    """Encodes a text with the model files in `folder`, one thread, about 50 ms with loading.

    Raises InputRefused (`interests`) for an empty or overlong text and ModelError naming a file
    that is absent, truncated or of another form.
    """
    if not text.strip() or len(text.encode()) > MAX_TEXT_BYTES:
        message = f"interests are 1 to {MAX_TEXT_BYTES} bytes of text"
        raise InputRefused(message, reason="INTERESTS_INVALID", field="interests")
    for name in FILES:
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name} is absent: run `make models`", field=name)
    sentence = _sentence(text, folder)
    return _reduced(sentence, folder)


def quantise(values: Float) -> tuple[float, NDArray[np.int8]]:
    """One scale and (dims,) int8 steps in [-127, 127]; zero stays zero, and so does what float32
    cannot scale. Error <= scale / 2.
    """
    scale = float(np.abs(values).max(initial=0.0)) / 127.0
    scale = scale if scale >= SMALLEST_SCALE else 1.0
    steps = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
    return scale, steps


def _sentence(text: str, folder: Path) -> Float:
    """(512,) float32 of length 1."""
    rows = _rows(_token_ids(text, folder), folder)
    session = _session(folder / "text_encoder.onnx")
    result = np.asarray(session.run(None, {session.get_inputs()[0].name: rows})[0])
    if result.shape != (1, DIMS) or not np.isfinite(result).all():
        message = f"the text encoder gave {result.shape}"
        raise ModelError(message, field="text_encoder.onnx")
    return np.asarray(result[0], np.float32)


def _token_ids(text: str, folder: Path) -> list[int]:
    import sentencepiece  # 12 MB that most of the agent's life does without

    name = "text_encoder_sp.model"
    try:
        tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / name))
    except (RuntimeError, OSError) as error:
        raise ModelError(f"{name}: {error}", field=name) from error
    ids = [int(each) for each in tokenizer.encode(text, add_bos=True, add_eos=True)]
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]


def _rows(ids: list[int], folder: Path) -> Float:
    """Dequantised rows of the mapped table, (1, tokens, 512) float32."""
    try:
        table = np.load(folder / "text_encoder_table.npy", mmap_mode="r", allow_pickle=False)
        rule = json.loads((folder / "text_encoder_scale.json").read_text("utf-8"))
        scale = np.asarray(rule["scale"], np.float32)
        low = np.asarray(rule["low"], np.float32)
        index = np.asarray(ids, np.int64)
        block = index % len(scale)
        quantised = np.asarray(table[index], np.float32)
    except (ValueError, KeyError, IndexError, OSError, EOFError) as error:
        message = f"text_encoder_table: {error}"
        raise ModelError(message, field="text_encoder_table.npy") from error
    return np.asarray(quantised * scale[block, None] + low[block, None], np.float32)[None]


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own for every kind of bad file
        raise ModelError(f"{path.name}: {error}", field=path.name) from error


def _reduced(sentence: Float, folder: Path) -> InterestVector:
    """components @ (sentence - mean), scaled to length 1, as int8."""
    name = "interest_projection.npz"
    try:
        with (folder / name).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            mean = np.asarray(archive["mean"], np.float32)
            components = np.asarray(archive["components"], np.float32)
        reduced = np.asarray(components @ (sentence - mean), np.float32)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{name}: {error}", field=name) from error
    if reduced.ndim != 1 or not np.isfinite(reduced).all():
        raise ModelError(f"{name} gives {reduced.shape}", field=name)
    length = float(np.linalg.norm(reduced))
    scale, steps = quantise(reduced / max(length, 1e-9))
    named = model_name(folder, name)
    return InterestVector(named.name, named.version, scale, steps)
