"""Pictures that the project draws itself, so that tests and the demo need nobody's photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from inyeon_edge.drawn.cartoon import Cartoon
from inyeon_edge.drawn.room import EmptyRoom
from inyeon_edge.frame import Image

DRAWINGS: Mapping[str, Callable[[], Callable[[int], Image]]] = {
    "empty-room": EmptyRoom,
    "cartoon": Cartoon,
}
"""By name: what makes the function from frame number to picture."""
