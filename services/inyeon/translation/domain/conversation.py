"""What two people of a match have said to each other, as one of them sees it. No text is kept once
it has arrived.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from inyeon.translation.domain.answers import Tier
from inyeon.translation.domain.captions import SegmentTrack
from inyeon.translation.domain.identify import Habit
from inyeon.translation.domain.screening import Screen

MAX_SEGMENTS = 512
"""Segments of one person that are remembered; more than four minutes of a sentence every half
second.
"""
MAX_KEPT = 2_048
"""Finals whose arrival is remembered, to answer a repeated one without showing it twice."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A verified match grant."""

    match_id: str
    user_id: str
    partner_id: str
    user_languages: tuple[str, ...]
    partner_languages: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Caption:
    """One revision as the partner is shown it."""

    match_id: str
    author_id: str
    segment_id: str
    revision: int
    text: str
    stable_prefix: int
    """Code points."""
    is_final: bool
    source_language: str
    target_language: str
    tier: Tier
    quality: float
    untranslated: bool
    mac: bytes
    author_sequence: int
    original_sha256: bytes
    screen: Screen = Screen.OFF
    screen_reason: str = ""

    @property
    def key(self) -> FinalKey:
        """What makes a final the same one when it comes again."""
        return (self.segment_id, self.revision)

    @property
    def stable_text(self) -> str:
        """What no later revision changes."""
        return self.text[: self.stable_prefix]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The partner's device has this final."""

    match_id: str
    segment_id: str
    revision: int

    @property
    def key(self) -> FinalKey:
        """The final's key."""
        return (self.segment_id, self.revision)


FinalKey = tuple[str, int]
"""(segment, revision) of one author in one match."""


class AckLedger:
    """Which client sequences are done; acknowledgements are cumulative, so one open message holds
    those behind it.
    """

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._highest = 0
        self.told = 0
        """Highest sequence that the device was told."""

    def took(self, sequence: int) -> None:
        """A message came in. The first one shows where the session stands: everything before it is
        done.
        """
        if not self._highest:
            self.told = sequence - 1
        self._open.add(sequence)
        self._highest = max(self._highest, sequence)

    def done(self, sequence: int) -> None:
        """This message means nothing to anybody any more; one that is not open is ignored."""
        self._open.discard(sequence)

    def all_done(self) -> None:
        """The match is over."""
        self._open.clear()

    @property
    def through(self) -> int:
        """Highest sequence up to which all are done."""
        return min(self._open) - 1 if self._open else self._highest


@dataclass(slots=True)
class Held:
    """A final that the partner's device does not have yet."""

    caption: Caption
    sequence: int
    """The author's sequence for it; 0 while a new stream has not repeated it yet."""
    handed_over: bool = False
    """It is in the partner's stream; the receipt is still to come."""


class Outbox:
    """Finals of one author until the partner's device has them, in the order in which they were
    said.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[FinalKey, Held] = OrderedDict()
        self._arrived: OrderedDict[FinalKey, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, caption: Caption, sequence: int) -> None:
        """A new final."""
        self._held[caption.key] = Held(caption, sequence)

    def again(self, key: FinalKey, sequence: int) -> bool | None:
        """The author's device repeats a final: True if it arrived long ago, False if it is held,
        None if it is new.
        """
        if key in self._arrived:
            return True
        if key not in self._held:
            return None
        self._held[key].sequence = sequence
        return False

    def arrived(self, key: FinalKey) -> int | None:
        """The partner's device has it; returns the author's sequence, None for a final that is not
        held.
        """
        held = self._held.pop(key, None)
        if held is None:
            return None
        _remember(self._arrived, key)
        return held.sequence

    def waiting(self) -> Iterator[Held]:
        """Finals that are in no stream, oldest first."""
        return iter([held for held in self._held.values() if not held.handed_over])

    def held(self) -> tuple[Held, ...]:
        """Everything that is not confirmed, oldest first."""
        return tuple(self._held.values())

    def start_over(self) -> None:
        """The author's stream is a new one: sequences come with the repetition."""
        for held in self._held.values():
            held.sequence = 0
        self.take_back()

    def take_back(self) -> None:
        """The partner's stream is a new one: hand everything over again."""
        for held in self._held.values():
            held.handed_over = False

    def clear(self) -> None:
        """The match is over."""
        self._held.clear()


