"""Puts Apertium into a tools folder without root: Debian packages, checked by apt, unpacked by
dpkg-deb.

    python -m inyeon.translation.adapters.apertium_install --tools DIR [--json]

Where that cannot be done (no apt, no network, another system) the status says why, and translation
runs without the
tier. A second call finds the folder and does nothing but check it.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from inyeon.translation.adapters import apertium_text
from inyeon.translation.adapters.apertium_pipe import ApertiumPipe
from inyeon.translation.adapters.apertium_place import SYSTEM, ApertiumPlace, find, tools_root
from inyeon.translation.errors import EngineUnavailable

PACKAGES = (
    "apertium",
    "lttoolbox",
    "apertium-lex-tools",
    "apertium-eng-spa",
    "apertium-es-pt",
    "apertium-fr-es",
    "apertium-spa-ita",
)
# Named as dependencies, but not by any stage of an open pipe: 3 of 10 MB.
_NOT_NEEDED = frozenset({"gawk", "libsigsegv2", "xsltproc", "libxml2-utils", "zip", "unzip"})
STEP_S = 90.0  # one apt command: 9 MB at 100 kB/s
LOCK_S = 300.0  # another install has at most three steps of STEP_S and the unpacking
_KNOWN = {("en", "es"): ("I'm from Seoul.", "Soy de"), ("es", "pt"): ("Buenos días.", "Bom dia")}


@dataclass(frozen=True, slots=True)
class ApertiumStatus:
    """What was found or done."""

    available: bool
    source: str
    """system, tools, or none."""
    root: str
    pairs: tuple[str, ...]
    """Such as en-es."""
    reason: str
    """Why it is absent; empty where it is there."""
    seconds: float


class InstallFailed(Exception):
    """A step did not work; the message says which and why."""


def ensure_apertium(tools_dir: Path, path: Path | None = None) -> ApertiumStatus:
    """Finds Apertium, or installs it into `tools_dir`, and proves it with a known sentence. Never
    raises.

    Typically 10 s the first time, 0.3 s after that; at most LOCK_S + 4 * STEP_S.
    """
    started = time.monotonic()
    reason = ""
    place = find(path, tools_dir)
    if place is None:
        try:
            place = _install(tools_dir)
        except (InstallFailed, OSError) as error:
            reason = str(error)
    if place is not None and (reason := asyncio.run(_prove(place))):
        place = None
    return _status(place, reason, time.monotonic() - started)


def _status(place: ApertiumPlace | None, reason: str, seconds: float) -> ApertiumStatus:
    if place is None:
        return ApertiumStatus(False, "none", "", (), reason, round(seconds, 2))
    pairs = tuple(sorted("-".join(route) for route in place.routes()))
    source = "system" if place.root == SYSTEM else "tools"
    return ApertiumStatus(True, source, str(place.root), pairs, "", round(seconds, 2))


async def _prove(place: ApertiumPlace) -> str:
    """Translates a known sentence; the reason why that failed, or empty."""
    routes = place.routes()
    for route, (sentence, wanted) in _KNOWN.items():
        if route not in routes:
            continue
        try:
            pipe = ApertiumPipe(place.stages(routes[route]), place.environment())
            try:
                answer = apertium_text.clear_marks(await pipe.translate(sentence, 10.0))[0]
            finally:
                await pipe.close()
        except EngineUnavailable as error:
            return f"the {'-'.join(route)} pipe does not run: {error}"
        return "" if wanted in answer else f"the {'-'.join(route)} pipe answers nonsense"
    return "" if routes else "no pair is installed"


def _install(tools_dir: Path) -> ApertiumPlace:
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise InstallFailed(f"{program} is not on this system; install Apertium by hand")
    home = tools_root(tools_dir.absolute()).parent
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / "lock"):
        if (place := find(None, tools_dir)) is not None:
            return place
        with tempfile.TemporaryDirectory(dir=home) as work:
            _unpack(_download(Path(work)), Path(work) / "root")
            shutil.rmtree(home / "root", ignore_errors=True)
            (Path(work) / "root").rename(home / "root")
    if (place := find(None, tools_dir)) is None:
        raise InstallFailed("the packages hold no usable pair")
    return place


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two installs into one folder take turns. Raises InstallFailed after LOCK_S."""
    with path.open("w") as file:
        until = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise InstallFailed("another install holds the folder") from None
                time.sleep(0.2)
        yield


