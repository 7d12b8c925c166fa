#!/usr/bin/env bash
# All tests with coverage: >= 90 % of lines overall, 100 % of branches in the domain rooms.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
rm -f .coverage .coverage.*
status=0
$bin/python -m pytest --cov --cov-report= "$@" || status=$?
if [ "$status" -eq 0 ] && [ "$#" -eq 0 ]; then
  $bin/coverage report --skip-covered --fail-under=90 > build/coverage.txt || { cat build/coverage.txt; status=1; }
  grep TOTAL build/coverage.txt
  echo "domain rooms:"
  $bin/coverage report --include='*/domain/*,*/temporal/*' --fail-under=100 || status=1
fi
exit "$status"
