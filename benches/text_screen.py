"""How long the text screen looks at a message: sentence encoder and safety head, in this process.

    python benches/text_screen.py [--json] [--messages 2000]

Messages are lines of the Tatoeba sample in the data folder (INYEON_DATA), all languages that the
encoder knows in turn, each looked at once: what the screen remembers is never asked. One message at
a time through the screen as the translation service calls it; then the model alone, and sixteen at
once, as a busy service sees it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from figures import Row, progress, report

from inyeon.inference.text import InProcessTextScreen
from inyeon.inference.text_model import TextModel, clean, missing
from inyeon_models.text_safety_data import read_everyday

BENCH = "text"
BAR_MS = 5.0
AT_ONCE = 16
WARM = 50
BUDGET_S = 5.0

Message = tuple[str, str]
"""Text and language."""


def messages(count: int) -> list[Message]:
    """Different sentences, languages in turn. Raises SystemExit where there are too few."""
    data = Path(os.environ.get("INYEON_DATA") or "../shared/data")
    by_language = read_everyday(data)
    turns = itertools.zip_longest(
        *([(text, language) for text in texts] for language, texts in by_language.items())
    )
    each = {clean(text): (text, language) for text, language in _whole(turns)}
    if len(each) < count:
        raise SystemExit(f"{len(each)} sentences in {data}, {count} are asked for")
    return list(each.values())[:count]


def _whole(turns: Iterator[tuple[Message | None, ...]]) -> Iterator[Message]:
    for turn in turns:
        yield from (message for message in turn if message is not None)


async def one_by_one(screen: InProcessTextScreen, asked: list[Message]) -> list[float]:
    """Milliseconds of each message, nobody else asking."""
    took = []
    for text, language in asked:
        began = time.perf_counter()
        await screen.screen(text, language, BUDGET_S)
        took.append((time.perf_counter() - began) * 1e3)
    return took


async def together(screen: InProcessTextScreen, asked: list[Message]) -> tuple[list[float], float]:
    """Milliseconds of each message with AT_ONCE callers, and messages a second."""
    waiting, took = iter(asked), list[float]()

    async def caller() -> None:
        for message in waiting:
            took.extend(await one_by_one(screen, [message]))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return took, len(took) / (time.perf_counter() - began)


def model_alone(model: TextModel, asked: list[Message]) -> list[float]:
    """Milliseconds of each message in the model, without queue, thread and memory."""
    took = []
    for text, _ in asked:
        began = time.perf_counter()
        model.scores(clean(text))
        took.append((time.perf_counter() - began) * 1e3)
    return took


async def main(folder: Path, count: int) -> list[Row]:
    """All figures."""
    asked = messages(count)
    model = TextModel.load(folder)
    progress(f"{count} messages, median {int(np.median([len(t) for t, _ in asked]))} characters")
    model_alone(model, asked[:WARM])
    alone = model_alone(model, asked)
    screen, crowd = InProcessTextScreen(model), InProcessTextScreen(model)
    try:
        single = await one_by_one(screen, asked)
        many, per_s = await together(crowd, asked)
    finally:
        await screen.close()
        await crowd.close()
    return [
        _row("screen and encoder, a message, p50", single, 50, BAR_MS),
        _row("screen and encoder, a message, p95", single, 95),
        _row("encoder and head alone, p50", alone, 50),
        _row("encoder and head alone, p95", alone, 95),
        _row(f"{AT_ONCE} at once, p95", many, 95),
        Row(BENCH, f"{AT_ONCE} at once", per_s, "messages/s"),
    ]


def _row(metric: str, took_ms: list[float], quantile: int, bar: float | None = None) -> Row:
    value = float(np.percentile(took_ms, quantile))
    return Row(BENCH, metric, value, "ms", bar, "lower")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Figures of the text screen.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--messages", type=int, default=2000)
    chosen = parser.parse_args()
    built = Path(os.environ.get("INYEON_MODELS_DIR") or "build/models")
    if absent := missing(built):
        raise SystemExit(f"no {absent[0]} in {built}: run `make models` first")
    raise SystemExit(report(asyncio.run(main(built, chosen.messages)), as_json=chosen.json))
