"""`inyeon-models`: see cli.py for the commands."""

from __future__ import annotations

import sys

from inyeon_models.cli import run


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
