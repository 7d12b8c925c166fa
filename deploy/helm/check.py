"""Checks the chart: lint --strict, values that the schema must refuse, golden renders.

`--write` renews the golden files.
"""

from __future__ import annotations

import argparse
import difflib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parent / "inyeon"
KUBERNETES = "1.34.0"  # renders are the same on every machine
HELM_S = 60.0  # rendering takes a second; a busy machine ten
REFUSED = {
    "an unknown key": {"replicas": 3},
    "a privileged port": {"ports": {"grpc": 80}},
    "an unknown profile": {"profile": "production"},
    "a setting that is none of ours": {"settings": {"PATH": "/"}},
    "a broken digest": {"image": {"digest": "sha256:12"}},
    "an endless drain": {"termination": {"drainSeconds": 6000}},
}
CHECKSUM = re.compile(r"(checksum/config: )[0-9a-f]{64}")


def main() -> int:
    """1 when a check fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--helm", required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    failures = [*_lint(options.helm), *_schema(options.helm)]
    for example in sorted((CHART / "examples").iterdir()):
        failures += _golden(options.helm, example, write=options.write)
    for failure in failures:
        print(failure)
    print("chart: " + (f"{len(failures)} problems" if failures else "as it should be"))
    return 1 if failures else 0


def _lint(helm: str) -> list[str]:
    values = [str(p) for p in sorted((CHART / "examples").glob("*/values.yaml"))]
    runs: list[list[str]] = [[], *(["--values", v] for v in values)]
    answers = [_helm(helm, ["lint", "--strict", str(CHART), *run]) for run in runs]
    return [a.stdout + a.stderr for a in answers if a.returncode != 0]


def _schema(helm: str) -> list[str]:
    failures = []
    for name, values in REFUSED.items():
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            answer = _helm(helm, _template(Path(file.name)))
        refused = answer.returncode != 0 and "schema" in answer.stderr
        if not refused:
            failures.append(f"schema: {name} was not refused: {values}")
        else:
            print(f"schema refuses {name}")
    return failures


def _golden(helm: str, example: Path, *, write: bool) -> list[str]:
    answer = _helm(helm, _template(example / "values.yaml"))
    if answer.returncode != 0:
        return [answer.stderr]
    made = CHECKSUM.sub(r"\1<checksum>", answer.stdout)
    list(yaml.safe_load_all(made))
    golden = example / "rendered" / "all.yaml"
    if write:
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(made)
    expected = golden.read_text() if golden.exists() else ""
    difference = difflib.unified_diff(
        expected.splitlines(), made.splitlines(), str(golden), "rendered now", lineterm=""
    )
    lines = list(difference)
    if not lines:
        print(f"render of {example.name} is as committed")
    return ["\n".join(lines)] if lines else []


def _template(values: Path) -> list[str]:
    options = ["--kube-version", KUBERNETES, "--values", str(values)]
    return ["template", "inyeon", str(CHART), *options]


def _helm(helm: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [helm, *arguments], capture_output=True, text=True, timeout=HELM_S, check=False
    )


if __name__ == "__main__":
    sys.exit(main())
