#!/usr/bin/env python3
"""From a post's arrival over HTTP to its row in SQL and to its being counted on the dashboard, at a steady rate.

Usage: bench/latency.py [--seconds 60] [--rate 200] [--binary target/debug/overheard]

Pushes ten times a second; one reader asks SQL, another the overview, both again and again. Says p50, p99 and the longest
of both, and the memory before and at the most. Ends with 1 when posts are missing or p99 is 5 s or more.
"""

import argparse
import json
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

from program import Overheard

TEXTS = [
    "The train to Chicago was late again, two hours at the gate and nobody knew why",
    "Danke an das Team in München, das war wirklich schnell und freundlich!",
    "El nuevo teléfono es genial, pero la batería dura muy poco",
    "Refund please, my bag is lost since Monday @northernair #fail",
]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--rate", type=int, default=200)
    arguments.add_argument("--binary", default="target/debug/overheard")
    arguments = arguments.parse_args()
    settings = '[[sources.push]]\nname = "bench"\nplatform = "bench"\ntoken_env = "BENCH_TOKEN"\n'
    overheard = Overheard(arguments.binary, settings, environment={"BENCH_TOKEN": "bench-token-0123456789abcdef"})
    try:
        sys.exit(run(arguments, overheard))
    finally:
        overheard.stop()


def run(arguments, overheard):
    time.sleep(5)
    print(f"memory idle: {overheard.memory_mb('VmRSS')} MB, at most {overheard.memory_mb('VmHWM')} MB")
    sent, total = [], arguments.seconds * arguments.rate
    start = datetime.now(timezone.utc) - timedelta(seconds=1)
    whole = f"from={start.strftime('%Y-%m-%dT%H:%M:%SZ')}&to={(start + timedelta(hours=3)).strftime('%Y-%m-%dT%H:%M:%SZ')}"
    readers = {
        "SQL": lambda: overheard.sql("SELECT count(*) FROM sentiment")[0][0],
        "dashboard": lambda: overheard.get(f"/api/overview?{whole}")["totals"]["mentions"],
    }
    seen = {name: [] for name in readers}
    deadline = time.monotonic() + arguments.seconds + 60

    def read(name):
        # Posts become visible in the order of their arrival, so a count tells which ones are.
        while len(seen[name]) < total and time.monotonic() < deadline:
            count = readers[name]()
            now = time.monotonic()
            seen[name] += [now] * (count - len(seen[name]))
            time.sleep(0.1)

    threads = [threading.Thread(target=read, args=[name]) for name in readers]
    for thread in threads:
        thread.start()
    began, size = time.monotonic(), arguments.rate // 10
    for nth in range(arguments.seconds * 10):
        time.sleep(max(0, began + nth / 10 - time.monotonic()))
        at = datetime.now(timezone.utc).isoformat()
        posts = [
            {"id": str(nth * size + n), "text": f"{TEXTS[n % 4]} {nth * size + n}", "created_at": at, "username": f"u{n}"}
            for n in range(size)
        ]
        moment = time.monotonic()
        overheard.call("/v1/posts", json.dumps(posts).encode(), {"authorization": "Bearer bench-token-0123456789abcdef"}).close()
        sent += [moment] * size
    for thread in threads:
        thread.join()
    failed = False
    for name, moments in seen.items():
        delays = sorted(seen - sent for sent, seen in zip(sent, moments))
        failed |= len(moments) < total or delays[int(len(delays) * 0.99)] >= 5
        p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
        print(f"{name:<10} {len(moments)} of {total} posts, p50 {p50:.2f} s, p99 {p99:.2f} s, longest {delays[-1]:.2f} s")
    print(f"memory at the most: {overheard.memory_mb('VmHWM')} MB")
    return int(failed)


if __name__ == "__main__":
    main()
