"""`make bench-stack`: Kafka, PostgreSQL and Triton under our adapters, beside the bare clients.

    python benches/bench_stack.py [--json] [--only log|idle|embedding|image]

Starts engines of its own in a temporary folder (fsync on) and ends them. Everything is measured in
turn, in one run.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog
from escalation_devices import MODELS
from figures import Row, progress, report
from stack_log import log_rows
from stack_moderation import Engines, embedding_rows, idle_rows, image_rows

from inyeon.inference.export import export
from inyeon.runtime.loop import run
from inyeon_stack import EngineMissing, KafkaCluster, Postgres, Triton

PARTS = ("log", "idle", "embedding", "image")
EMBEDDINGS_PER_S, IMAGES_PER_S = 200.0, 5.0
FOR_S = 20.0  # 4,000 devices; a replica of moderation takes 5,000


def main() -> int:
    """Runs everything; exit code 1 when a bar is missed or an engine is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, nothing else")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--seconds", type=float, default=FOR_S, help="of each load of escalations")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the engines, as Ctrl-C does
    with tempfile.TemporaryDirectory(prefix="inyeon-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user where we are root
        try:
            with _engines(folder) as engines:
                rows = _measure(folder, engines, options.only or PARTS, options.seconds)
        except EngineMissing as missing:
            progress(str(missing))
            return 1
    return report(rows, as_json=options.json)


def _measure(folder: Path, engines: Engines, parts: tuple[str, ...], for_s: float) -> list[Row]:
    rows: list[Row] = []
    if "log" in parts:
        rows += log_rows(engines.kafka, engines.postgres)
    if "idle" in parts:
        rows += run(idle_rows(folder / "idle", engines))
    if "embedding" in parts:
        rows += run(embedding_rows(folder / "head", engines, EMBEDDINGS_PER_S, for_s))
    if "image" in parts:
        rows += run(image_rows(folder / "image", engines, IMAGES_PER_S, for_s))
    return rows


@contextmanager
def _engines(folder: Path) -> Iterator[Engines]:
    export(MODELS, folder / "repository", backend="python")
    engines = Engines(
        KafkaCluster(folder / "kafka"),
        Postgres(folder / "postgres"),
        Triton(folder / "triton", folder / "repository"),
    )
    with ExitStack() as stack:
        for engine in (engines.kafka, engines.postgres, engines.triton):
            progress(f"starting {type(engine).__name__}")
            stack.callback(engine.stop)
            engine.start()
        yield engines


if __name__ == "__main__":
    sys.exit(main())
