"""What is said in the demo and whether it arrived right."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from inyeon.cli.demo.seen import Seen, Shown
from inyeon.translation.data import demo_lines

LINES_EACH_WAY = 6
ENGINE_LINES_NEEDED = 4
LINK = "https://example.org/walk?day=7"


class Kind(Enum):
    """Where a line comes from."""

    SENTENCE = "sentence"
    PHRASE = "phrase"
    NAME_AND_LINK = "name and link"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that somebody says. `must_hold` are strings that must arrive letter by letter."""

    segment_id: str
    text: str
    kind: Kind
    must_hold: tuple[str, ...] = ()


def lines_of(seed: int, language: str, partner_name: str) -> list[Line]:
    """Six sentences by seed, two phrases, one line with a name and a link."""
    pairs = demo_lines(seed, 2 * LINES_EACH_WAY)
    if language == "en":
        sentences = [english for english, _ in pairs[:LINES_EACH_WAY]]
        phrases = ["Where are you from?", "Nice to meet you!"]
        greeting = f"Nice to meet you, {partner_name}! {LINK}"
    else:
        sentences = [spanish for _, spanish in pairs[LINES_EACH_WAY:]]
        phrases = ["¿De dónde eres?", "¡Mucho gusto!"]
        greeting = f"¡Mucho gusto, {partner_name}! {LINK}"
    lines = [Line(f"{language}-{i}", text, Kind.SENTENCE) for i, text in enumerate(sentences)]
    lines += [Line(f"{language}-p{i}", text, Kind.PHRASE) for i, text in enumerate(phrases)]
    lines.append(Line(f"{language}-n", greeting, Kind.NAME_AND_LINK, (partner_name, LINK)))
    return lines


@dataclass(frozen=True, slots=True)
class Arrival:
    """How one direction arrived."""

    sentences: int
    by_engine: int
    untranslated: int
    phrases_right: bool
    name_and_link_right: bool
    acknowledged: int

    def right(self, *, engine_present: bool) -> bool:
        """All sentences arrived; by the engine, or honestly marked where there is none."""
        if engine_present:
            translated = self.by_engine >= ENGINE_LINES_NEEDED
        else:
            translated = self.untranslated == LINES_EACH_WAY
        complete = self.sentences == LINES_EACH_WAY and translated
        return complete and self.phrases_right and self.name_and_link_right


def arrival(lines: list[Line], author: Seen, reader: Seen) -> Arrival:
    """Compares what was said with what the reader's device showed."""
    shown = {c.segment_id: c for c in reader.captions if c.final and c.author_id == author.subject}
    sentences = [shown[x.segment_id] for x in _of(lines, Kind.SENTENCE) if x.segment_id in shown]
    return Arrival(
        sentences=sum(bool(c.text.strip()) for c in sentences),
        by_engine=sum(c.tier == "APERTIUM" and not c.untranslated for c in sentences),
        untranslated=sum(c.untranslated for c in sentences),
        phrases_right=all(_phrase_right(x, shown) for x in _of(lines, Kind.PHRASE)),
        name_and_link_right=all(_held(x, shown) for x in _of(lines, Kind.NAME_AND_LINK)),
        acknowledged=sum(x.segment_id in author.acknowledged for x in lines),
    )


def all_arrived(lines: list[Line], author: Seen, reader: Seen) -> bool:
    """Every line is on the reader's device and acknowledged to the author."""
    finals = {c.segment_id for c in reader.captions if c.final}
    return all(x.segment_id in finals and x.segment_id in author.acknowledged for x in lines)


def _of(lines: list[Line], kind: Kind) -> list[Line]:
    return [x for x in lines if x.kind is kind]


def _phrase_right(line: Line, shown: dict[str, Shown]) -> bool:
    caption = shown.get(line.segment_id)
    return caption is not None and caption.tier == "PHRASEBOOK" and caption.text != line.text


def _held(line: Line, shown: dict[str, Shown]) -> bool:
    caption = shown.get(line.segment_id)
    return caption is not None and all(part in caption.text for part in line.must_hold)
