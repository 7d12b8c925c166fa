"""One revision becomes a caption, or none: screened, translated, screened again, marked, sealed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from inyeon.runtime.clock import Clock
from inyeon.translation.app.ports import Observer
from inyeon.translation.app.screening import (
    FINAL_S,
    ORIGINAL,
    PARTIAL_S,
    TRANSLATION,
    Flag,
    Screening,
)
from inyeon.translation.app.translate import Task, Translator
from inyeon.translation.app.typing_on import Rendered, Revision, render
from inyeon.translation.domain import mac
from inyeon.translation.domain.answers import Tier, Translation
from inyeon.translation.domain.captions import SegmentTrack, Shown
from inyeon.translation.domain.conversation import Caption, Conversation, Grant
from inyeon.translation.domain.screening import (
    WITHHELD_TEXT,
    Action,
    Decision,
    Judgement,
    Screen,
    decide,
)

_EVENTS = {
    Screen.SENSITIVE: "masked",
    Screen.WITHHELD: "withheld",
    Screen.UNSCREENED: "unscreened",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A revision, where it was said and under which number."""

    conversation: Conversation
    session_id: str
    sequence: int
    revision: Revision


class Captioner:
    """Makes captions. A final always becomes one, and its text is never empty."""

    def __init__(
        self,
        translator: Translator,
        screening: Screening,
        clock: Clock,
        observer: Observer,
        key: bytes,
    ) -> None:
        self._translator = translator
        self._screening = screening
        self._clock = clock
        self._observer = observer
        self._key = key

    async def caption(self, said: Said) -> Caption | None:
        """The caption of a revision that is not late; None for a partial that has nothing to show,
        or would have to be hidden."""
        task, revision = self._task(said), said.revision
        track = said.conversation.track(revision.segment_id)
        budget_s = FINAL_S if revision.is_final else PARTIAL_S
        language = self._translator.source_of(task)
        before = await self._screening.look(ORIGINAL, revision.text, language, budget_s)
        if not revision.is_final and self._decide(before, None).later:
            self._observer.caption("put_off")
            return None
        rendered = await self._render(track, task, revision, before)
        if rendered is None:
            return None
        self._note_habit(said, rendered)
        after = await self._look_at_translation(revision, rendered, budget_s)
        decision = self._decide(before, after)
        if not revision.is_final and decision.later:
            self._observer.caption("put_off")
            return None
        if revision.is_final:
            await self._tell(said, decision, language)
        return self._seal(said, _marked(track, revision, rendered, decision), decision)

    def _decide(self, before: Judgement, after: Judgement | None) -> Decision:
        return decide(before, after, self._screening.unscreened)

    async def _render(
        self, track: SegmentTrack, task: Task, revision: Revision, before: Judgement
    ) -> Rendered | None:
        if revision.is_final and before.action is Action.WITHHOLD:
            # Nobody will read a translation: none is made.
            shown = track.final(revision.revision, revision.text, revision.text)
            source = before.seen.language if before.seen else ""
            target = task.understood[0]
            return Rendered(shown, Translation(revision.text, source, target, Tier.NONE, 0.0))
        return await render(self._translator, track, revision, task)

    async def _look_at_translation(
        self, revision: Revision, rendered: Rendered, budget_s: float
    ) -> Judgement | None:
        text, target = rendered.shown.text, rendered.translation.target
        if rendered.translation.untranslated or text == revision.text:
            return None
        return await self._screening.look(TRANSLATION, text, target, budget_s)

    async def _tell(self, said: Said, decision: Decision, language: str) -> None:
        if event := "artefact" if decision.artefact else _EVENTS.get(decision.screen, ""):
            self._observer.caption(event)
        flagged = decision.flagged
        if flagged is None or flagged.seen is None:
            return
        grant, revision = said.conversation.grant, said.revision
        name = f"{grant.match_id} {grant.user_id} {revision.segment_id} {revision.revision}"
        await self._screening.escalate(
            Flag(
                escalation_id=uuid.uuid5(uuid.NAMESPACE_OID, name).hex,
                user_id=grant.user_id,
                session_id=said.session_id,
                match_id=grant.match_id,
                reason=flagged.escalation,
                policy_version=self._screening.policy.version,
                seen=flagged.seen,
                translated=decision.translated,
                raised_at=self._clock.now(),
            )
        )

    def _task(self, said: Said) -> Task:
        grant, revision = said.conversation.grant, said.revision
        hint = (revision.hint,) if revision.hint else ()
        return Task(
            text=revision.text,
            understood=grant.partner_languages or grant.user_languages or ("en",),
            spoken=tuple(dict.fromkeys((*hint, *grant.user_languages))),
            names=said.conversation.names,
            habit=said.conversation.habit,
        )

    def _note_habit(self, said: Said, rendered: Rendered) -> None:
        if said.revision.is_final and rendered.translation.source:
            said.conversation.habit.note(rendered.translation.source)

    def _seal(self, said: Said, rendered: Rendered, decision: Decision) -> Caption:
        grant: Grant = said.conversation.grant
        translation, shown, revision = rendered.translation, rendered.shown, said.revision
        caption = Caption(
            match_id=grant.match_id,
            author_id=grant.user_id,
            segment_id=revision.segment_id,
            revision=revision.revision,
            text=shown.text,
            stable_prefix=shown.stable,
            is_final=revision.is_final,
            source_language=translation.source,
            target_language=translation.target,
            tier=translation.tier,
            quality=translation.quality,
            untranslated=translation.untranslated,
            mac=b"",
            author_sequence=said.sequence,
            original_sha256=mac.original_hash(revision.text),
            screen=decision.screen,
            screen_reason=decision.reason,
        )
        return replace(caption, mac=mac.seal(self._key, sealed_input(caption)))


def sealed_input(caption: Caption) -> bytes:
    """What a caption's MAC covers."""
    return mac.mac_input(
        caption.match_id,
        caption.author_id,
        caption.segment_id,
        caption.revision,
        caption.author_sequence,
        caption.original_sha256,
    )


def _marked(
    track: SegmentTrack, revision: Revision, rendered: Rendered, decision: Decision
) -> Rendered:
    """What leaves the service under this decision."""
    said = rendered.translation
    if decision.screen is Screen.WITHHELD:
        return Rendered(Shown(WITHHELD_TEXT, 0), replace(said, text=WITHHELD_TEXT))
    if decision.artefact:
        original = track.original(revision.text)
        untranslated = replace(
            said, text=original.text, tier=Tier.NONE, quality=0.0, untranslated=True
        )
        return Rendered(original, untranslated)
    return rendered
