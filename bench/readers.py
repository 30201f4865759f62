"""Counts the rows of a lake with readers that are not ours: deltalake, DuckDB and Polars.

    pip install deltalake duckdb duckdb-extension-delta duckdb-extension-httpfs polars pyarrow pytz
    python bench/readers.py s3://bucket/prefix [http://127.0.0.1:9000]

Credentials and region come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION. Ends with 1 if two readers differ.
"""

import os
import sys

import duckdb
import polars
from deltalake import DeltaTable

TABLES = ["raw", "sentiment", "entities", "key_phrases", "anomalies", "alerts"]


def options(endpoint: str) -> dict[str, str]:
    """The settings of the object store, as deltalake and Polars take them."""
    found = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
    if endpoint:
        found |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}
    return found


def duck(endpoint: str) -> duckdb.DuckDBPyConnection:
    """DuckDB with its delta extension and the same settings."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for extension in ("httpfs", "delta"):
        folder = os.path.dirname(__import__(f"duckdb_extension_{extension}").__file__)
        names = [os.path.join(at, name) for at, _, files in os.walk(folder) for name in files]
        connection.execute(f"LOAD '{next(name for name in names if name.endswith('.duckdb_extension'))}'")
    host = endpoint.split("://")[-1]
    more = f", ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false" if endpoint else ""
    connection.execute(
        "CREATE SECRET (TYPE s3, KEY_ID '{AWS_ACCESS_KEY_ID}', SECRET '{AWS_SECRET_ACCESS_KEY}', REGION '{AWS_REGION}'".format(
            **os.environ
        )
        + more
        + ")"
    )
    return connection


def main() -> int:
    """Prints rows and distinct posts by reader."""
    url, endpoint = sys.argv[1].rstrip("/"), sys.argv[2] if len(sys.argv) > 2 else ""
    settings, connection, differ = options(endpoint), duck(endpoint), False
    for name in TABLES:
        at = f"{url}/{name}"
        key = {"anomalies": "anomaly_id", "alerts": "alert_id"}.get(name, "post_id")
        column = DeltaTable(at, storage_options=settings).to_pyarrow_table(columns=[key])[key]
        scanned = polars.scan_delta(at, storage_options=settings).select(
            polars.len().alias("rows"), polars.col(key).n_unique().alias("ids")
        )
        answers = {
            "deltalake": (len(column), len(column.unique())),
            "duckdb": connection.execute(f"SELECT count(*), count(DISTINCT {key}) FROM delta_scan('{at}')").fetchone(),
            "polars": scanned.collect().row(0),
        }
        differ |= len(set(answers.values())) > 1
        print(f"{name:<12}", "  ".join(f"{reader} {rows} rows {ids} ids" for reader, (rows, ids) in answers.items()))
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
