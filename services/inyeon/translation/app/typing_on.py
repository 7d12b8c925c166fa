"""A revision of a segment becomes a caption: whole sentences are settled, the open one is shown
without its last word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from inyeon.translation.app.translate import Task, Translator
from inyeon.translation.domain.answers import Translation
from inyeon.translation.domain.captions import SegmentTrack, Shown
from inyeon.translation.domain.sentences import split

PARTIAL_S = 0.3  # a revision comes every 150 to 250 ms; one that takes longer is late
FINAL_S = 1.0  # 120 ms is the aim (facts, section 10); a respawn of a pipe takes 200 ms and fits


@dataclass(frozen=True, slots=True)
class Revision:
    """What an author's device sent."""

    segment_id: str
    revision: int
    text: str
    is_final: bool
    hint: str = ""
    """Language by the device, or empty."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What to show for a revision, and how it came about."""

    shown: Shown
    translation: Translation


async def render(
    translator: Translator, track: SegmentTrack, revision: Revision, task: Task
) -> Rendered | None:
    """The caption of a revision that is not late; None for a partial with nothing to show yet.

    `task` carries everything but the text. A final is never None and its text never empty.
    """
    if revision.is_final:
        return await _final(translator, track, revision, task)
    if track.changed_mind(revision.text):
        track.revision = revision.revision
        return None
    await _settle_sentences(translator, track, revision.text, task)
    rest = track.open_part(revision.text)
    translation = await translator.translate(replace(task, text=rest, deadline_s=PARTIAL_S))
    shown = track.partial(revision.revision, translation.text if rest.strip() else "")
    return None if shown is None else Rendered(shown, translation)


async def _final(
    translator: Translator, track: SegmentTrack, revision: Revision, task: Task
) -> Rendered:
    rest = track.open_part(revision.text)
    translation = await translator.translate(replace(task, text=rest, deadline_s=FINAL_S))
    if track.settled is not None and not rest.strip():
        translation = replace(track.settled, text=translation.text)
    return Rendered(track.final(revision.revision, revision.text, translation.text), translation)


async def _settle_sentences(
    translator: Translator, track: SegmentTrack, text: str, task: Task
) -> None:
    """Settles each sentence that the author has left behind and that could be translated; the open
    one stays open.
    """
    for sentence in split(track.open_part(text))[:-1]:
        if not sentence.gap:
            return
        source = sentence.text + sentence.gap
        if not track.open_part(text).startswith(source):
            return
        said = await translator.translate(replace(task, text=sentence.text, deadline_s=PARTIAL_S))
        if said.untranslated:
            return
        track.settle(sentence.text, sentence.gap, said)
