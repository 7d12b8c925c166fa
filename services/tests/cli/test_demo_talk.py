"""Whether what was said arrived right is judged by what the other device showed."""

from __future__ import annotations

import pytest

from inyeon.cli.demo.seen import Seen, Shown
from inyeon.cli.demo.talk import Kind, Line, all_arrived, arrival, lines_of

pytestmark = pytest.mark.unit

SENTENCES = [Line(f"s{i}", f"sentence {i}", Kind.SENTENCE) for i in range(6)]
PHRASE = Line("p0", "Where are you from?", Kind.PHRASE)
NAMED = Line("n", "hi Rose", Kind.NAME_AND_LINK, ("Rose",))
LINES = [*SENTENCES, PHRASE, NAMED]


def shown(segment: str, text: str, tier: str, *, untranslated: bool = False) -> Shown:
    return Shown("a", segment, text, tier, untranslated, True, "en", "es")


def reader_of(by_engine: int) -> Seen:
    reader = Seen("b")
    for number, line in enumerate(SENTENCES):
        done = number < by_engine
        tier = "APERTIUM" if done else "UNSPECIFIED"
        caption = shown(line.segment_id, f"frase {number}", tier, untranslated=not done)
        reader.captions.append(caption)
    reader.captions.append(shown("p0", "¿De dónde eres?", "PHRASEBOOK"))
    reader.captions.append(shown("n", "hola Rose", "APERTIUM"))
    return reader


@pytest.mark.parametrize(("by_engine", "right"), [(6, True), (4, True), (3, False)])
def test_four_of_six_by_the_engine_are_needed(by_engine: int, right: bool) -> None:
    result = arrival(LINES, Seen("a"), reader_of(by_engine))
    assert result.by_engine == by_engine
    assert result.right(engine_present=True) is right


def test_without_the_engine_all_must_be_marked() -> None:
    assert arrival(LINES, Seen("a"), reader_of(0)).right(engine_present=False)
    assert not arrival(LINES, Seen("a"), reader_of(1)).right(engine_present=False)


def test_a_lost_name_or_a_phrase_by_another_tier_is_wrong() -> None:
    reader = reader_of(6)
    reader.captions[-1] = shown("n", "hola Ascendió", "APERTIUM")
    assert not arrival(LINES, Seen("a"), reader).right(engine_present=True)
    reader = reader_of(6)
    reader.captions[-2] = shown("p0", PHRASE.text, "UNSPECIFIED", untranslated=True)
    assert not arrival(LINES, Seen("a"), reader).right(engine_present=True)


def test_a_line_that_did_not_come_is_missed() -> None:
    reader = reader_of(6)
    del reader.captions[0]
    assert not arrival(LINES, Seen("a"), reader).right(engine_present=True)


def test_arrived_means_shown_there_and_acknowledged_here() -> None:
    author, reader = Seen("a"), reader_of(6)
    assert not all_arrived(LINES, author, reader)
    author.acknowledged = {line.segment_id for line in LINES}
    assert all_arrived(LINES, author, reader)


def test_lines_come_from_the_fixture_by_seed() -> None:
    english, again = lines_of(7, "en", "Sol"), lines_of(7, "en", "Sol")
    other = lines_of(8, "en", "Sol")
    assert english == again != other
    assert [line.kind for line in english].count(Kind.SENTENCE) == 6
    spanish = lines_of(7, "es", "Rose")
    assert not {x.text for x in english} & {x.text for x in spanish}
    assert spanish[-1].must_hold[0] in spanish[-1].text
