"""The live terminal view and the closing table."""

from __future__ import annotations

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from inyeon.cli.demo.cast import Cast
from inyeon.cli.demo.seen import Seen
from inyeon.cli.demo.stage import Stage
from inyeon.cli.demo.steps import Step, StepState, Summary

MARKS = {
    StepState.OPEN: ("…", "dim"),
    StepState.DONE: ("✓", "green"),
    StepState.FAILED: ("✗", "red"),
}
TONES = {"CLEAR": "green", "UNSURE": "yellow", "PROTECT": "red"}


def live_view(stage: Stage, cast: Cast, summary: Summary) -> Group:
    """What happens now."""
    head = Text.assemble(
        ("Inyeon ", "bold"),
        f"{stage.elapsed_s():5.0f} s   status page ",
        (stage.addresses.page, "cyan"),
    )
    return Group(head, _people(stage, cast), _lines(stage), summary_table(summary))


def summary_table(summary: Summary) -> Table:
    """One row a step."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for step in summary.steps.values():
        mark, style = MARKS[step.state]
        table.add_row(Text(mark, style), step.title, _took(step), Text(step.detail, "dim"))
    return table


def _took(step: Step) -> str:
    return f"{step.took_s:.1f} s" if step.state is not StepState.OPEN else ""


def _people(stage: Stage, cast: Cast) -> Table:
    table = Table(expand=False)
    for title in ("device", "shows", "presence", "verdict", "now", "video in"):
        table.add_column(title)
    for member in cast.members():
        seen = stage.seen.get(member.subject)
        if seen is None:
            table.add_row(member.subject, member.why, "-", "-", "starting", "-")
            continue
        verdict = Text(seen.verdict, TONES.get(seen.verdict, "dim"))
        decoded = str(seen.media.get("decoded", 0))
        table.add_row(member.subject, member.why, seen.presence, verdict, _now(seen), decoded)
    return table


def _now(seen: Seen) -> str:
    if seen.match_id:
        doing = f"talks with {seen.matches[-1].partner_id}"
    else:
        doing = f"waits: {seen.wait}" if seen.wait else "starts"
    covers = [whose for whose in ("myself", "partner") if seen.covered(whose)]
    return f"{doing}{' (covers ' + ', '.join(covers) + ')' if covers else ''}"


def _lines(stage: Stage) -> Panel:
    shown = [(s.subject, c) for s in stage.seen.values() for c in s.captions[-2:] if c.final]
    rows = [
        Text.assemble(
            (f"{reader} reads ", "dim"),
            caption.text[:70],
            (f"  [{caption.mark}]", "dim"),
        )
        for reader, caption in shown
    ]
    return Panel(
        Group(*rows) if rows else Text("nobody has said anything yet", "dim"), title="captions"
    )
