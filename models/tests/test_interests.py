from __future__ import annotations

from pathlib import Path

import pytest

from inyeon_models import paths
from inyeon_models.errors import SourceError
from inyeon_models.interests import DIMS, read_phrases

pytestmark = pytest.mark.unit


def test_the_shipped_sentences_suffice_and_repeat_nothing() -> None:
    sentences = read_phrases(paths.PHRASES)
    assert len(sentences) == len(set(sentences)) > 4 * DIMS
    lines = paths.PHRASES.read_text("utf-8").splitlines()
    languages = {line.split("\t")[0] for line in lines if not line.startswith("#")}
    assert len(languages) >= 12


@pytest.mark.parametrize("line", ["no tab", "\tno language", "en\t ", "en\t"])
def test_a_broken_line_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "phrases.tsv"
    path.write_text(f"# comment\n\nen\tfine\n{line}\n", "utf-8")
    with pytest.raises(SourceError, match=r"phrases.tsv:4"):
        read_phrases(path)
