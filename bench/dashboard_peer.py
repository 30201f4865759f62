#!/usr/bin/env python3
"""Times every panel of the dashboard on a lake, beside DuckDB answering the same questions on the same files.

Usage: bench/dashboard_peer.py DATA_FOLDER [--requests 50] [--peer-requests 50] [--binary target/debug/overheard]

DATA_FOLDER holds `lake/`, as `lake_generate DATA_FOLDER/lake POSTS` (an example of crate `lake`) or an import made it. Each
request has a filter of its own (time range, time of its end, up to three dimensions), so no cache of answers helps;
then the same are asked again, as a second person would. Needs `pip install deltalake duckdb` for the peer, which is left
out without them; numbers that differ end it with 1.
"""

import argparse
import random
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

from program import Overheard

SMALL = "topic,category,language,platform,country,hashtag"
NAMED = "entity,phrase"
COUNTS = "count(*) AS mentions, " + ", ".join(
    f"count(*) FILTER (WHERE sentiment = '{label}') AS {label}" for label in ("positive", "negative", "neutral", "mixed")
)
SUMS = "sum(mentions), sum(positive), sum(negative), sum(neutral), sum(mixed)"
KINDS = "('person', 'organisation', 'location', 'product', 'work', 'event')"


def filters(newest, span, values, count, seed):
    """Ranges and dimensions as people choose them: (from, to, {dimension: [values]})."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        days = min(chance.choice([1, 7, 30, 90]), span)
        to = newest - timedelta(seconds=chance.randrange(1, 86_400))
        chosen = chance.sample(sorted(values), chance.choice([0, 1, 1, 2, 3]))
        made.append((to - timedelta(days=days), to, {by: chance.sample(values[by], min(len(values[by]), chance.choice([1, 1, 2]))) for by in chosen}))
    return made


def query(wanted, **more):
    start, end, values = wanted
    pairs = [("from", start.isoformat()), ("to", end.isoformat())]
    pairs += [(by, value) for by, chosen in values.items() for value in chosen]
    return urllib.parse.urlencode(pairs + list(more.items()))


PANELS = {
    "overview": lambda f: [f"/api/overview?{query(f)}"],
    "series": lambda f: [f"/api/series?{query(f, by='category')}"],
    "breakdowns": lambda f: [f"/api/breakdown?{query(f, by=SMALL, limit=8)}"],
    "entities, phrases": lambda f: [f"/api/breakdown?{query(f, by=NAMED, limit=8)}"],
    "newest posts": lambda f: [f"/api/posts?{query(f, limit=40)}"],
    "map": lambda f: [f"/api/map?{query(f)}"],
}
# What one change of a filter makes the first page ask, all at once.
PANELS["whole page"] = lambda f: [path for name in list(PANELS)[:5] for path in PANELS[name](f)]
PANELS["search of a word"] = lambda f: [f"/api/posts?{query(f, limit=40, q='refund')}"]


def timed(ask):
    began = time.perf_counter()
    answer = ask()
    return answer, (time.perf_counter() - began) * 1000


def percentiles(times):
    times = sorted(times)
    return times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.95))]


class DuckDb:
    """The same questions over the files that the Delta log names."""

    def __init__(self, lake):
        import duckdb
        from deltalake import DeltaTable

        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")
        for table in ("sentiment", "entities", "key_phrases"):
            files = DeltaTable(str(lake / table)).file_uris()
            source = f"read_parquet({files!r}, hive_partitioning = true)"
            self.db.execute(f"CREATE VIEW {table} AS SELECT * FROM {source}")

    def meant(self, wanted):
        start, end, values = wanted
        condition = self.during(start, end)
        for by, chosen in values.items():
            texts = ", ".join("'" + value.replace("'", "''") + "'" for value in chosen)
            match by:
                case "topic":
                    condition += f" AND list_has_any(topics, [{texts}])"
                case "entity":
                    condition += (
                        f" AND post_id IN (SELECT post_id FROM entities WHERE {self.during(start, end)}"
                        f" AND kind <> 'link' AND lower(entity) IN ({texts.lower()}))"
                    )
                case _:
                    condition += f" AND {by} IN ({texts})"
        return condition

    @staticmethod
    def during(start, end):
        last = end - timedelta(microseconds=1)
        return (
            f"event_date BETWEEN DATE '{start.date()}' AND DATE '{last.date()}'"
            f" AND occurred_at >= TIMESTAMPTZ '{start.isoformat()}' AND occurred_at < TIMESTAMPTZ '{end.isoformat()}'"
        )

    def ask(self, sql):
        return self.db.execute(sql).fetchall()

    def overview(self, f):
        both = (f[0] - (f[1] - f[0]), f[1], f[2])
        return self.ask(
            f"SELECT occurred_at >= TIMESTAMPTZ '{f[0].isoformat()}' AS current, {COUNTS},"
            f" count(DISTINCT coalesce(author_id, author)), sum(reach) FROM sentiment WHERE {self.meant(both)} GROUP BY 1"
        )

    def series(self, f):
        return self.ask(
            "SELECT time_bucket(INTERVAL '3 hours', occurred_at), category, count(*) FROM sentiment"
            f" WHERE {self.meant(f)} GROUP BY 1, 2"
        )

    def breakdowns(self, f):
        answers = []
        for by in SMALL.split(","):
            wanted = (f[0], f[1], {d: v for d, v in f[2].items() if not by == d == "topic"})
            value = {"topic": "unnest(topics)", "hashtag": "unnest(hashtags)"}.get(by, by)
            answers.append(self.ask(
                f"SELECT value, {COUNTS} FROM (SELECT {value} AS value, sentiment FROM sentiment WHERE {self.meant(wanted)})"
                " WHERE value IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 9"
            ))
        return answers

    def named(self, f):
        own = f"{self.during(*f[:2])} AND post_id IN (SELECT post_id FROM sentiment WHERE {self.meant(f)})"
        if not f[2]:
            own = self.during(*f[:2])
        return [self.ask(
            f"SELECT first(name ORDER BY mentions DESC, name), {SUMS} FROM"
            f" (SELECT {name} AS name, {COUNTS} FROM {table} WHERE {own}{kinds} GROUP BY 1)"
            f" GROUP BY lower(name) ORDER BY 2 DESC, 1 LIMIT 9"
        ) for table, name, kinds in (("entities", "entity", f" AND kind IN {KINDS}"), ("key_phrases", "phrase", ""))]

    def newest(self, f, words=""):
        return self.ask(
            f"SELECT * FROM sentiment WHERE {self.meant(f)}{words} ORDER BY occurred_at DESC, post_id DESC LIMIT 41"
        )

    def search(self, f):
        return self.newest(f, " AND (text ILIKE '%refund%' OR text_en ILIKE '%refund%')")

    def map(self, f):
        return [
            self.ask(f"SELECT country, {COUNTS} FROM sentiment WHERE {self.meant(f)} GROUP BY 1"),
            self.ask(
                f"SELECT place, region, country, avg(lat), avg(lon), {COUNTS} FROM sentiment WHERE {self.meant(f)}"
                " AND lat IS NOT NULL AND place IS NOT NULL AND coalesce(place_kind, '') <> 'country'"
                " GROUP BY 1, 2, 3 ORDER BY 6 DESC LIMIT 500"
            ),
        ]

    def page(self, f):
        return [self.overview(f), self.series(f), self.breakdowns(f), self.named(f), self.newest(f)]


PEER = {
    "overview": DuckDb.overview,
    "series": DuckDb.series,
    "breakdowns": DuckDb.breakdowns,
    "entities, phrases": DuckDb.named,
    "newest posts": DuckDb.newest,
    "map": DuckDb.map,
    "whole page": DuckDb.page,
    "search of a word": DuckDb.search,
}


def ours(name, answers):
    """The numbers of an answer of ours in the peer's form, where both are compared."""
    parts = lambda parts: [tuple(p[k] for k in ("value", "mentions", "positive", "negative", "neutral", "mixed")) for p in parts]
    match name:
        case "overview":
            sides = zip((False, True), (answers[0]["previous"], answers[0]["totals"]))
            keys = ("mentions", "positive", "negative", "neutral", "mixed", "authors", "reach")
            return sorted((side, *(totals[key] for key in keys)) for side, totals in sides if totals["mentions"])
        case "series":
            return sum(sum(line["mentions"]) for line in answers[0]["lines"])
        case "breakdowns" | "entities, phrases":
            return [parts(breakdown["parts"]) for breakdown in answers[0]]
        case "newest posts" | "search of a word":
            return [post["post_id"] for post in answers[0]["posts"]]
        case "map":
            return answers[0]["mentions"], len(answers[0]["places"])
    return None


