#!/bin/bash
# Fills a folder with the whole content of the container image: deploy/package/root.sh PROGRAM FOLDER. There is no shell and no
# package manager in it: the program with its model, the C library of this machine, certificates, a user.
set -euo pipefail
program=$1 root=$2
here=$(cd "$(dirname "$0")" && pwd)
install -D -m 0755 "$program" "$root/usr/bin/overheard"
strip --strip-unneeded "$root/usr/bin/overheard"
mkdir -p "$root"/usr/share/overheard "$root"/usr/share/doc/overheard "$root"/etc/ssl/certs
cp -r "$here/../../models" "$root/usr/share/overheard/models"
cp "$here"/../../{LICENSE,NOTICE} "$root/usr/share/doc/overheard/"
# What the program is linked with, under the paths that it looks for.
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do install -D -m 0755 "$(realpath "$library")" "$root$library"; done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo "overheard:x:65532:65532::/var/lib/overheard:/nonexistent" >"$root/etc/passwd"
echo "overheard:x:65532:" >"$root/etc/group"
install -d -m 0700 -o 65532 -g 65532 "$root/var/lib/overheard"
install -d -m 1777 -o 65532 -g 65532 "$root/tmp"
