"""How dead letters come back: headers of a record that is replayed, and when its key lives again.

A replayed record goes to the end of its partition, behind records of its key that were published
meanwhile. Those must wait for it, so the key stays dead, and only what is replayed passes. The last
dead letter of a key that the replay knew says so (`replay_releases`); the consumer releases the key
together with the effect of that record, unless it has refused more meanwhile: then the key waits
for the next replay. So, for each key, effects come in the order in which its records were first
published, at every moment and after any crash.

A poison record that will never be good is given up instead: nothing of it is published again. Where
no other letter of its key is left, a control record (`replay_key`) without effect takes its place,
because only the consumer knows whether the key may live again.

A replayed record that is refused again takes those behind it along: `replay_first` is the offset of
the key's first record of the same replay, and a key that died at or after it refuses the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from inyeon.runtime.log.port import Record

GROUP = "replay_group"
FROM = "replayed_from"
FIRST = "replay_first"
RELEASES = "replay_releases"
CONTROLS = "replay_key"
HEADERS = frozenset({GROUP, FROM, FIRST, RELEASES, CONTROLS})


@dataclass(frozen=True, slots=True)
class Dead:
    """A key that is refused: place of the last record of it that was."""

    partition: int
    offset: int

    def and_also(self, partition: int, offset: int) -> Dead:
        """The later one of two places. A key lives in one partition; should it have moved, the
        newer place counts."""
        if partition == self.partition and offset < self.offset:
            return self
        return Dead(partition, offset)


@dataclass(frozen=True, slots=True)
class Replay:
    """What the headers of a replayed record say."""

    group: str
    """Only this group takes it; all others had the record when it was new."""
    origin: str
    """`partition@offset` where the record was when it was first refused."""
    first: int | None = None
    """Offset of the first record of its key in this replay; None in that record itself."""
    releases: int | None = None
    """In the last one of its key: offset of the last refused record that this replay knew."""

    controls: str | None = None
    """In a control record: the key that it is about. Such a record has no effect."""

    def passes(self, dead: Dead, partition: int) -> bool:
        """A dead key lets it through."""
        return self.first is None or dead.partition != partition or dead.offset < self.first

    def frees(self, dead: Dead, partition: int) -> bool:
        """With it everything that was refused of its key is done."""
        return (
            self.releases is not None
            and dead.partition == partition
            and dead.offset <= self.releases
        )

    def headers(self) -> dict[str, str]:
        """As `replay_of` reads them."""
        found = {GROUP: self.group, FROM: self.origin}
        if self.first is not None:
            found[FIRST] = str(self.first)
        if self.releases is not None:
            found[RELEASES] = str(self.releases)
        if self.controls is not None:
            found[CONTROLS] = self.controls
        return found


def replay_of(record: Record) -> Replay | None:
    """None for an ordinary record, and for one whose headers are not ours."""
    headers = record.headers
    if GROUP not in headers:
        return None
    first, releases = headers.get(FIRST), headers.get(RELEASES)
    if not all(number is None or is_offset(number) for number in (first, releases)):
        return None
    return Replay(
        headers[GROUP],
        headers.get(FROM, ""),
        None if first is None else int(first),
        None if releases is None else int(releases),
        headers.get(CONTROLS),
    )


def key_of(record: Record) -> str:
    """The key that a record is about: its own, or the one that it controls."""
    replay = replay_of(record)
    return record.key if replay is None or replay.controls is None else replay.controls


def is_offset(said: str) -> bool:
    """A whole number, in [0, 2**63)."""
    return said.isascii() and said.isdigit() and len(said) < 20 and int(said) < 2**63
