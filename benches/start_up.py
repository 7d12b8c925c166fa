"""Start of `inyeon up`, warm: from the process to the answer that it is ready.

Workload: the same data folder each time (stores migrated, keys made); the first start is not
counted.
The plain alternative beside it is an empty Python process that imports grpc, numpy and SQLAlchemy.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Row, progress, report
from own_platform import own_platform

REPEATS = 5
BAR_S = 3.0
IMPORTS = "import grpc, numpy, sqlalchemy, fastapi"


def main() -> int:
    """0 when the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    starts = []
    with tempfile.TemporaryDirectory(prefix="inyeon-start-") as folder:
        for number in range(REPEATS + 1):
            with own_platform(Path(folder)) as platform:
                progress(f"start {number}: {platform.start_s:.2f} s")
                starts.append(platform.start_s)
    rows = [
        Row("start", "inyeon up, warm, median", statistics.median(starts[1:]), "s", BAR_S, "lower"),
        Row("start", "inyeon up, first start", starts[0], "s", better="lower"),
        Row("start", "bare imports, median", _bare_imports_s(), "s", better="lower"),
    ]
    return report(rows, as_json=options.json)


def _bare_imports_s() -> float:
    took = []
    for _ in range(REPEATS):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", IMPORTS], check=True)  # noqa: S603 - fixed program
        took.append(time.monotonic() - began)
    return statistics.median(took)


if __name__ == "__main__":
    sys.exit(main())
