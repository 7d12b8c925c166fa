"""The `inyeon-stack` command."""

from __future__ import annotations


def main() -> None:
    """Runs the command line; exit codes are those of typer."""
    from inyeon_stack.cli import app

    app(prog_name="inyeon-stack")


if __name__ == "__main__":
    main()
