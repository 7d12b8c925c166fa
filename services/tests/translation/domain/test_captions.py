"""What was told as stable never changes; the MAC covers what it says."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.translation.domain import mac
from inyeon.translation.domain.answers import Tier, Translation
from inyeon.translation.domain.captions import SegmentTrack

pytestmark = pytest.mark.unit


def said(text: str) -> Translation:
    return Translation(text, "en", "es", Tier.APERTIUM, 0.5)


def test_a_partial_hides_its_last_word() -> None:
    track = SegmentTrack()
    assert track.partial(1, "Me") is None
    shown = track.partial(2, "Me gusta el")
    assert shown is not None and (shown.text, shown.stable) == ("Me gusta", 0)


def test_a_partial_without_blanks_hides_two_characters() -> None:
    shown = SegmentTrack().partial(1, "こんにちは")
    assert shown is not None and shown.text == "こんに"


def test_a_settled_sentence_is_stable() -> None:
    track = SegmentTrack()
    track.settle("Hi.", " ", said("Hola."))
    shown = track.partial(2, "Me gusta")
    assert shown is not None and (shown.text, shown.stable) == ("Hola. Me", 6)
    assert track.open_part("Hi. I like") == "I like"
    final = track.final(3, "Hi. I like it", "Me gusta")
    assert (final.text, final.stable) == ("Hola. Me gusta", 14)
    assert track.is_late(9) and track.over


def test_a_changed_mind_keeps_what_was_told() -> None:
    track = SegmentTrack()
    track.settle("Hi.", " ", said("Hola."))
    assert track.changed_mind("Bye") and track.open_part("Bye") == "Bye"
    assert track.final(2, "Bye", "Adiós").text == "Hola. \nAdiós"


def test_late_revisions() -> None:
    track = SegmentTrack()
    track.partial(4, "a b")
    assert track.is_late(4) and track.is_late(3) and not track.is_late(5)


texts = st.text(alphabet="abc .あ", max_size=12)


@given(st.lists(st.tuples(texts, texts, st.booleans()), max_size=8), texts)
def test_the_stable_prefix_never_shrinks_and_never_changes(
    steps: list[tuple[str, str, bool]], last: str
) -> None:
    track, told = SegmentTrack(), ""
    for revision, (source, open_said, settles) in enumerate(steps, start=1):
        if settles:
            track.settle(source, " ", said(open_said))
        shown = track.partial(revision, open_said)
        if shown is not None:
            assert shown.stable >= len(told) and shown.text.startswith(told)
            told = shown.text[: shown.stable]
    final = track.final(99, last, last)
    assert final.text.startswith(told) and final.stable == len(final.text)


def test_the_mac_input_has_its_stated_layout() -> None:
    digest = mac.original_hash("ñ")
    assert digest == hashlib.sha256("ñ".encode()).digest()
    sealed = mac.mac_input("m", "ana", "s", 2, 7, digest)
    parts = [b"inyeon.caption.v1", b"m", b"ana", b"s"]
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert sealed == framed + (2).to_bytes(4, "big") + (7).to_bytes(8, "big") + digest
    key = bytes(32)
    assert mac.holds(key, sealed, mac.seal(key, sealed))
    assert not mac.holds(key, sealed, mac.seal(b"x" * 32, sealed))
    with pytest.raises(ValueError, match="32 bytes"):
        mac.mac_input("m", "a", "s", 1, 1, b"short")


def test_no_two_messages_share_a_mac_input() -> None:
    digest = bytes(32)
    assert mac.mac_input("ab", "c", "s", 1, 1, digest) != mac.mac_input(
        "a", "bc", "s", 1, 1, digest
    )
