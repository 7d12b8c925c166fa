"""Files that ship with translation: the phrasebook and the screen's policy (ours), demo lines
(Tatoeba, see NOTICE beside them).
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from inyeon.translation.domain.phrases import Phrasebook

PHRASEBOOK = Path(__file__).parent / "phrasebook.tsv"
SCREEN_POLICY = Path(__file__).parent / "screen.yaml"
DEMO_LINES = Path(__file__).parent / "tatoeba-demo.tsv"


def read_phrasebook(path: Path = PHRASEBOOK) -> Phrasebook:
    """The phrasebook in a file: a head of languages, then one meaning a line, ways parted by `|`.

    Raises ValueError, naming the line, where a line has another number of cells than the head.
    """
    head, *lines = _cells(path)
    rows = []
    for number, cells in enumerate(lines, start=1):
        if len(cells) != len(head):
            raise ValueError(
                f"{path.name}: phrase {number} has {len(cells)} cells, not {len(head)}"
            )
        rows.append({lang: cell.split("|") for lang, cell in zip(head, cells, strict=True) if cell})
    return Phrasebook(rows)


def demo_lines(seed: int, count: int) -> list[tuple[str, str]]:
    """`count` different (English, Spanish) pairs, drawn by seed. Raises ValueError for more than
    there are.
    """
    draw = random.Random(seed)  # noqa: S311 - a draw that repeats, not a secret
    return draw.sample(_demo_pairs(), count)


@cache
def _demo_pairs() -> tuple[tuple[str, str], ...]:
    return tuple((cells[0], cells[1]) for cells in _cells(DEMO_LINES)[1:])


def _cells(path: Path) -> list[list[str]]:
    lines = path.read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
