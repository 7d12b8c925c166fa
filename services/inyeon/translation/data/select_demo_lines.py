"""Chooses the demo lines: English-Spanish pairs of Tatoeba, by length and seed only.

    python services/inyeon/translation/data/select_demo_lines.py ../shared/data/translation/tatoeba-
    dev

Nothing is asked of an engine here, so what the demo shows is what the engine can do. The
phrasebook's sentences are
left out, so that the demo does not show the phrasebook by chance.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from inyeon.translation.data import DEMO_LINES, read_phrasebook

SEED = 20_260_101
COUNT = 60
SHORTEST, LONGEST = 12, 48
"""Characters of each side: a chat line of three to nine words."""


def main(folder: Path) -> None:
    """Writes the fixture beside this file."""
    english = (folder / "eng-spa.eng").read_text("utf-8").splitlines()
    spanish = (folder / "eng-spa.spa").read_text("utf-8").splitlines()
    book = read_phrasebook()
    fitting = [
        (en, es)
        for en, es in zip(english, spanish, strict=True)
        if SHORTEST <= len(en) <= LONGEST
        and SHORTEST <= len(es) <= LONGEST
        and not book.knows(en, "en")
        and not book.knows(es, "es")
    ]
    draw = random.Random(SEED)  # noqa: S311 - a draw that repeats, not a secret
    chosen = sorted(draw.sample(fitting, COUNT))
    head = (
        "# Tatoeba (tatoeba.org), CC BY 2.0 FR; see NOTICE.txt and select_demo_lines.py\nen\tes\n"
    )
    DEMO_LINES.write_text(head + "".join(f"{en}\t{es}\n" for en, es in chosen), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
