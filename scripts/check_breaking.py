"""Compares the contract with the last release tag.

Before 1.0 a breaking change that CHANGELOG.md lists passes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """0 when nothing breaks, nothing was released yet, or the break is announced before 1.0."""
    tag = _last_release()
    if tag is None:
        print("contract: no release yet, nothing to break")
        return 0
    broken = subprocess.run(
        [
            sys.executable,
            "scripts/buf.py",
            "breaking",
            "--against",
            f"../.git#tag={tag},subdir=protos",
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if broken.returncode == 0:
        print(f"contract: compatible with {tag}")
        return 0
    sys.stdout.write(broken.stdout + broken.stderr)
    if tag.startswith("v0.") and announced((ROOT / "CHANGELOG.md").read_text()):
        print(f"contract: breaks {tag}, announced in CHANGELOG.md")
        return 0
    return 1


def announced(changelog: str) -> bool:
    """The section Unreleased has an entry that starts with `Contract (breaking):`."""
    section = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return section is not None and "- Contract (breaking):" in section.group(1)


def _last_release() -> str | None:
    tags = subprocess.run(
        ["git", "tag", "--list", "v*", "--sort=-v:refname", "--merged", "HEAD"],  # noqa: S607 - git of the developer
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    return next(iter(tags.stdout.split()), None)


if __name__ == "__main__":
    sys.exit(main())
