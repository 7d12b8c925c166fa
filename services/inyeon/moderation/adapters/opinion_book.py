"""Writes opinions down: the event, and the case that a person must look at, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from inyeon.moderation.adapters import case_book, events
from inyeon.moderation.app.ports import Answered
from inyeon.moderation.domain.embeddings import SPACE
from inyeon.runtime.store.port import Transaction


async def note(tx: Transaction, answers: Sequence[Answered], at: datetime) -> int:
    """Publishes opinions and opens or joins the cases they call for; returns how many cases.

    The case is opened here and not by whoever holds the stream, so that an opinion about somebody
    who has left is queued all the same.
    """
    for answered in answers:
        await tx.emit(events.opinion_given(answered.opinion))
    waiting = [answered for answered in answers if answered.opinion.judged.needs_person]
    openings = [opening_of(answered, at) for answered in waiting]
    await case_book.open_cases(tx.connection, openings)
    return len(openings)


def opening_of(answered: Answered, at: datetime) -> case_book.Opening:
    """The case of an opinion: by its own reason where it says something, by the escalation's where
    the models were only unsure."""
    escalated, judged = answered.escalated, answered.opinion.judged
    return case_book.Opening(
        escalated.user_id,
        escalated.session_id,
        escalated.match_id,
        answered.case_reason,
        judged.verdict,
        escalated.policy_version,
        f"escalated for {escalated.reason or 'no stated reason'}; {judged.text()}",
        at,
        None if judged.reason == SPACE else escalated.embedding,
        escalated.reason,
    )
