"""Runs the built text encoder: text -> token ids -> table rows -> (512,) float32.

For the build and its tests. The agent has its own copy of these few lines, because it reads the
files only and never imports this package.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import sentencepiece as spm
from numpy.typing import NDArray

from inyeon_models.runtimes import onnx_session
from inyeon_models.text_encoder import DIMS, INPUT

Float = NDArray[np.float32]
# Cost grows with the length and an interest is a sentence or two; 256 tokens are about 200 words.
MAX_TOKENS = 256
BOS, EOS = 1, 2


class SentenceEncoder:
    """Holds the session and the mapped table; not thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = spm.SentencePieceProcessor(
            model_file=str(folder / "text_encoder_sp.model")
        )
        self._table = np.load(folder / "text_encoder_table.npy", mmap_mode="r")
        rule = json.loads((folder / "text_encoder_scale.json").read_text("utf-8"))
        self._scale = np.asarray(rule["scale"], dtype=np.float32)
        self._low = np.asarray(rule["low"], dtype=np.float32)
        self._session: ort.InferenceSession = onnx_session(folder / "text_encoder.onnx")

    def token_ids(self, text: str) -> list[int]:
        """BOS, the pieces of `text`, EOS; at most MAX_TOKENS, keeping EOS.

        A run of unknown characters is one UNK, as everywhere in sentencepiece.
        """
        pieces = [int(piece) for piece in self._tokenizer.encode(text)]
        return [BOS, *pieces[: MAX_TOKENS - 2], EOS]

    def rows(self, ids: Sequence[int]) -> Float:
        """Dequantised table rows, (1, tokens, 512)."""
        index = np.asarray(ids, dtype=np.int64)
        block = index % len(self._scale)
        quantised = np.asarray(self._table[index], dtype=np.float32)
        return np.asarray(quantised * self._scale[block, None] + self._low[block, None])[None]

    def encode(self, texts: Sequence[str]) -> Float:
        """(n, 512) float32 rows of length 1."""
        result = np.empty((len(texts), DIMS), dtype=np.float32)
        for row, text in enumerate(texts):
            feed = {INPUT: self.rows(self.token_ids(text))}
            result[row] = np.asarray(self._session.run(None, feed)[0])[0]
        return result
