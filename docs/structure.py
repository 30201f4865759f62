#!/usr/bin/env python3
"""Draws which crate uses which, as a Mermaid graph, into ARCHITECTURE.md.

    python3 docs/structure.py           # write the picture
    python3 docs/structure.py --check   # fail when it is out of date

Dependencies of tests are left out, and so are arrows that follow from others: `server -> domain` is not drawn when
`server` uses a crate that uses `domain`.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
BLOCK = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)


def dependencies():
    """The crates of the workspace, each with the crates that it uses."""
    manifests = {path.parent.name: path.read_text() for path in ROOT.glob("crates/*/Cargo.toml")}
    uses = {}
    for name, manifest in manifests.items():
        section = re.search(r"^\[dependencies\]\n(.*?)(?=^\[|\Z)", manifest, re.DOTALL | re.MULTILINE)
        keys = re.findall(r"^([\w-]+)", section.group(1), re.MULTILINE) if section else []
        uses[name] = {key for key in keys if key in manifests}
    return uses


def reachable(uses, start):
    """Every crate that `start` uses, directly or not."""
    found, open_ = set(), list(uses[start])
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_.extend(uses[name])
    return found


def picture(uses):
    """The graph, without arrows that follow from others."""
    lines = ["```mermaid", "graph TD"]
    for name in sorted(uses):
        implied = set().union(*(reachable(uses, used) for used in uses[name]))
        direct = sorted(uses[name] - implied)
        lines += [f"    {name} --> {used}" for used in direct]
    return "\n".join([*lines, "```", ""])


def main():
    page = PAGE.read_text()
    fresh = BLOCK.sub(lambda _: picture(dependencies()), page, count=1)
    if not BLOCK.search(page):
        sys.exit("ARCHITECTURE.md has no mermaid block")
    if sys.argv[1:] == ["--check"]:
        if fresh != page:
            sys.exit("the picture in ARCHITECTURE.md is out of date; run `make structure`")
    else:
        PAGE.write_text(fresh)


if __name__ == "__main__":
    main()
