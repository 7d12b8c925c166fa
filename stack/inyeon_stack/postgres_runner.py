"""Under whom PostgreSQL's programs run: they refuse root.

An ordinary user runs them as itself. For root they run as `nobody`, who then owns the data; where
nobody cannot enter the folders (a checkout below /root), as an unprivileged user of a user
namespace, if this machine allows one.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from inyeon_stack.errors import EngineMissing

ENGINE = "postgresql"
NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")


@dataclass(frozen=True, slots=True)
class Runner:
    """`prefix` goes before each command; `uid` owns the data and runs it, None: the caller."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None

    def own(self, folder: Path) -> None:
        """Makes the folder, private to whom the programs run as."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.uid is not None:
            os.chown(folder, self.uid, self.uid)
        folder.chmod(0o700)

    def write(self, path: Path, text: str) -> None:
        """A file that only they may read."""
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)


def find_runner(*folders: Path) -> Runner:
    """A way to run programs that need these folders. Raises EngineMissing."""
    if os.geteuid() != 0:
        return Runner()
    nobody = pwd.getpwnam("nobody").pw_uid
    if all(_may_enter(folder) for folder in folders):
        return Runner(uid=nobody)
    if _has_namespaces():
        return Runner(prefix=NAMESPACE)
    closed = next(folder for folder in folders if not _may_enter(folder))
    reason = (
        f"it refuses root, the user nobody cannot enter {closed} and this machine allows no user "
        "namespaces: run as an ordinary user, or from a folder that everybody may enter"
    )
    raise EngineMissing(ENGINE, reason)


def _may_enter(folder: Path) -> bool:
    """Everybody may pass through this folder and those above it."""
    return all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents))


@lru_cache(maxsize=1)
def _has_namespaces() -> bool:
    if shutil.which(NAMESPACE[0]) is None:
        return False
    tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, timeout=10, check=False)  # noqa: S603
    return tried.returncode == 0
