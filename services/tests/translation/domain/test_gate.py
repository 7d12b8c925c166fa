"""Answers that must not be shown are not shown."""

from __future__ import annotations

import pytest

from inyeon.translation.domain.gate import Fault, examine
from inyeon.translation.domain.postedit import post_edit
from inyeon.translation.domain.protection import protect, token_pattern

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("source", "answer", "fault"),
    [
        ("I have 2 dogs.", "Tengo 2 perros.", None),
        ("Where is the station?", "", Fault.EMPTY),
        ("Where is the station?", "  ", Fault.EMPTY),
        ("Where is the station?", "...", Fault.EMPTY),
        ("Where is Rose?", "¿Dónde está?", Fault.TOKENS),
        ("Where is Rose?", "¿Dónde están XQN0 y XQN0?", Fault.TOKENS),
        ("I have 2 dogs.", "Tengo perros.", Fault.NUMBERS),
        ("I have dogs.", "Tengo 7 perros.", Fault.NUMBERS),
        ("He is a good man.", "Él es un #bueno hombre.", Fault.MARKS),
        ("He is a good man.", "Él es un \\bueno hombre.", Fault.MARKS),
        ("a*b is a good product", "a*b es un producto bueno", None),
        ("This is a rather long sentence for you.", "Eso.", Fault.LENGTH),
        ("Hi", "Buenos días", None),
        ("Hi", "x" * 60, Fault.LENGTH),
        ("This is very good.", "muy muy muy muy bueno", Fault.REPETITION),
        ("This is what it is.", "lo es lo es lo es lo es", Fault.REPETITION),
        ("no no no no no", "no no no no no", Fault.COPY),
        ("This is a good house.", "Это хороший дом.", Fault.SCRIPT),
        ("This is a house.", "this is a house", Fault.COPY),
        ("Hotel Paris", "Hotel Paris", None),
    ],
)
def test_examine(source: str, answer: str, fault: Fault | None) -> None:
    assert examine(protect(source, ["Rose"]), answer, "en", "es") is fault


def test_narrow_scripts_need_fewer_characters() -> None:
    source = protect("I would like to go to the sea with you tomorrow.")
    assert examine(source, "明日あなたと海に行きたいです。", "en", "ja") is None
    assert (
        examine(
            protect("明日あなたと海に行きたい"),
            "I want to go to the sea with you tomorrow",
            "ja",
            "en",
        )
        is None
    )


def test_the_same_language_may_be_a_copy() -> None:
    assert examine(protect("one two three"), "one two three", "en", "en") is None


TOKEN = token_pattern("XQ")


@pytest.mark.parametrize(
    ("answer", "source", "target", "edited"),
    [
        (" dónde  vives ?", "Where do you live?", "es", "¿Dónde vives?"),
        ("qué bien!", "how nice!", "es", "¡qué bien!"),
        ("¿Qué? no?", "What? no?", "es", "¿Qué? no?"),
        ("where you live?", "¿Dónde vives?", "en", "Where you live?"),
        ("XQN0 Gusta perros", "XQN0 likes dogs", "es", "XQN0 gusta perros"),
        ("XQN0 Kim llega", "XQN0 Kim arrives", "es", "XQN0 Kim llega"),
        ("Ama a XQN0", "XQN0 is loved", "es", "Ama a XQN0"),
        ("Ama", "Loves", "es", "Ama"),
        ("", "Hi", "es", ""),
    ],
)
def test_post_edit(answer: str, source: str, target: str, edited: str) -> None:
    assert post_edit(answer, source, target, TOKEN) == edited
