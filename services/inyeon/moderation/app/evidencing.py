"""Consented evidence: asks a device for one picture and judges it in memory.

Off unless the policy says so. A picture lives in one task of one process for as long as the models
look at it: it is written nowhere, logged nowhere, quoted in no error, and dropped in `finally`.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from inyeon.inference.port import Inference
from inyeon.moderation.app.judging import answered
from inyeon.moderation.app.live import LiveSession
from inyeon.moderation.app.ports import Answered, Ask, JudgingMeter, Ledger, Meter
from inyeon.moderation.domain.directive import Action, Directive
from inyeon.moderation.domain.observation import Subject
from inyeon.moderation.domain.opinions import (
    Escalated,
    Judged,
    Opinion,
    Source,
    by_images,
)
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.errors import EvidenceOff, PicturesFull
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import StoreUnavailable

# Two image models take 30 to 130 ms each on two cores; the device waits 5 s for a unary call.
BUDGET_S = 2.0
PICTURES = 8  # of 1280 x 1280 x 3 bytes at most: 39 MB, and 5/s of 0.2 s each need one

Decode = Callable[[bytes], Awaitable[NDArray[np.uint8]]]
"""RGB picture of a JPEG within the limits. Raises PictureRefused."""


class Evidencing:
    """The use case behind SEND_EVIDENCE and Submit."""

    def __init__(
        self,
        inference: Inference | None,
        ledger: Ledger,
        policy: Policy,
        decode: Decode,
        clock: Clock,
        meter: Meter,
        judging: JudgingMeter,
        *,
        pictures: int = PICTURES,
    ) -> None:
        self._inference = inference
        self._ledger = ledger
        self._policy = policy
        self._decode = decode
        self._clock = clock
        self._meter = meter
        self._judging = judging
        self._room = pictures

    async def ask(self, live: LiveSession, opinion: Opinion) -> None:
        """Asks the person's device for a picture, where models were well and unsure about the
        embedding alone. A store that is away asks nobody: the case is open anyway."""
        judged = opinion.judged
        unsure = judged.verdict is Verdict.UNSURE and not judged.degraded and judged.models
        if not (self._policy.opinions.evidence and unsure and opinion.source is Source.EMBEDDING):
            return
        lasts = timedelta(seconds=self._policy.opinions.evidence_expires_s)
        match_id = live.match.match_id if live.match else ""
        ask = Ask(
            uuid.uuid4().hex,
            live.user_id,
            live.session_id,
            opinion.escalation_id,
            match_id,
            judged.reason,
            opinion.raised_at,
            self._clock.now() + lasts,
        )
        try:
            await self._ledger.ask(ask)
        except StoreUnavailable:
            return
        self._meter.directed(Action.SEND_EVIDENCE)
        live.device.directed(
            Directive(
                ask.directive_id,
                Action.SEND_EVIDENCE,
                Subject.MYSELF,
                judged.reason,
                match_id,
                self._policy.version,
            )
        )

    async def submit(
        self, user_id: str, request_id: str, directive_id: str, jpeg: bytes, *, consent: bool
    ) -> None:
        """Judges a picture and publishes the opinion. A repeat of a request changes nothing.

        Raises EvidenceOff, EvidenceNotAsked, PictureRefused, PicturesFull, StoreUnavailable.
        """
        if not self._policy.opinions.evidence or self._inference is None:
            raise EvidenceOff("this service asks for no pictures")
        if not consent:
            raise EvidenceOff("the person did not agree", reason="CONSENT_MISSING", field="consent")
        if not self._room:
            raise PicturesFull("as many pictures as may be are looked at now")
        self._room -= 1
        picture: NDArray[np.uint8] | None = None
        try:
            picture = await self._decode(jpeg)
            ask = await self._ledger.take_ask(directive_id, user_id, request_id)
            if ask is not None:
                judged = await self._judge(self._inference, picture)
                await self._ledger.note_opinion(self._answer(ask, judged))
        finally:
            del picture, jpeg
            self._room += 1

    async def _judge(self, inference: Inference, picture: NDArray[np.uint8]) -> Judged:
        began_s = self._clock.monotonic()

        async def ask() -> Judged:
            votes = await inference.judge_image(picture, BUDGET_S)
            scores: list[Mapping[str, float]] = [
                dict(zip(vote.classes, map(float, vote.scores), strict=True)) for vote in votes
            ]
            return by_images(self._policy.opinions, scores, [vote.model for vote in votes])

        judged = await answered(ask, self._judging)
        self._judging.judged(Source.IMAGE, judged, self._clock.monotonic() - began_s)
        return judged

    def _answer(self, ask: Ask, judged: Judged) -> Answered:
        escalated = Escalated(
            ask.escalation_id,
            ask.user_id,
            ask.session_id,
            ask.match_id,
            ask.reason,
            self._policy.version,
            ask.raised_at,
        )
        opinion = Opinion(
            uuid.uuid4().hex,
            ask.escalation_id,
            ask.user_id,
            ask.session_id,
            Source.IMAGE,
            judged,
            ask.raised_at,
            self._clock.now(),
        )
        return Answered(escalated, opinion)
