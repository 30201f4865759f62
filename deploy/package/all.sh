#!/bin/bash
# Packs a built program: deploy/package/all.sh PROGRAM VERSION FOLDER makes the Debian package, an archive for any Linux with the
# same C library or a newer one, the zip of the functions on AWS, and the list of what is shipped.
set -euo pipefail
program=$1 version=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$out"

"$here/deb.sh" "$program" "$version" "$out"
python3 "$here/bill.py" "$out"

mkdir "$stage/overheard"
install -m 0755 "$program" "$stage/overheard/overheard"
strip --strip-unneeded "$stage/overheard/overheard"
cp -r "$root/models" "$stage/overheard/models"
printf '#!/bin/sh\nexec "$LAMBDA_TASK_ROOT/overheard" lambda\n' >"$stage/overheard/bootstrap"
chmod 0755 "$stage/overheard/bootstrap"
rm -f "$out/overheard-lambda.zip"
(cd "$stage/overheard" && python3 -m zipfile -c "$stage/functions.zip" bootstrap overheard models)
mv "$stage/functions.zip" "$out/overheard-lambda.zip"
unpacked=$(du -sm "$stage/overheard" | cut -f1)
if [ "$unpacked" -gt 250 ]; then echo "overheard-lambda.zip: $unpacked MB unpacked; Lambda takes 250 MB of a zip: use the image"; fi

rm "$stage/overheard/bootstrap"
cp "$root"/{README.md,LICENSE,NOTICE} "$out/licences.txt" "$stage/overheard/"
tar -C "$stage" --owner=0 --group=0 -czf "$out/overheard-$version-$(uname -m)-linux.tar.gz" overheard
ls -lh "$out"
