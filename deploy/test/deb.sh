#!/bin/bash
# Installs, starts, upgrades, removes and purges the Debian package in a fresh Debian 12: deploy/test/deb.sh PROGRAM. Needs root.
# There is no systemd in it: the command of the unit is started as the unit's user.
set -euo pipefail
program=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
debian=$work/debian
process=
cleanup() {
  if [ -n "$process" ]; then kill -9 "$process" 2>/dev/null || true; fi
  umount "$debian/proc" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

say() { echo "== $*"; }
inside() { DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$debian" "$@"; }
as_service() { LC_ALL=C chroot --userspec=overheard:overheard "$debian" "$@"; }

start() {
  # As the unit says, but for its isolation.
  local command
  command=$(sed -n 's/^ExecStart=//p' "$debian/lib/systemd/system/overheard.service")
  # shellcheck disable=SC2086 # the words of the command
  LC_ALL=C chroot --userspec=overheard:overheard "$debian" $command >>"$work/log" 2>&1 &
  process=$!
  for _ in $(seq 600); do
    if curl -sf "http://127.0.0.1:$port/healthz" >/dev/null; then return; fi
    sleep 0.2
  done
  cat "$work/log"
  echo "the service does not answer"
  exit 1
}

stop() {
  kill "$process"
  wait "$process"
  process=
}

posts() { as_service overheard sql --config /etc/overheard/overheard.toml --data /var/lib/overheard --format csv "SELECT count(*) FROM sentiment" | tail -1; }

say "two versions of the package"
old=$("$root/deploy/package/deb.sh" "$program" 0.0.9 "$work/packages")
new=$("$root/deploy/package/deb.sh" "$program" 0.1.0 "$work/packages")
dpkg-deb --info "$new" | sed -n 's/^ Depends/Depends/p'

say "a fresh Debian 12"
base=$root/target/debian-12.tar
if [ ! -f "$base" ]; then
  debootstrap --variant=minbase --include=ca-certificates,passwd bookworm "$work/base" >/dev/null
  tar -C "$work/base" -cf "$base" .
  rm -rf "$work/base"
fi
mkdir -p "$debian"
tar -C "$debian" -xf "$base"
mount -t proc proc "$debian/proc"
mkdir "$debian/packages"
cp "$old" "$new" "$debian/packages/"

say "install"
inside dpkg -i "/packages/$(basename "$old")" >/dev/null
[ "$(inside stat -c %U:%a /var/lib/overheard)" = overheard:700 ]
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf '[server]\nbind = "127.0.0.1:%s"\n[watch]\nenabled = false\n' "$port" >>"$debian/etc/overheard/overheard.toml"

say "start, import, stop"
start
printf '{"id": "%s", "text": "The train was late again", "created_at": "2026-11-0%sT10:00:00Z"}\n' 1 1 2 2 3 3 >"$debian/posts.jsonl"
as_service overheard import --config /etc/overheard/overheard.toml --data /var/lib/overheard --platform forum /posts.jsonl
for _ in $(seq 100); do if [ "$(posts)" = 3 ]; then break; fi; sleep 0.3; done
[ "$(posts)" = 3 ]
stop

say "upgrade: settings and posts are kept"
inside dpkg -i --force-confold "/packages/$(basename "$new")" >/dev/null
[ "$(inside dpkg-query -W -f '${Version}' overheard)" = 0.1.0 ]
grep -q "$port" "$debian/etc/overheard/overheard.toml"
start
[ "$(posts)" = 3 ]
stop

say "remove, install again, purge: posts are kept until somebody deletes them"
inside dpkg --remove overheard >/dev/null
[ ! -e "$debian/usr/bin/overheard" ] && [ -e "$debian/etc/overheard/overheard.toml" ]
said=$(inside dpkg --purge overheard)
grep -q "are kept" <<<"$said"
[ ! -e "$debian/etc/overheard" ] && [ -e "$debian/var/lib/overheard/overheard.db" ]
inside dpkg -i "/packages/$(basename "$new")" >/dev/null
rm -rf "$debian/var/lib/overheard"
inside dpkg --purge overheard >/dev/null
left=$(cd "$debian" && find etc usr lib var/lib/overheard -name '*overheard*' 2>/dev/null || true)
[ -z "$left" ] || { echo "left after the purge: $left"; exit 1; }
if inside getent passwd overheard >/dev/null; then echo "the user is left after the purge"; exit 1; fi

if command -v systemd-analyze >/dev/null; then
  say "the unit is hardened: $(systemd-analyze security --offline=true --threshold=20 "$root/deploy/package/overheard.service" | tail -1)"
fi
say "passed"
