"""Generates the Python classes of the contract into `inyeon_protos/`.

protoc writes modules after the proto package (`inyeon/common/v1`), which would collide with the
services' own `inyeon` package. So the output moves to `inyeon_protos/<area>/v1` and its imports are
rewritten.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
TARGET = ROOT / "inyeon_protos"
IMPORT = re.compile(r"\binyeon\.(common|edge|matching|moderation|translation|events)\.v1\b")
# Descriptors, method names and prose keep the names of the contract.
KEEP = ("AddSerializedFile", "_registered_method", "'/inyeon.", '"""')


def main() -> int:
    """Writes the package anew; returns protoc's exit status."""
    scripts = Path(sys.executable).parent
    well_known = Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as scratch:
        sources = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "inyeon").rglob("*.proto"))
        status = protoc.main(
            [
                "protoc",
                f"-I{ROOT}",
                f"-I{well_known}",
                f"--python_out={scratch}",
                f"--grpc_python_out={scratch}",
                f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
                f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
                f"--mypy_out={scratch}",
                f"--mypy_grpc_out={scratch}",
                *sources,
            ]
        )
        if status == 0:
            _publish(Path(scratch) / "inyeon")
    return int(status)


def _publish(made: Path) -> None:
    """Moves the generated tree into place with imports that name `inyeon_protos`."""
    fresh = TARGET.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(made, fresh)
    for path in [*fresh.rglob("*.py"), *fresh.rglob("*.pyi")]:
        path.write_text(_rewrite(path.read_text()))
    for folder in [fresh, *(p for p in fresh.rglob("*") if p.is_dir())]:
        (folder / "__init__.py").write_text('"""Generated from protos/inyeon; do not edit."""\n')
    (fresh / "py.typed").touch()
    shutil.rmtree(TARGET, ignore_errors=True)
    fresh.rename(TARGET)


def _rewrite(text: str) -> str:
    """Renames module paths in import statements and references, never in descriptors' strings."""
    lines = []
    for line in text.splitlines(keepends=True):
        keep = any(mark in line for mark in KEEP)
        lines.append(line if keep else IMPORT.sub(r"inyeon_protos.\1.v1", line))
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
