"""One person's live stream: what waits to be handed over, confirmed and acknowledged, and the loop
that does it.
"""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from inyeon.runtime.errors import InyeonError, SessionOver, SessionSuperseded
from inyeon.translation.app.ports import Line, Observer, Post
from inyeon.translation.app.typing_on import Revision
from inyeon.translation.domain.conversation import (
    AckLedger,
    Caption,
    Conversation,
    FinalKey,
    Receipt,
)

RETRY_S = 1.0  # a partner who is between two streams comes back within 2 s (ARCHITECTURE.md)

_log = structlog.get_logger(__name__)


class Desk:
    """Lives as long as the stream. Everything but `run` returns at once and only notes what is to
    be done.
    """

    def __init__(
        self, line: Line, session_id: str, resume_after: int, post: Post, *, resumed: bool = False
    ) -> None:
        self.line = line
        self.session_id = session_id
        self.resumed = resumed
        """The session existed before: what it repeats comes ahead of the new grant."""
        self.early: list[tuple[int, Revision]] = []
        """Repeated before the grant was shown; taken up when it is."""
        self.resume_after = resume_after
        self.conversation: Conversation | None = None
        self.over = False
        """The conversation ended; a new grant starts another one."""
        self.ledger = AckLedger()
        self._post = post
        self._wake = asyncio.Event()
        self._receipts: deque[Receipt] = deque()
        self._arrivals: deque[bool] = deque(maxlen=8)

    def join(self, conversation: Conversation) -> None:
        """The person talks in this conversation now; the partner is told, and asked back."""
        fresh = self.conversation is not conversation
        self.conversation, self.over = conversation, False
        if fresh:
            self._confirm(conversation.inbox.resumed(self.session_id, self.resume_after))
            conversation.enter()
        self._arrivals.append(True)
        self.wake()

    def leave(self, reason: str) -> None:
        """The conversation is over: the device is told, and nothing of it stays unacknowledged."""
        if self.conversation is None or self.over:
            return
        self.over = True
        self.conversation.outbox.clear()
        self.line.tell_over(self.conversation.grant.match_id, reason)
        self.ledger.all_done()
        self.wake()

    def end(self, match_id: str, reason: str) -> bool:
        """`leave`, if this match is the one that the person talks in."""
        if self._talking_in(match_id) is None:
            return False
        self.leave(reason)
        return True

    def take(self, caption: Caption, observer: Observer) -> bool:
        """Shows the partner's caption; True also where the device has it already, False where this
        is not its place.
        """
        conversation = self._talking_in(caption.match_id)
        if conversation is None or caption.author_id != conversation.grant.partner_id:
            return False
        if caption.is_final and conversation.inbox.has(caption.key):
            self._confirm([caption.key])
        elif conversation.inbox.wants(caption):
            return self._show(conversation, caption, observer)
        observer.caption("repeated" if caption.is_final else "late")
        return True

    def received(self, through: int) -> int:
        """The device has handled its messages up to `through`; returns how many finals are among
        them.
        """
        if self.conversation is None:
            return 0
        keys = self.conversation.inbox.confirmed(through)
        self._confirm(keys)
        return len(keys)

    def receipt(self, receipt: Receipt) -> bool:
        """The partner's device has a final of this person."""
        conversation = self._talking_in(receipt.match_id)
        if conversation is None:
            return False
        sequence = conversation.outbox.arrived(receipt.key)
        if sequence is not None:
            self.ledger.done(sequence)
            self.wake()
        return True

    def partner_arrived(self, match_id: str, user_id: str, name: str, *, answer: bool) -> bool:
        """The partner's stream is there, maybe a new one: everything that is not confirmed goes out
        again.
        """
        conversation = self._talking_in(match_id)
        if conversation is None or user_id != conversation.grant.partner_id:
            return False
        conversation.partner_name = name
        conversation.outbox.take_back()
        if answer:
            self._arrivals.append(False)
        self.wake()
        return True

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Hands over, confirms and acknowledges until it is cancelled or the session is taken over
        elsewhere.
        """
        while True:
            try:
                await self._work()
            except (SessionSuperseded, SessionOver):
                return
            except InyeonError as error:
                _log.warning("converse.later", reason=error.reason)
                self._wake.set()
                await asyncio.sleep(RETRY_S)
            await self._wait()

    async def _wait(self) -> None:
        conversation = self.conversation
        waiting = conversation is not None and not self.over and any(conversation.outbox.waiting())
        try:
            async with asyncio.timeout(RETRY_S if waiting else None):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _work(self) -> None:
        self._wake.clear()
        await self._tell_arrivals()
        await self._send_receipts()
        await self._hand_over()
        if self.ledger.through > self.ledger.told:
            through = self.ledger.through
            await self.line.acknowledge(through)
            self.ledger.told = through

    async def _tell_arrivals(self) -> None:
        while self._arrivals and self.conversation is not None:
            answer, grant = self._arrivals.popleft(), self.conversation.grant
            await self._post.arrival(
                grant.partner_id,
                grant.match_id,
                grant.user_id,
                self.conversation.my_name,
                answer=answer,
            )

    async def _send_receipts(self) -> None:
        while self._receipts and self.conversation is not None:
            # An author who is away repeats the final on coming back, and is answered then.
            await self._post.receipt(self.conversation.grant.partner_id, self._receipts.popleft())

    async def _hand_over(self) -> None:
        conversation = self.conversation
        if conversation is None or self.over:
            return
        for held in conversation.outbox.waiting():
            # Marked before the call: the partner's receipt or new arrival may come while it runs.
            held.handed_over = True
            if not await self._post.caption(conversation.grant.partner_id, held.caption):
                held.handed_over = False
                return

    def _talking_in(self, match_id: str) -> Conversation | None:
        conversation = self.conversation
        if conversation is None or self.over or conversation.grant.match_id != match_id:
            return None
        return conversation

    def _show(self, conversation: Conversation, caption: Caption, observer: Observer) -> bool:
        try:
            sequence = self.line.show(caption)
        except SessionOver:
            return False
        conversation.inbox.shown(caption, sequence)
        observer.caption("final" if caption.is_final else "partial")
        return True

    def _confirm(self, keys: list[FinalKey]) -> None:
        if self.conversation is None:
            return
        match_id = self.conversation.grant.match_id
        self._receipts.extend(Receipt(match_id, segment, revision) for segment, revision in keys)
        if keys:
            self.wake()
