#!/bin/bash
# Makes the Debian package: deploy/package/deb.sh PROGRAM VERSION FOLDER. The package needs the C library of the machine
# that the program was built on, or a newer one.
set -euo pipefail
program=$1 version=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

install -D -m 0755 "$program" "$stage/usr/bin/overheard"
strip --strip-unneeded "$stage/usr/bin/overheard"
mkdir -p "$stage/usr/share/overheard" "$stage/usr/share/doc/overheard"
cp -r "$root/models" "$stage/usr/share/overheard/models"
cp "$root/README.md" "$root/NOTICE" "$stage/usr/share/doc/overheard/"
cp "$root/LICENSE" "$stage/usr/share/doc/overheard/copyright"
python3 "$here/bill.py" "$stage/usr/share/doc/overheard"
install -D -m 0644 "$here/overheard.service" "$stage/lib/systemd/system/overheard.service"
install -D -m 0644 "$here/overheard.toml" "$stage/etc/overheard/overheard.toml"
chmod -R u=rwX,go=rX "$stage"

mkdir "$stage/DEBIAN"
install -m 0755 "$here"/{postinst,prerm,postrm} "$stage/DEBIAN/"
echo /etc/overheard/overheard.toml >"$stage/DEBIAN/conffiles"
libc=$(objdump -T "$program" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
cat >"$stage/DEBIAN/control" <<CONTROL
Package: overheard
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: The authors of Overheard
Section: net
Priority: optional
Depends: libc6 (>= ${libc#GLIBC_}), libgcc-s1, ca-certificates, passwd
Installed-Size: $(du -sk --exclude=DEBIAN "$stage" | cut -f1)
Description: voice-of-customer analytics in one program
 What people say about you in public: how much, how they feel, about what,
 where, and when something changes. The dashboard is on localhost:8480.
CONTROL
mkdir -p "$out"
dpkg-deb --root-owner-group -Zzstd -z3 --build "$stage" "$out/overheard_${version}_$(dpkg --print-architecture).deb" >/dev/null
echo "$out/overheard_${version}_$(dpkg --print-architecture).deb"