def theirs(name, answer):
    match name:
        case "overview":
            return sorted((*row[:-1], row[-1] or 0) for row in answer)
        case "series":
            return sum(row[2] for row in answer)
        case "breakdowns" | "entities, phrases":
            return [[tuple(row) for row in rows[:8]] for rows in answer]
        case "newest posts" | "search of a word":
            return [row[0] for row in answer[:40]]
        case "map":
            return sum(row[1] for row in answer[0]), len(answer[1])
    return None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data")
    arguments.add_argument("--requests", type=int, default=50)
    arguments.add_argument("--peer-requests", type=int, default=50)
    arguments.add_argument("--binary", default="target/debug/overheard")
    arguments = arguments.parse_args()
    lake = Path(arguments.data, "lake")
    overheard = Overheard(arguments.binary, "[understand]\nenabled = false\n[watch]\nenabled = false\n", lake)
    try:
        run(arguments, lake, overheard)
    finally:
        overheard.stop()


def run(arguments, lake, overheard):
    print(overheard.wait_for(r"posts are held in memory.*"))
    print(f"memory after that: {overheard.memory_mb('VmRSS')} MB, at most {overheard.memory_mb('VmHWM')} MB")
    days = sorted(folder.name.removeprefix("event_date=") for folder in (lake / "sentiment").glob("event_date=*"))
    newest = datetime.fromisoformat(days[-1]).replace(tzinfo=timezone.utc) + timedelta(days=1)
    whole = (newest - timedelta(days=len(days)), newest, {})
    values = {
        breakdown["by"]: [part["value"] for part in breakdown["parts"][:6]]
        for breakdown in overheard.get(f"/api/breakdown?{query(whole, by='topic,sentiment,category,language,platform,country,entity', limit=6)}")
    }
    values = {by: chosen for by, chosen in values.items() if chosen}
    try:
        peer = DuckDb(lake)
    except ImportError as error:
        print(f"without the peer: {error.name} is not installed")
        peer = None
    failures = 0
    print(f"{'panel':<18} {'p50 ms':>8} {'p95 ms':>8} {'again':>8} {'DuckDB p50':>11} {'p95':>8}")
    pool = ThreadPoolExecutor(8)
    for nth, (name, paths) in enumerate(PANELS.items()):
        wanted = filters(newest, len(days), values, arguments.requests, nth)
        ask = lambda f: list(pool.map(overheard.get, paths(f)))
        answers, first = zip(*(timed(lambda: ask(f)) for f in wanted))
        again = [timed(lambda: ask(f))[1] for f in wanted]
        line = f"{name:<18} {percentiles(first)[0]:>8.1f} {percentiles(first)[1]:>8.1f} {percentiles(again)[0]:>8.1f}"
        if peer:
            told, times = zip(*(timed(lambda: PEER[name](peer, f)) for f in wanted[: arguments.peer_requests]))
            line += f" {percentiles(times)[0]:>11.1f} {percentiles(times)[1]:>8.1f}"
            for f, answer, other in zip(wanted, answers, told):
                if ours(name, answer) != theirs(name, other):
                    failures += 1
                    print(f"{name} differs for {query(f)}:\n  {str(ours(name, answer))[:600]}\n  {str(theirs(name, other))[:600]}")
        print(line, flush=True)
    print(f"memory after all: {overheard.memory_mb('VmRSS')} MB, at most {overheard.memory_mb('VmHWM')} MB")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
