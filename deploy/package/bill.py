"""Writes what is shipped, with versions and licences: bill.cdx.json (CycloneDX 1.6) and licences.txt, into a folder.

    python3 deploy/package/bill.py target/dist

Crates that the program is linked from come from `cargo metadata`, packages of the dashboard from web/package-lock.json.
"""

import json
import re
import subprocess
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = "x86_64-unknown-linux-gnu"
# Data that is shipped: name, version, licence, origin.
DATA = [
    ("GeoNames (selected and compiled)", "2026", "CC-BY-4.0", "https://www.geonames.org"),
    ("lid.176.ftz", "2016", "CC-BY-SA-3.0", "https://fasttext.cc/docs/en/language-identification.html"),
    ("multilingual-e5-small (fine-tuned)", "2023", "MIT", "https://huggingface.co/intfloat/multilingual-e5-small"),
]


def crates():
    """Every crate that the program is linked from: no crate of tests, no build tool."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    found = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in found["packages"]}
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    waiting = [package["id"] for package in found["packages"] if package["name"] == "overheard"]
    linked = set(waiting)
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            is_linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            targets = packages[dependency["pkg"]]["targets"]
            is_macro = any("proc-macro" in target["kind"] for target in targets)
            if is_linked and not is_macro and dependency["pkg"] not in linked:
                linked.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    return sorted((packages[each] for each in linked), key=lambda package: (package["name"], package["version"]))


def npm():
    """Packages of the dashboard, as (name, version, licence)."""
    lock = json.loads((ROOT / "web/package-lock.json").read_text())
    for path, package in sorted(lock["packages"].items()):
        if path and not package.get("dev"):
            yield path.rpartition("node_modules/")[2], package["version"], package.get("license", "")


def licence_of(package):
    """The licence as an SPDX expression: older crates write a slash for OR."""
    return re.sub(r"\s*/\s*", " OR ", package["license"] or "")


def component(name, version, licence, purl=None, **more):
    entry = {"type": "library", "name": name, "version": version, **more}
    if licence:
        entry["licenses"] = [{"expression": licence}]
    if purl:
        entry |= {"purl": purl, "bom-ref": purl}
    return entry


def bill(linked):
    own = next(package for package in linked if package["name"] == "overheard")
    others = [package for package in linked if package["source"]]
    components = [
        component(package["name"], package["version"], licence_of(package), f"pkg:cargo/{package['name']}@{package['version']}")
        for package in others
    ]
    for name, version, licence in npm():
        components.append(component(name, version, licence, f"pkg:npm/{name.replace('@', '%40')}@{version}"))
    for name, version, licence, origin in DATA:
        links = [{"type": "distribution", "url": origin}]
        components.append(component(name, version, licence, type="data", externalReferences=links))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components))}",
        "version": 1,
        "metadata": {"component": component("overheard", own["version"], own["license"], type="application")},
        "components": components,
    }


def texts(package):
    """The files with the licence's text that the crate brings."""
    folder = Path(package["manifest_path"]).parent
    return sorted(file for file in folder.iterdir() if re.match(r"(?i)(licen[cs]e|copying|notice|unlicense)", file.name) and file.is_file())


def licences(linked, found):
    """A list of everything with its licence, then each text once, with the crates that bring it."""
    lines = ["What Overheard is made of, and its licences", ""]
    for entry in found["components"]:
        licence = entry.get("licenses", [{"expression": "no licence named"}])[0]["expression"]
        lines.append(f"{entry['name']} {entry['version']}: {licence}")
    bringers = {}
    for package in linked:
        if package["source"]:
            for file in texts(package):
                bringers.setdefault(file.read_text(errors="replace").strip(), []).append(package["name"])
    for text, names in sorted(bringers.items(), key=lambda item: item[1]):
        lines += ["", "=" * 100, ", ".join(sorted(set(names))), "", text]
    return "\n".join(lines) + "\n"


def main(folder):
    linked = crates()
    found = bill(linked)
    nameless = [entry["name"] for entry in found["components"] if not entry.get("licenses")]
    if nameless:
        raise SystemExit(f"no licence is named by {', '.join(nameless)}: add it here after reading its files")
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "bill.cdx.json").write_text(json.dumps(found, indent=1) + "\n")
    (Path(folder) / "licences.txt").write_text(licences(linked, found))


if __name__ == "__main__":
    main(sys.argv[1])
