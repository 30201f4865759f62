#!/usr/bin/env python3
"""Reads a lake with engines that this project did not write, and compares their counts.

Usage: bench/lake_peers.py LAKE_FOLDER [EXPECTED_POSTS]

Needs `pip install deltalake pyarrow polars duckdb`; an engine that is not installed is named and left out. Each engine
counts rows, distinct posts and the posts of each day, of every table. Ends with 1 when two engines differ, or when the
tables of posts differ from EXPECTED_POSTS.
"""

import sys
import time
from pathlib import Path

TABLES = {
    "raw": "post_id",
    "sentiment": "post_id",
    "entities": "post_id",
    "key_phrases": "post_id",
    "anomalies": "anomaly_id",
    "alerts": "alert_id",
}


def by_pyarrow(path, key):
    """PyPI deltalake reads the log, pyarrow the files."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    table = DeltaTable(path).to_pyarrow_table(columns=[key, "event_date"])
    days = table.group_by("event_date").aggregate([(key, "count")])
    per_day = {str(day): n for day, n in zip(days["event_date"].to_pylist(), days[f"{key}_count"].to_pylist())}
    return table.num_rows, pc.count_distinct(table[key]).as_py(), per_day


def by_polars(path, key):
    """Polars plans over the log that PyPI deltalake reads, and scans the files itself."""
    import polars as pl

    frame = pl.scan_delta(path)
    rows, distinct = frame.select(pl.len(), pl.col(key).n_unique()).collect().row(0)
    days = frame.group_by("event_date").len().collect()
    return rows, distinct if rows else 0, {str(day): n for day, n in days.iter_rows()}


def by_duckdb(path, key):
    """DuckDB reads the files that the log names (its own delta extension is a download)."""
    import duckdb
    from deltalake import DeltaTable

    files = DeltaTable(path).file_uris()
    if not files:
        return 0, 0, {}
    source = f"read_parquet({files!r}, hive_partitioning = true)"
    rows, distinct = duckdb.sql(f"SELECT count(*), count(DISTINCT {key}) FROM {source}").fetchall()[0]
    days = duckdb.sql(f"SELECT event_date, count(*) FROM {source} GROUP BY 1").fetchall()
    return rows, distinct, {str(day): n for day, n in days}


ENGINES = {"pyarrow": by_pyarrow, "polars": by_polars, "duckdb": by_duckdb}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    lake = Path(sys.argv[1])
    expected = int(sys.argv[2]) if len(sys.argv) > 2 else None
    missing, failures = set(), []
    print(f"{'table':<12} {'engine':<8} {'rows':>10} {'distinct':>10} {'days':>5} {'seconds':>8}")
    for name, key in TABLES.items():
        answers = {}
        for engine, count in ENGINES.items():
            began = time.monotonic()
            try:
                answer = count(str(lake / name), key)
            except ImportError as error:
                missing.add(f"{engine} ({error.name})")
                continue
            answers[engine] = answer
            rows, distinct, days = answer
            print(f"{name:<12} {engine:<8} {rows:>10} {distinct:>10} {len(days):>5} {time.monotonic() - began:>8.2f}")
        first = next(iter(answers.values()), None)
        failures += [f"{name}: {engine} differs" for engine, answer in answers.items() if answer != first]
        if expected is not None and name in ("raw", "sentiment") and first and first[:2] != (expected, expected):
            failures.append(f"{name}: {first[0]} rows, {first[1]} distinct, expected {expected}")
    for engine in sorted(missing):
        print(f"not installed: {engine}")
    for failure in failures:
        print(failure)
    sys.exit(1 if failures or len(missing) == len(ENGINES) else 0)


if __name__ == "__main__":
    main()
