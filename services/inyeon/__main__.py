"""The `inyeon` command."""

from __future__ import annotations

import sys

from inyeon.cli.app import app


def main() -> None:
    """Runs the command line; exit codes are those of typer."""
    app(prog_name="inyeon")


if __name__ == "__main__":
    sys.exit(main())
