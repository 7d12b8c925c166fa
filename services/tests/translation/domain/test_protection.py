"""Names, links, numbers and emoji survive any engine, or its answer is refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.translation.domain.protection import Kind, TokenLost, protect

pytestmark = pytest.mark.unit


def protected_parts(text: str, *names: str) -> list[str]:
    return [item for _, item in protect(text, names).items]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("see https://example.org/a_(b)?q=1#x.", ["https://example.org/a_(b)?q=1#x"]),
        ("write to ana.b+c@mail.example.org!", ["ana.b+c@mail.example.org"]),
        ("look at www.example.org/x, or example.com", ["www.example.org/x", "example.com"]),
        ("hi @rose_1 and #paris2026", ["@rose_1", "#paris2026"]),
        ("call +49 (170) 123-45 67 now", ["+49 (170) 123-45 67"]),
        ("at 10:30 for $5.50 or 3,5 €", ["10:30", "$5.50", "3,5 €"]),
        ("👩‍👩‍👧‍👦 and 👍🏽👍 then 🇰🇷", ["👩‍👩‍👧‍👦", "👍🏽👍", "🇰🇷"]),
        ("nice :) <3", ["nice"[:0] + ":) <3"]),
        ("I have 2 dogs", []),
        ("50% off", ["50%"]),
    ],
)
def test_what_engines_would_break_is_taken_out(text: str, parts: list[str]) -> None:
    assert protected_parts(text) == parts
    assert protect(text).restore(protect(text).text).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "names", "parts"),
    [
        ("Rose likes Joy and ROSE", ["Rose", "Joy"], ["Rose", "Joy", "ROSE"]),
        ("a rose is a rose", ["Rose"], []),
        ("I know rose", ["rose"], ["rose"]),
        ("Roses and Primrose", ["Rose"], []),
        ("Ana María es Ana", ["Ana María"], ["Ana María", "Ana"]),
        ("지우는 지우개를 샀다", ["지우"], ["지우"]),
        ("さくらです", ["さくら"], ["さくら"]),
        ("a J b", ["J", "", "  ", "42"], []),
        ("snake_Rose", ["Rose"], []),
        ("https://example.org/Rose Rose", ["Rose"], ["https://example.org/Rose", "Rose"]),
    ],
)
def test_names_of_the_two_people(text: str, names: list[str], parts: list[str]) -> None:
    assert protected_parts(text, *names) == parts


def test_a_token_is_set_off_from_letters() -> None:
    assert protect("hi😊there").text == "hi XQE0 there"


def test_a_text_about_tokens_gets_another_prefix() -> None:
    protected = protect("XQ and Rose", ["Rose"])
    assert protected.text == "XQ and ZXQN0"
    assert protected.restore(protected.text) == "XQ and Rose"


def test_a_text_with_every_prefix_is_left_alone() -> None:
    text = "XQ ZXQ QXJ XJQZ QZXQ JXZQ Rose"
    assert protect(text, ["Rose"]).items == ()


@pytest.mark.parametrize("answer", ["", "XQN0 XQN0", "XQN0 XQN1", "XQL0", "XQN00"])
def test_a_lost_repeated_or_new_token_is_refused(answer: str) -> None:
    with pytest.raises(TokenLost):
        protect("Rose!", ["Rose"]).restore(answer)


def test_a_sentence_has_its_own_numbers() -> None:
    whole = protect("Rose is here. See https://example.org Joy", ["Rose", "Joy"])
    part = whole.sentence("See XQL1 XQN2")
    assert part.text == "See XQL0 XQN1"
    assert part.restore("XQN1 XQL0") == "Joy https://example.org"
    assert [kind for kind, _ in part.items] == [Kind.LINK, Kind.NAME]


pieces = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "Rose",
            " @rose ",
            "https://example.org/a?b=1",
            "👩‍👩‍👧",
            "+49 170 1234567",
            "$5.50",
            "a@b.co",
        ]
    ),
)


def adversary(text: str, seed: int) -> str:
    """An engine that shuffles, drops, repeats, shouts and invents."""
    draw = random.Random(seed)
    words = text.split(" ")
    for _ in range(draw.randrange(3)):
        action, at = draw.randrange(5), draw.randrange(len(words))
        if action == 0:
            words.pop(at)
            words = words or [""]
        elif action == 1:
            words.insert(at, words[at])
        elif action == 2:
            draw.shuffle(words)
        elif action == 3:
            words[at] = words[at].upper()
        else:
            words.insert(at, f"XQN{draw.randrange(3)}")
    return " ".join(words)


@given(st.lists(pieces, max_size=8), st.integers(0, 10_000))
def test_any_text_comes_back_intact_or_is_refused(parts: list[str], seed: int) -> None:
    text = " ".join(parts)
    protected = protect(text, ["Rose"])
    try:
        restored = protected.restore(adversary(protected.text, seed))
    except TokenLost:
        return
    rest = restored
    for _, item in sorted(protected.items, key=lambda kind_item: -len(kind_item[1])):
        assert item in rest
        rest = rest.replace(item, "", 1)


@given(st.lists(pieces, max_size=8))
def test_an_engine_that_changes_nothing_changes_no_visible_character(parts: list[str]) -> None:
    text = "".join(parts)
    protected = protect(text, ["Rose"])
    assert "".join(protected.restore(protected.text).split()) == "".join(text.split())
