"""`inyeon log`: what lies among the dead letters, and how it comes back."""

from __future__ import annotations

import asyncio
import difflib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from inyeon.runtime.clock import Clock, SystemClock
from inyeon.runtime.errors import InyeonError, Unavailable
from inyeon.runtime.log.letters import Letter, Letters, read_letters
from inyeon.runtime.log.port import Log, TopicSpec
from inyeon.runtime.log.replaying import Plan, Selection, plan, replay
from inyeon.runtime.log.topics import TOPICS, dlq_spec
from inyeon.runtime.settings import RuntimeSettings

AWAY = 1
"""Exit code when the log is away: the same command may succeed later."""
REFUSED = 2
"""Exit code of wrong arguments and settings."""
SHOWN = 50  # letters in the table; --json has all of them

log = typer.Typer(no_args_is_help=True, help="Dead letters of the log.")

TopicName = Annotated[str, typer.Argument(help="Such as moderation.verdicts.", show_default=False)]
Group = Annotated[str | None, typer.Option(help="Only letters of this consumer group.")]
AsJson = Annotated[bool, typer.Option("--json", help="One object on stdout.")]

T = TypeVar("T")


@log.command()
def show(topic: TopicName, group: Group = None, as_json: AsJson = False) -> None:
    """Counts the dead letters of a topic by group and reason."""
    spec = _spec(topic)
    letters = _run(lambda on, _: read_letters(on, spec.name), spec)
    waiting = [x for x in letters.waiting if group in (None, x.group)]
    if as_json:
        typer.echo(json.dumps(_counts(spec.name, letters, waiting)))
    else:
        _print_counts(spec.name, letters, waiting)


@log.command(name="replay")
def replay_letters(
    topic: TopicName,
    group: Group = None,
    key: Annotated[str | None, typer.Option(help="Only letters of this key.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only keys that have a letter of this reason.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many letters.")] = None,
    discard: Annotated[
        bool,
        typer.Option(help="Give up the letters of --reason or --key; their followers come back."),
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Only show what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Publishes dead letters again, key by key in their order, for the group that refused them."""
    spec = _spec(topic)
    if discard and reason is None and key is None:
        raise typer.BadParameter("--discard needs --reason or --key", param_hint="--discard")
    selection = Selection(group, key, reason, limit, discard)

    async def work(on: Log, clock: Clock) -> Plan:
        planned = plan((await read_letters(on, spec.name)).waiting, selection)
        if not dry_run:
            await replay(on, spec, planned, clock)
        return planned

    planned = _run(work, spec)
    if as_json:
        typer.echo(json.dumps(_facts(spec.name, planned, dry_run)))
    else:
        _print_plan(spec.name, planned, dry_run)


def _spec(topic: str) -> TopicSpec:
    known = {spec.name: spec for spec in TOPICS}
    if topic not in known:
        near = difflib.get_close_matches(topic.removesuffix(".dlq"), known, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known))}"
        raise typer.BadParameter(f"there is no topic {topic!r}{hint}", param_hint="TOPIC")
    return known[topic]


def _run(work: Callable[[Log, Clock], Awaitable[T]], spec: TopicSpec) -> T:
    try:
        return asyncio.run(_on_log(work, spec, RuntimeSettings()))
    except InyeonError as error:
        where = f" ({error.field})" if error.field else ""
        typer.echo(f"{error.reason}{where}: {error}", err=True)
        raise typer.Exit(AWAY if isinstance(error, Unavailable) else REFUSED) from None


async def _on_log(
    work: Callable[[Log, Clock], Awaitable[T]], spec: TopicSpec, settings: RuntimeSettings
) -> T:
    from inyeon.runtime.ground import open_log

    clock = SystemClock()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    on = await open_log(settings, clock, CollectorRegistry())
    try:
        await on.create_topics([spec, dlq_spec(spec.name)])
        return await work(on, clock)
    finally:
        await on.close()


def _counts(topic: str, letters: Letters, waiting: Sequence[Letter]) -> dict[str, object]:
    counted = Counter((x.group, x.reason) for x in waiting)
    return {
        "topic": topic,
        "waiting": [
            {"group": group, "reason": reason, "letters": count, "keys": _keys(waiting, group)}
            for (group, reason), count in sorted(counted.items())
        ],
        "done": letters.done,
        "strange": letters.strange,
    }


def _keys(waiting: Sequence[Letter], group: str) -> int:
    return len({x.key for x in waiting if x.group == group})


def _print_counts(topic: str, letters: Letters, waiting: Sequence[Letter]) -> None:
    table = Table("group", "reason", "letters", "oldest", title=f"Dead letters of {topic}")
    for (group, reason), count in sorted(Counter((x.group, x.reason) for x in waiting).items()):
        oldest = min(x.refused_since for x in waiting if (x.group, x.reason) == (group, reason))
        table.add_row(group, reason, str(count), f"{oldest:%Y-%m-%d %H:%M:%S}Z")
    console = Console()
    if waiting:
        console.print(table)
    strange = f", {letters.strange} are no dead letters" if letters.strange else ""
    console.print(f"{len(waiting)} wait, {letters.done} are done with{strange}", highlight=False)


def _facts(topic: str, planned: Plan, dry_run: bool) -> dict[str, object]:
    return {
        "topic": topic,
        "dry_run": dry_run,
        "replayed": [_fact(x) for key in planned.keys for x in key.letters],
        "discarded": [_fact(x) for key in planned.keys for x in key.discarded],
        "stuck": [_fact(x) for x in planned.stuck],
    }


def _fact(letter: Letter) -> dict[str, object]:
    return {
        "group": letter.group,
        "key": letter.key,
        "reason": letter.reason,
        "detail": letter.detail,
        "origin": f"{letter.origin[0]}@{letter.origin[1]}",
        "refused_at": letter.refused_since.isoformat(),
    }


def _print_plan(topic: str, planned: Plan, dry_run: bool) -> None:
    fates = [(x, "replay") for key in planned.keys for x in key.letters]
    fates += [(x, "discard") for key in planned.keys for x in key.discarded]
    fates += [(x, "stuck") for x in planned.stuck]
    table = Table("group", "key", "reason", "origin", "what", title=f"Dead letters of {topic}")
    for letter, fate in fates[:SHOWN]:
        origin = f"{letter.origin[0]}@{letter.origin[1]}"
        table.add_row(letter.group, letter.key[:40], letter.reason, origin, fate)
    console = Console()
    if fates:
        console.print(table)
    if len(fates) > SHOWN:
        console.print(f"and {len(fates) - SHOWN} more; --json has all", highlight=False)
    would = "would be " if dry_run else ""
    console.print(
        f"{planned.replayed} {would}replayed, {planned.discarded} {would}discarded", highlight=False
    )
    if planned.stuck:
        said = "are cut, or follow one that is: they wait until it is given up with --discard"
        console.print(f"{len(planned.stuck)} {said}", highlight=False)