class Inbox:
    """What a device was shown by its partner, and what it has confirmed."""

    def __init__(self) -> None:
        self._session = ""
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._sent: dict[int, FinalKey] = {}
        self._on_the_way: set[FinalKey] = set()
        self._has: OrderedDict[FinalKey, None] = OrderedDict()

    def resumed(self, session_id: str, through: int) -> list[FinalKey]:
        """The device opened a stream: returns finals that it turns out to have; what else was sent
        may be lost.
        """
        kept = self.confirmed(through) if session_id == self._session else []
        self._session = session_id
        self._sent.clear()
        self._on_the_way.clear()
        return kept

    def has(self, key: FinalKey) -> bool:
        """The device confirmed this final."""
        return key in self._has

    def wants(self, caption: Caption) -> bool:
        """The caption is worth showing: a final that is not there yet, or the newest revision of
        its segment.
        """
        if caption.is_final:
            return caption.key not in self._has and caption.key not in self._on_the_way
        return caption.revision > self._newest.get(caption.segment_id, 0)

    def shown(self, caption: Caption, server_sequence: int) -> None:
        """The caption went into the device's stream under this sequence."""
        _remember_revision(self._newest, caption.segment_id, caption.revision)
        if caption.is_final:
            self._sent[server_sequence] = caption.key
            self._on_the_way.add(caption.key)

    def confirmed(self, through: int) -> list[FinalKey]:
        """The device has handled its server messages up to `through`: the finals among them, in
        order.
        """
        keys = [self._sent.pop(n) for n in sorted(self._sent) if n <= through]
        for key in keys:
            self._on_the_way.discard(key)
            _remember(self._has, key)
        return keys


@dataclass(slots=True)
class Conversation:
    """One person's side of one match. Outlives the person's streams, not the match."""

    grant: Grant
    my_name: str = ""
    partner_name: str = ""
    habit: Habit = field(default_factory=Habit)
    tracks: OrderedDict[str, SegmentTrack] = field(default_factory=OrderedDict)
    outbox: Outbox = field(default_factory=Outbox)
    inbox: Inbox = field(default_factory=Inbox)

    @property
    def names(self) -> tuple[str, ...]:
        """Names that are never translated."""
        return tuple(name for name in (self.my_name, self.partner_name) if name)

    def track(self, segment_id: str) -> SegmentTrack:
        """State of a segment; the oldest one is forgotten past MAX_SEGMENTS."""
        track = self.tracks.setdefault(segment_id, SegmentTrack())
        if len(self.tracks) > MAX_SEGMENTS:
            self.tracks.popitem(last=False)
        return track

    def enter(self) -> None:
        """This person has a new stream, in which numbers may mean other messages: the device
        repeats what is not acknowledged, and the partner may have a new stream too.
        """
        self.outbox.start_over()

    def expired(self, now: datetime) -> bool:
        """The grant has ended by this time and was not renewed."""
        return now > self.grant.expires_at

    def renew(self, grant: Grant) -> None:
        """A newer grant of the same match; an older one changes nothing."""
        later = max(grant.expires_at, self.grant.expires_at)
        self.grant = replace(grant, expires_at=later)


def _remember(kept: OrderedDict[FinalKey, None], key: FinalKey) -> None:
    kept[key] = None
    if len(kept) > MAX_KEPT:
        kept.popitem(last=False)


def _remember_revision(newest: OrderedDict[str, int], segment: str, revision: int) -> None:
    newest[segment] = max(revision, newest.get(segment, 0))
    if len(newest) > MAX_SEGMENTS:
        newest.popitem(last=False)