def _download(work: Path) -> list[Path]:
    """Downloads what this system lacks; first with the system's package lists, then with lists of
    our own.
    """
    packages = work / "packages"
    packages.mkdir()
    own_lists: tuple[str, ...] = ()
    names = _try_closure(work, own_lists)
    if names is None:
        own_lists = ("-o", f"Dir::State::Lists={_folder(work, 'lists/partial').parent}")
        _apt(work, [*own_lists, "update"])
        names = _try_closure(work, own_lists)
    if not names:
        raise InstallFailed("apt knows no Apertium packages; is the universe or main component on?")
    _apt(work, [*own_lists, "download", *names], cwd=packages)
    return sorted(packages.glob("*.deb"))


def _try_closure(work: Path, own_lists: Sequence[str]) -> list[str] | None:
    """Packages with those that they need and this system has not; None where apt cannot tell."""
    options = [*own_lists, "--print-uris", "--no-install-recommends", "-y", "install", *PACKAGES]
    try:
        printed = _apt(work, options)
    except InstallFailed:
        return None
    lines = [line.split() for line in printed.splitlines() if line.startswith("'")]
    names = {parts[1].partition("_")[0] for parts in lines if len(parts) > 1}
    # Metadata of a half-installed system can hide what we asked for: ask for it anyway.
    return sorted(
        n for n in names | set(PACKAGES) if n not in _NOT_NEEDED and not n.endswith("-dev")
    )


def _apt(work: Path, arguments: Sequence[str], cwd: Path | None = None) -> str:
    """Runs apt-get with caches of its own: neither root nor a lock of the system is needed."""
    cache = _folder(work, "cache/archives/partial").parent.parent
    options = ["-q", "-o", f"Dir::Cache={cache}", "-o", "Debug::NoLocking=1"]
    options += ["-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=2"]
    return _command(["apt-get", *options, *arguments], cwd or work)


def _command(arguments: Sequence[str], cwd: Path) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, arguments are ours
            list(arguments),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InstallFailed(f"{arguments[0]} took more than {STEP_S:.0f} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InstallFailed(f"{arguments[0]} failed: {last[:200]}")
    return done.stdout


def _unpack(packages: Sequence[Path], root: Path) -> None:
    root.mkdir()
    for package in packages:
        _command(["dpkg-deb", "-x", str(package), str(root)], root)


def _folder(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Installs and says what came of it. Exit code 1 where Apertium is absent."""
    parser = argparse.ArgumentParser(description="Installs Apertium into a tools folder, no root.")
    default = os.environ.get("INYEON_TOOLS_DIR", "build/tools")
    parser.add_argument("--tools", type=Path, default=Path(default), help="tools folder")
    parser.add_argument("--json", action="store_true", help="for machines")
    options = parser.parse_args(arguments)
    status = ensure_apertium(options.tools)
    sys.stdout.write((json.dumps(asdict(status)) if options.json else _sentence(status)) + "\n")
    return 0 if status.available else 1


def _sentence(status: ApertiumStatus) -> str:
    if not status.available:
        return (
            f"Apertium: absent ({status.reason}); sentences beyond the phrasebook stay untranslated"
        )
    pairs = ", ".join(status.pairs)
    return f"Apertium: {status.source}, {pairs} ({status.seconds:.1f} s)"


if __name__ == "__main__":
    raise SystemExit(main())
