"""The `inyeon` command."""

from __future__ import annotations

import os


def main() -> None:
    """Runs the command line; exit codes are those of typer."""
    # Before numpy loads: more BLAS threads than one fight with the loop, and a pass takes longer.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from inyeon.cli.app import app

    app(prog_name="inyeon")


if __name__ == "__main__":
    main()
