"""Conversations: two people of a live match, each on a stream of their own, maybe on different
replicas.

An author's message is acknowledged when it needs nobody any more: a partial or a late revision at
once, a final when the
partner's device has confirmed it, everything when the match is over. Until then the final is held
here and handed over
again whenever the partner's stream is a new one.
"""

from __future__ import annotations

from collections import OrderedDict

from inyeon.runtime.clock import Clock
from inyeon.translation.app.captioning import Captioner, Said
from inyeon.translation.app.desk import Desk
from inyeon.translation.app.ports import Observer, Post
from inyeon.translation.app.typing_on import Revision
from inyeon.translation.domain.conversation import Caption, Conversation, Grant
from inyeon.translation.errors import GrantMissing, GrantRefused, TooManyHeld

MAX_HELD = (
    128  # half of the stream's 256 messages in flight: reading never stops for want of receipts
)
MAX_CONVERSATIONS = 20_000  # sides that are remembered between two streams; some kB each
MAX_ENDED = 20_000  # matches whose end is remembered; a grant outlives its match by 2 min at most

MATCH_ENDED = "MATCH_ENDED"
GRANT_EXPIRED = "GRANT_EXPIRED"


class Conversations:
    """All conversations of this replica."""

    def __init__(self, captioner: Captioner, post: Post, clock: Clock, observer: Observer) -> None:
        self._captioner = captioner
        self._post = post
        self._clock = clock
        self._observer = observer
        self._sides: OrderedDict[tuple[str, str], Conversation] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    async def grant(self, desk: Desk, sequence: int, grant: Grant, name: str) -> None:
        """A person shows a verified grant, first or renewed; what a resumed session repeated ahead
        of it is taken up now. Raises GrantRefused for somebody else's.
        """
        if grant.user_id != desk.line.user_id or grant.partner_id == grant.user_id:
            raise GrantRefused("the grant is not this person's", field="grant.grant")
        desk.ledger.took(sequence)
        current = desk.conversation
        if current is not None and current.grant.match_id != grant.match_id:
            # A person is in one match at a time: a grant of another one says that the first is
            # over.
            desk.leave(MATCH_ENDED)
            self._sides.pop((current.grant.match_id, grant.user_id), None)
        desk.join(self._side(grant, name))
        desk.ledger.done(sequence)
        if grant.match_id in self._ended:
            desk.leave(MATCH_ENDED)
        early, desk.early = desk.early, []
        for repeated, revision in early:
            await self.say(desk, repeated, revision)

    async def say(self, desk: Desk, sequence: int, revision: Revision) -> None:
        """A revision of something said. Raises GrantMissing, TooManyHeld."""
        conversation = desk.conversation
        if conversation is None:
            self._keep_early(desk, sequence, revision)
            return
        desk.ledger.took(sequence)
        if not desk.over and conversation.expired(self._clock.now()):
            desk.leave(GRANT_EXPIRED)
        if (
            not revision.text.strip()
            or desk.over
            or self._known(conversation, desk, sequence, revision)
        ):
            desk.ledger.done(sequence)
        elif len(conversation.outbox) >= MAX_HELD:
            raise TooManyHeld("the partner's device does not answer", retry_after_s=2.0)
        else:
            await self._caption(desk, conversation, sequence, revision)
        desk.wake()

    def check_grants(self, desks: list[Desk]) -> None:
        """Ends conversations whose grant ran out; called every few seconds, so that a silent person
        learns it too.
        """
        for desk in desks:
            if desk.conversation is not None and desk.conversation.expired(self._clock.now()):
                desk.leave(GRANT_EXPIRED)

    async def match_ended(self, match_id: str, users: tuple[str, str]) -> None:
        """The match is over: both people are told wherever their streams are. Bears repetition."""
        self._ended[match_id] = None
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)
        for user_id in users:
            self._sides.pop((match_id, user_id), None)
            await self._post.over(user_id, match_id, MATCH_ENDED)

    def take(self, desk: Desk, caption: Caption) -> bool:
        """The partner's caption for this person's device."""
        return desk.take(caption, self._observer)

    def confirmed(self, desk: Desk, through: int) -> None:
        """This person's device has handled its messages up to `through`."""
        for _ in range(desk.received(through)):
            self._observer.caption("confirmed")

    def _keep_early(self, desk: Desk, sequence: int, revision: Revision) -> None:
        if not desk.resumed:
            raise GrantMissing("show the match grant first", field="grant")
        if len(desk.early) >= MAX_HELD:
            raise TooManyHeld("show the match grant first", retry_after_s=2.0)
        desk.ledger.took(sequence)
        desk.early.append((sequence, revision))

    def _side(self, grant: Grant, name: str) -> Conversation:
        key = (grant.match_id, grant.user_id)
        side = self._sides.setdefault(key, Conversation(grant))
        self._sides.move_to_end(key)
        side.renew(grant)
        side.my_name = name or side.my_name
        if len(self._sides) > MAX_CONVERSATIONS:
            self._sides.popitem(last=False)
        return side

    def _known(
        self, conversation: Conversation, desk: Desk, sequence: int, revision: Revision
    ) -> bool:
        """The message needs nothing more. A repeated final that is still held stays open under its
        new sequence.
        """
        if not revision.is_final:
            late = conversation.track(revision.segment_id).is_late(revision.revision)
            if late:
                self._observer.caption("late")
            return late
        return conversation.outbox.again((revision.segment_id, revision.revision), sequence) is True

    async def _caption(
        self, desk: Desk, conversation: Conversation, sequence: int, revision: Revision
    ) -> None:
        if revision.is_final and self._is_held(conversation, revision):
            return
        caption = await self._captioner.caption(
            Said(conversation, desk.session_id, sequence, revision)
        )
        if caption is None:
            desk.ledger.done(sequence)
            return
        if revision.is_final:
            conversation.outbox.hold(caption, sequence)
            return
        # Partials never overtake finals, and nobody waits for one.
        if not any(conversation.outbox.waiting()):
            conversation.track(revision.segment_id).went_out(caption.stable_text)
            await self._post.caption(conversation.grant.partner_id, caption)
        desk.ledger.done(sequence)

    def _is_held(self, conversation: Conversation, revision: Revision) -> bool:
        return any(
            held.caption.key == (revision.segment_id, revision.revision)
            for held in conversation.outbox.held()
        )
