"""Screens sentences in this process: the seam, its adapter and its scripted twin.

A sentence takes 2 to 5 ms of one core, so it never leaves the process. No sentence is kept: what
was screened is remembered by the digest of its cleaned text.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inyeon.inference.text_model import LANGUAGES, NAME, TextModel, clean
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest, Overloaded

MAX_CHARS = 16_384  # an utterance has 8,192 at most; its translation rarely twice as many
MAX_QUEUED = 64  # 64 of 5 ms are 0.3 s, the budget of a final; who comes later is late anyway
REMEMBERED = 20_000  # 32 B of digest and three numbers, about 0.3 kB each: 6 MB
RETRY_S = 0.3


@dataclass(frozen=True, slots=True)
class TextScores:
    """What a model says of one sentence: probabilities in [0, 1], the harmless class last."""

    classes: tuple[str, ...]
    scores: tuple[float, ...]
    model: str
    version: str


class Scorer(Protocol):
    """The model behind a screen. TextModel is one."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the scores; the last one is the harmless class."""
        ...

    @property
    def version(self) -> str:
        """Of its numbers."""
        ...

    def scores(self, text: str) -> tuple[float, ...]:
        """Probability of each class for a cleaned text; blocks. Raises ModelFailed."""
        ...


class TextScreen(Protocol):
    """Scores sentences. Safe to use from many tasks of one loop."""

    @property
    def model(self) -> str:
        """Name, as in models/manifest.toml."""
        ...

    @property
    def version(self) -> str:
        """Version of the model's numbers; thresholds are chosen for one version."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that are scored, the harmless one last."""
        ...

    async def screen(self, text: str, language: str, budget_s: float) -> TextScores:
        """Scores a text within `budget_s` seconds. `language` is a primary tag, or empty where it
        is not known.

        A text without a letter to look at (links, @names, blanks) is harmless. Raises
        InvalidRequest (LANGUAGE_UNKNOWN, TEXT_TOO_LONG: no answer would mean anything),
        DeadlineExceeded, Overloaded, ModelFailed. A caller that runs out of time leaves other
        callers' request alone.
        """
        ...

    async def close(self) -> None:
        """Ends what is under way. Closing twice does nothing."""
        ...


def check(text: str, language: str, budget_s: float) -> None:
    """What every screen refuses. Raises InvalidRequest, DeadlineExceeded."""
    if language and language not in LANGUAGES:
        message = f"the text encoder does not know {language!r}"
        raise InvalidRequest(message, reason="LANGUAGE_UNKNOWN", field="language")
    if len(text) > MAX_CHARS:
        message = f"a text has at most {MAX_CHARS} characters"
        raise InvalidRequest(message, reason="TEXT_TOO_LONG", field="text")
    if budget_s <= 0:
        raise DeadlineExceeded("no time to screen a text")


class InProcessTextScreen:
    """TextScreen over a loaded model, one thread: the same text is looked at once at a time."""

    def __init__(self, model: Scorer, remembered: int = REMEMBERED) -> None:
        self._model = model
        self._remembered = remembered
        self._known: OrderedDict[bytes, TextScores] = OrderedDict()
        self._flights: dict[bytes, asyncio.Task[TextScores]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="text-screen")

    @classmethod
    async def open(cls, folder: Path) -> InProcessTextScreen:
        """Loads the files in `folder` in a thread. Raises SettingsRefused (NO_MODELS)."""
        return cls(await asyncio.to_thread(TextModel.load, folder))

    @property
    def model(self) -> str:
        """As TextScreen says."""
        return NAME

    @property
    def version(self) -> str:
        """As TextScreen says."""
        return self._model.version

    @property
    def classes(self) -> tuple[str, ...]:
        """As TextScreen says."""
        return self._model.classes

    async def screen(self, text: str, language: str, budget_s: float) -> TextScores:
        """As TextScreen says."""
        check(text, language, budget_s)
        cleaned = clean(text)
        if not any(character.isalpha() for character in cleaned):
            return self._harmless()
        key = hashlib.sha256(cleaned.encode("utf-8", "surrogatepass")).digest()
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        flight = self._flights.get(key) or self._start(key, cleaned)
        try:
            async with asyncio.timeout(budget_s):
                return await asyncio.shield(flight)
        except TimeoutError as error:
            raise DeadlineExceeded(f"a text was not screened in {budget_s:.3f} s") from error

    async def close(self) -> None:
        """As TextScreen says."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

    def _start(self, key: bytes, cleaned: str) -> asyncio.Task[TextScores]:
        if len(self._flights) >= MAX_QUEUED:
            raise Overloaded("too many texts wait to be screened", retry_after_s=RETRY_S)
        flight = asyncio.get_running_loop().create_task(self._look(cleaned))
        self._flights[key] = flight
        flight.add_done_callback(lambda done: self._land(key, done))
        return flight

    async def _look(self, cleaned: str) -> TextScores:
        loop = asyncio.get_running_loop()
        scores = await loop.run_in_executor(self._thread, self._model.scores, cleaned)
        return TextScores(self.classes, scores, self.model, self.version)

    def _land(self, key: bytes, flight: asyncio.Task[TextScores]) -> None:
        self._flights.pop(key, None)
        if flight.cancelled() or flight.exception() is not None:
            return
        self._known[key] = flight.result()
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)

    def _harmless(self) -> TextScores:
        scores = (0.0,) * (len(self.classes) - 1) + (1.0,)
        return TextScores(self.classes, scores, self.model, self.version)


class ScriptedTextScreen:
    """TextScreen for tests: says what the script says of texts that hold its words.

    `script` maps a part of a text, in small letters, to scores, or to an error that is raised; any
    other text is harmless.
    """

    def __init__(
        self,
        script: Mapping[str, tuple[float, ...] | Exception],
        *,
        version: str = "scripted",
        classes: tuple[str, ...] = ("hate", "offensive", "neither"),
    ) -> None:
        self._script = script
        self.model = NAME
        self.version = version
        self.classes = classes
        self.asked: list[tuple[str, str]] = []
        """(text, language) of every call that was not refused."""

    async def screen(self, text: str, language: str, budget_s: float) -> TextScores:
        """As TextScreen says."""
        check(text, language, budget_s)
        self.asked.append((text, language))
        said = next((self._script[part] for part in self._script if part in text.lower()), None)
        if isinstance(said, Exception):
            raise said
        scores = said or (0.0,) * (len(self.classes) - 1) + (1.0,)
        return TextScores(self.classes, scores, self.model, self.version)

    async def close(self) -> None:
        """As TextScreen says."""
