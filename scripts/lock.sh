#!/usr/bin/env bash
# Locks requirements for Python 3.11 to 3.13 with hashes; no address of a registry gets into the files.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --quiet "requirements/$1.in" "${@:2}" --output-file "requirements/$1.txt"
}
compile bootstrap
compile run
compile stack --constraints requirements/run.txt
compile dev --constraints requirements/run.txt
compile triton
compile chart
