"""Who takes part in the demo, with which pictures and wishes.

Subjects are letters, not names of people. Interests of the first two share no word.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EMPTY_ROOM = "drawn:empty-room"
CARTOON = "drawn:cartoon"


@dataclass(frozen=True, slots=True)
class Member:
    """One device of the demo."""

    subject: str
    name: str
    """Display name; a common word in some language, so that protection has something to do."""
    source: str
    country: str
    gender: str
    languages: str
    interests: str
    why: str
    """One line for the view."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The three devices and the clip that lets a person come into the empty room."""

    first: Member
    second: Member
    third: Member
    person_enters: str

    def members(self) -> tuple[Member, Member, Member]:
        """In the order in which they start."""
        return (self.first, self.second, self.third)


def cast(models_dir: Path, mark: str = "") -> Cast:
    """The cast on the clips of `models_dir`/clips. `mark` ends each subject."""
    clip = str(models_dir / "clips" / "carphone_pristine.mp4")
    portrait = str(models_dir / "clips" / "astronaut.png")
    return Cast(
        first=Member(
            subject=f"device-a{mark}",
            name="Rose",
            source=clip,
            country="GB",
            gender="female",
            languages="en:5",
            interests="hiking in the mountains, cooking and old movies",
            why="head and shoulders, speaks English",
        ),
        second=Member(
            subject=f"device-b{mark}",
            name="Sol",
            source=portrait,
            country="ES",
            gender="male",
            languages="es:5",
            interests="senderismo por la montaña, cocinar y cine clásico",
            why="portrait, speaks Spanish",
        ),
        third=Member(
            subject=f"device-c{mark}",
            name="Paz",
            source=EMPTY_ROOM,
            country="MX",
            gender="female",
            languages="es:5,en:3",
            interests="excursiones, recetas de cocina y películas",
            why="an empty room at first, speaks Spanish",
        ),
        person_enters=clip,
    )
