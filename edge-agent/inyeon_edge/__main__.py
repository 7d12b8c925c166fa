"""`inyeon-edge` and `python -m inyeon_edge`: reads the command line, runs the agent."""

from __future__ import annotations

from inyeon_edge.cli import app


def main() -> None:
    """Runs the command; the process ends with its exit code."""
    app(prog_name="inyeon-edge")


if __name__ == "__main__":
    main()
