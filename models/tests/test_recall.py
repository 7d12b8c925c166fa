from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inyeon_models.errors import SourceError
from inyeon_models.recall import Row, choose, read_pairs, recalls

pytestmark = pytest.mark.unit

Float = NDArray[np.float32]


def _one_hot(texts: Sequence[str]) -> Float:
    """A stand-in encoder: the text's number picks the direction."""
    return np.eye(8, dtype=np.float32)[[int(text) % 8 for text in texts]]


def test_recall_counts_ranks() -> None:
    candidates = np.eye(30, dtype=np.float32)
    assert recalls(candidates, candidates) == (1.0, 1.0)
    wrong = np.roll(candidates, 1, axis=0)
    one, _ = recalls(wrong, candidates)
    assert one == 0.0
    ranks = np.tile(np.arange(30, 0, -1, dtype=np.float32), (30, 1))
    assert recalls(ranks, candidates) == pytest.approx((1 / 30, 10 / 30))


def _write(folder: Path, name: str, left: str, right: str) -> None:
    first, second = name.split("-")
    (folder / f"{name}.{first}").write_text(left, "utf-8")
    (folder / f"{name}.{second}").write_text(right, "utf-8")


def test_only_supported_languages_and_unseen_sentences_are_read(tmp_path: Path) -> None:
    _write(tmp_path, "deu-eng", "1\n2\n3\n", "1\n2\n4\n")
    _write(tmp_path, "ben-eng", "1\n", "1\n")
    pairs = read_pairs(tmp_path, _one_hot, {"4"})
    assert [pair.name for pair in pairs] == ["deu-eng"]
    assert pairs[0].left.shape == pairs[0].right.shape == (2, 8)


def test_an_absent_data_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="INYEON_DATA"):
        read_pairs(tmp_path, _one_hot, set())


def test_the_smallest_candidate_within_the_allowed_loss_is_chosen() -> None:
    full = Row(512, "float32", 2048, 0.9, 0.990, "a-b", 0.9, False)
    rows = [full, replace(full, dims=512, encoding="int8")]
    rows += [replace(full, dims=32, recall_at_10=0.970), replace(full, dims=64, recall_at_10=0.976)]
    assert choose(rows) == 64
    assert choose(rows[:3]) == 512
