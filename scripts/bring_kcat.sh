#!/usr/bin/env bash
# Brings kcat, a client of Kafka that we did not write, without root: Debian packages, checked by apt, unpacked.
set -euo pipefail
target=$(mkdir -p "$1" && cd "$1" && pwd)
if found=$(command -v kcat); then
  ln -sf "$found" "$target/kcat"
  exit 0
fi
for program in apt-get dpkg-deb; do
  command -v "$program" >/dev/null || { echo "no kcat here, and no $program to bring it with" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/archives/partial" "$work/lists/partial"
# Caches of its own: neither root nor a lock of the system is needed.
apt=(apt-get -q -o "Dir::Cache=$work" -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Retries=2)
closure() {
  "${apt[@]}" --print-uris --no-install-recommends -y install kcat | awk "/^'/ {sub(/_.*/, \"\", \$2); print \$2}"
}
if ! names=$(closure 2>/dev/null) || [ -z "$names" ]; then
  apt+=(-o "Dir::State::Lists=$work/lists")
  "${apt[@]}" update >&2
  names=$(closure)
fi
# shellcheck disable=SC2086 - one word each
(cd "$work/archives" && "${apt[@]}" download $names >&2)
rm -rf "$target/kcat-root"
for package in "$work"/archives/*.deb; do
  dpkg-deb -x "$package" "$target/kcat-root"
done
cat > "$target/kcat.new" <<'WRAPPER'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/kcat-root
LD_LIBRARY_PATH=$(echo "$root"/usr/lib/*/ | tr ' ' ':') exec "$root/usr/bin/kcat" "$@"
WRAPPER
chmod +x "$target/kcat.new"
mv "$target/kcat.new" "$target/kcat"
"$target/kcat" -V >&2
