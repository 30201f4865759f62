#!/usr/bin/env python3
"""Lists the licenses of all dependencies that are linked into the program, for target/licenses.md.

    cargo metadata --format-version 1 --filter-platform TARGET | python3 docs/licenses.py > target/licenses.md

Fails when a dependency states no license, or one that deny.toml does not allow.
"""

import collections
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def linked(metadata):
    """Packages that the program is built from, without those of tests and build scripts."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    waiting = [package["id"] for package in metadata["packages"] if package["name"] == "overheard"]
    found = set()
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            uses = nodes[package]["deps"]
            waiting += [use["pkg"] for use in uses if any(kind["kind"] is None for kind in use["dep_kinds"])]
    return [package for package in metadata["packages"] if package["id"] in found and package["source"]]


def allowed():
    """The licenses of deny.toml."""
    policy = (ROOT / "deny.toml").read_text()
    return set(re.findall(r'^    "([^"]+)",$', policy, re.MULTILINE))


def is_allowed(expression, names):
    """Whether every required part of a license expression has an allowed alternative."""
    parts = re.split(r" AND (?![^(]*\))", re.sub(" */ *", " OR ", expression))
    return all(any(name in names for name in part.strip("()").split(" OR ")) for part in parts)


def main():
    packages = linked(json.load(sys.stdin))
    by_license = collections.defaultdict(list)
    for package in packages:
        by_license[package["license"] or f"see {package['license_file']}"].append(package)
    print(f"# Licenses of {len(packages)} dependencies\n")
    for license, members in sorted(by_license.items()):
        print(f"## {license}\n")
        for package in sorted(members, key=lambda package: (package["name"], package["version"])):
            address = package["repository"] or f"https://crates.io/crates/{package['name']}"
            print(f"- [{package['name']} {package['version']}]({address})")
        print()
    refused = [package for package in packages if not is_allowed(package["license"] or "", allowed())]
    for package in refused:
        print(f"{package['name']} {package['version']}: {package['license']}: not in deny.toml", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
