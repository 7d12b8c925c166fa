"""Rows of the outbox: written many at once, each transaction's at its very end.

**Commit order.** PostgreSQL gives out ids when rows are written and shows them when they are
committed, so a lower id may appear after a higher one. Two rules make the relay's order right
without waiting for anybody:

1. A transaction writes its rows last, after everything it has read or locked.
2. The relay publishes what its snapshot shows, lowest id first, and forgets exactly the rows that
   it has published; it keeps no place up to which it would have read.

Let the commit of B be visible before A writes its rows, as it is whenever A has read what B did,
has waited for a row of B, or was begun by somebody who knew of B. Then B's ids are lower (1), and a
snapshot that shows A shows B too, or B is published already (2): B is published before A. So the
versions of a fact rise, and whoever reads an event has everything that its transaction could know
of; a watermark comes after all that was committed before it was written. Of two transactions that
overlap either may come first: nobody could tell which of them was. A transaction that never ends
holds up no other one.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from inyeon.runtime.clock import Clock
from inyeon.runtime.log.port import NewRecord, TopicSpec
from inyeon.runtime.log.records import check_record
from inyeon.runtime.log.topics import TOPICS
from inyeon.runtime.store.dialects import microseconds

OutboxRow = dict[str, Any]
"""Values of one row but its id."""

_KNOWN = {spec.name: spec for spec in TOPICS}


def row_of(record: NewRecord, clock: Clock) -> OutboxRow:
    """The row of an event, with `event_id` and `occurred_at` headers where it has none. Raises
    InvalidRecord, RecordTooLarge: what the log would refuse must not block the outbox."""
    now = clock.now()
    headers = {"event_id": str(uuid.uuid4()), "occurred_at": now.isoformat(), **record.headers}
    spec = _KNOWN.get(record.topic) or TopicSpec(record.topic, compacted=True)
    complete = NewRecord(record.topic, record.key, record.value, headers, record.partition_key)
    check_record(complete, spec)
    return {
        "topic": record.topic,
        "key": record.key,
        "partition_key": record.partition_key,
        "value": record.value,
        "headers": json.dumps(headers),
        "emitted_us": microseconds(now),
    }
