"""What `inyeon matching replay` does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from inyeon.cli.matching.records import Source, records_of, refuse
from inyeon.matching.adapters.decisions import DecisionReader
from inyeon.matching.domain.replaying import Fate, Replayed, Replayer, engine_version
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.topics import DECISIONS

DIFFERS = 1
"""Exit code when a pass gives other pairs, or its record does not give back what it looked at."""
SHOWN = 20
NOT_COMPARED = (Fate.OTHER_ENGINE, Fate.BASE_MISSING)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Arguments of a replay."""

    data_dir: Path | None
    file: Path | None
    save: Path | None
    pool: str | None
    any_engine: bool
    as_json: bool


@dataclass(slots=True)
class Tally:
    """What a replay found."""

    replayed: list[Replayed] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unrecorded: int = 0
    orphans: int = 0

    def count(self, fate: Fate) -> int:
        """How many passes fared so."""
        return sum(one.fate is fate for one in self.replayed)

    @property
    def different(self) -> list[Replayed]:
        """Passes that gave something else."""
        return [one for one in self.replayed if one.fate in (Fate.PAIRS_DIFFER, Fate.INPUTS_DIFFER)]

    @property
    def compared(self) -> int:
        """Passes that were done again."""
        return sum(one.fate not in NOT_COMPARED for one in self.replayed)


def run_replay(wanted: Wanted) -> None:
    """Replays, prints and exits with 0, or with DIFFERS, REFUSED or AWAY."""
    records = records_of(Source(wanted.data_dir, wanted.file, wanted.save), [DECISIONS])
    tally = replay(records, wanted.pool, wanted.any_engine)
    if wanted.as_json:
        typer.echo(json.dumps(_facts(tally), sort_keys=True))
    else:
        _print(tally)
    if tally.different or tally.unreadable:
        raise typer.Exit(DIFFERS)
    if not tally.compared:
        refuse("NOTHING_COMPARED", "no pass could be done again")


def replay(records: Iterable[Record], pool: str | None, any_engine: bool) -> Tally:
    """Does every pass again, pool by pool in the order of the records."""
    reader, replayer, tally = DecisionReader(), Replayer(any_engine), Tally()
    for record in records:
        if pool is not None and record.key != pool:
            continue
        try:
            decision = reader.take(record)
        except PoisonRecord as error:
            tally.unreadable.append(f"{record.partition}@{record.offset}: {error}")
            continue
        if decision is not None:
            tally.replayed.append(replayer.take(decision))
    tally.unrecorded, tally.orphans = reader.unrecorded, reader.orphans
    return tally


def _facts(tally: Tally) -> dict[str, Any]:
    fates = Counter(one.fate.name for one in tally.replayed)
    return {
        "engine": engine_version(),
        "waves": len(tally.replayed),
        "pairs": sum(one.pairs for one in tally.replayed if one.fate is Fate.SAME),
        "fates": {fate.name: fates.get(fate.name, 0) for fate in Fate},
        "unrecorded": tally.unrecorded,
        "before_a_key_frame": tally.orphans,
        "unreadable": tally.unreadable,
        "differences": [
            {
                "pool": one.pool,
                "wave": one.wave,
                "fate": one.fate.name,
                "what": one.first_difference,
            }
            for one in tally.different
        ],
    }


def _print(tally: Tally) -> None:
    console = Console()
    table = Table("pool", "waves", "people", "pairs", "same", "differ", "not compared")
    for pool in sorted({one.pool for one in tally.replayed}):
        own = [one for one in tally.replayed if one.pool == pool]
        same = sum(one.fate is Fate.SAME for one in own)
        skipped = sum(one.fate in NOT_COMPARED for one in own)
        people = f"{sum(one.people for one in own) / len(own):.0f}"
        pairs = str(sum(one.pairs for one in own))
        numbers = (same, len(own) - same - skipped, skipped)
        table.add_row(pool, str(len(own)), people, pairs, *map(str, numbers))
    console.print(table)
    if tally.different:
        first = tally.different[0]
        console.print(
            f"first difference: pool {first.pool}, wave {name_of(first.wave)}: "
            f"{first.fate.value}, {first.first_difference}",
            highlight=False,
        )
    for note in _notes(tally):
        console.print(note, highlight=False)


def _notes(tally: Tally) -> Iterator[str]:
    others = {one.first_difference for one in tally.replayed if one.fate is Fate.OTHER_ENGINE}
    if others:
        yield f"not comparable: engine {', '.join(sorted(others))}; here {engine_version()}"
    if missing := tally.count(Fate.BASE_MISSING) + tally.orphans:
        yield f"{missing} came before the first key frame that was read"
    if tally.unrecorded:
        yield f"{tally.unrecorded} have no recorded inputs"
    for text in tally.unreadable[:SHOWN]:
        yield f"unreadable: {text}"


def name_of(wave: int) -> str:
    """Such as `3/17`: epoch and number."""
    return f"{wave >> 32}/{wave & 0xFFFFFFFF}"
