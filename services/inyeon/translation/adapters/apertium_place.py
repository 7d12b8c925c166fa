"""Where Apertium is installed, and which pairs are there."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inyeon.translation.domain.languages import two_letters
from inyeon.translation.errors import EngineUnavailable

SYSTEM = Path("/")
_SHARE = "usr/share/apertium"
# Stages that know the flush-on-NUL mode `-z`; a mode with another program cannot be kept open.
_KEEPABLE = frozenset(
    {
        "lt-proc",
        "apertium-tagger",
        "apertium-pretransfer",
        "apertium-transfer",
        "apertium-interchunk",
        "apertium-postchunk",
        "lrx-proc",
        "lsx-proc",
        "cg-proc",
        "apertium-anaphora",
    }
)

Route = tuple[str, str]
"""(source, target), primary tags."""


@dataclass(frozen=True, slots=True)
class ApertiumPlace:
    """A tree that holds `usr/bin`, `usr/lib` and `usr/share/apertium`: `/` or a tools folder."""

    root: Path

    @property
    def modes_dir(self) -> Path:
        """Folder of mode files."""
        return self.root / _SHARE / "modes"

    def routes(self) -> dict[Route, Path]:
        """Mode file of each pair that can be kept open, among the 19 languages."""
        found: dict[Route, Path] = {}
        for mode in sorted(self.modes_dir.glob("*-*.mode")):
            source, _, target = mode.stem.partition("-")
            route = (two_letters(source), two_letters(target))
            if all(route) and self._keepable(mode):
                found[route] = mode
        return found

    def stages(self, mode: Path) -> list[list[str]]:
        """Argument lists of a mode's programs, in order. Raises EngineUnavailable where one is
        missing.

        The recipe of the facts: `-z` behind each program, `$1` is `-g` (unknown words keep their
        `*`), `$2` goes.
        """
        return [self._stage(line) for line in _commands(mode)]

    def environment(self) -> Mapping[str, str]:
        """Variables that the programs need: the tree's own libraries, and UTF-8 whatever the user's
        locale is.
        """
        libraries = [str(folder) for folder in sorted(self.root.glob("usr/lib/*-linux-gnu*"))]
        extra = {} if self.root == SYSTEM else {"LD_LIBRARY_PATH": ":".join(libraries)}
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", **extra}

    def _keepable(self, mode: Path) -> bool:
        return all(command and command[0] in _KEEPABLE for command in _commands(mode))

    def _stage(self, command: Sequence[str]) -> list[str]:
        program = self._program(command[0])
        options = ["-g" if word == "$1" else word for word in command[1:] if word != "$2"]
        return [program, "-z", *(self._moved(word) for word in options)]

    def _program(self, name: str) -> str:
        own = self.root / "usr/bin" / name
        found = str(own) if own.is_file() else shutil.which(name)
        if found is None:
            raise EngineUnavailable(f"{name} is not installed")
        return found

    def _moved(self, word: str) -> str:
        return str(self.root / word.lstrip("/")) if word.startswith(f"/{_SHARE}") else word


def _commands(mode: Path) -> list[list[str]]:
    return [shlex.split(part) for part in mode.read_text("utf-8").strip().split("|")]


def tools_root(tools_dir: Path) -> Path:
    """Where the installer puts the tree inside a tools folder."""
    return tools_dir / "apertium" / "root"


def find(path: Path | None, tools_dir: Path) -> ApertiumPlace | None:
    """First of: the given tree, the system's, the tools folder's. None where there is no pair."""
    for root in (path, SYSTEM, tools_root(tools_dir)):
        if root is not None and (place := ApertiumPlace(root.absolute())).routes():
            return place
    return None
