#!/bin/bash
# Builds the last stage of deploy/Dockerfile around a built program, without pulling anything: deploy/package/image.sh PROGRAM
# VERSION. The image overheard:VERSION is tried, and written to target/packages as an archive that `docker load` reads.
set -euo pipefail
program=$1 version=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
build() { buildah --storage-driver vfs --root "$root/target/images" "$@"; }

"$here/root.sh" "$program" "$files"
build build --isolation chroot --build-context "files=$files" --target image -f "$here/../Dockerfile" -t "overheard:$version" "$files"
container=$(build from "overheard:$version")
build run --isolation chroot "$container" -- /usr/bin/overheard --version
build run --isolation chroot "$container" -- /usr/bin/overheard analyze <<<"The crew was lovely" | head -5
build rm "$container" >/dev/null
mkdir -p "$root/target/packages"
build push "overheard:$version" "docker-archive:$root/target/packages/overheard-$version-image.tar:overheard:$version"
