"""Commands of whoever runs the agent: one JSON object a line on stdin."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from inyeon_edge.errors import InputRefused
from inyeon_edge.uplink.converse import check_line
from inyeon_edge.uplink.stream import random_id

LINE_LIMIT_BYTES = 65_536  # a chat line of 8 KiB, escaped sixfold, and its frame
CHAT_LIMIT = 512
FILTERS = ("GENDERS", "COUNTRIES", "COMMON_LANGUAGE")
"""What of a wish a person may drop."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Shows another source."""

    source: str


@dataclass(frozen=True, slots=True)
class Say:
    """Says a line; it waits until a conversation is open."""

    segment_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Look:
    """Looks for somebody."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Ends the match or stops looking; `seek` looks again."""


@dataclass(frozen=True, slots=True)
class Attend:
    """The person looks, or is busy with something else: nobody is proposed to them meanwhile."""

    looks: bool


@dataclass(frozen=True, slots=True)
class Widen:
    """The person drops filters of the wish; without an offer nothing."""

    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes or no to the proposal; without one nothing."""

    yes: bool


@dataclass(frozen=True, slots=True)
class Stats:
    """Tells figures."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Ends the agent."""


Command: TypeAlias = Switch | Say | Look | Leave | Attend | Widen | Answer | Stats | Stop

_BARE: dict[str, Command] = {
    "seek": Look(),
    "leave": Leave(),
    "attend": Attend(looks=True),
    "distracted": Attend(looks=False),
    "accept": Answer(yes=True),
    "decline": Answer(yes=False),
    "stats": Stats(),
    "stop": Stop(),
}


def parse_command(line: str) -> Command:
    """Reads one line. Raises InputRefused naming the field."""
    if len(line.encode("utf-8", "surrogateescape")) > LINE_LIMIT_BYTES:
        raise _refused(f"a command has at most {LINE_LIMIT_BYTES} bytes", "LINE_TOO_LONG", "line")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refused(f"not JSON: {error}", "NOT_JSON", "line") from error
    if not isinstance(fields, dict):
        raise _refused("a command is a JSON object", "NOT_JSON", "line")
    return _command(fields)


def read_chat(path: Path) -> list[Say]:
    """Lines of a file to be said in order, empty ones left out. Raises InputRefused (`chat`)."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(f"{path}: {error}", "CHAT_UNREADABLE", "chat") from error
    chat = [Say(f"chat-{n}", line) for n, line in enumerate(filter(None, lines), start=1)]
    if len(chat) > CHAT_LIMIT:
        raise _refused(f"{path}: more than {CHAT_LIMIT} lines", "CHAT_TOO_LONG", "chat")
    for each in chat:
        check_line(each.segment_id, each.text)
    return chat


def _command(fields: dict[str, Any]) -> Command:
    do = fields.get("do")
    if isinstance(do, str) and do in _BARE:
        return _BARE[do]
    if do == "switch":
        return Switch(_text(fields, "source"))
    if do == "say":
        segment_id = _text(fields, "id") if "id" in fields else random_id()
        said = Say(segment_id, _text(fields, "text"))
        check_line(said.segment_id, said.text)
        return said
    if do == "widen":
        return Widen(_filters(fields.get("filters")))
    raise _refused(f"unknown command {do!r}", "UNKNOWN_COMMAND", "do")


def _filters(value: Any) -> tuple[str, ...]:
    names = value if isinstance(value, list) else []
    if not names or not all(isinstance(one, str) and one in FILTERS for one in names):
        message = f"filters must be some of {', '.join(FILTERS)}"
        raise _refused(message, "INVALID_FIELD", "filters")
    return tuple(dict.fromkeys(names))


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise _refused(f"{name} must be a text", "INVALID_FIELD", name)
    if re.search(r"[\ud800-\udfff]", value):
        raise _refused(f"{name} is not valid Unicode", "INVALID_FIELD", name)
    return value


def _refused(message: str, reason: str, field: str) -> InputRefused:
    return InputRefused(message, reason=reason, field=field)
