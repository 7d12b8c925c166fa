#!/usr/bin/env bash
# Builds grpcurl and grpc-health-probe from their Go modules: clients that we did not write, to try our servers with.
set -euo pipefail
target=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
go=$(scripts/find_go.sh "$target")
echo "building grpcurl and grpc-health-probe (about two minutes, once)" >&2
export GOBIN="$target" GOFLAGS=-modcacherw CGO_ENABLED=0
"$go" install -ldflags "-s -w" github.com/grpc-ecosystem/grpc-health-probe@v0.4.61
"$go" install -ldflags "-s -w" github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
