#!/usr/bin/env bash
# Speed of the rooms on this machine. The peers (`*_peer*.py`) run beside them in a Python of their own: see their heads.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== language: posts a second, all heads"
cargo build -q -p nlp -p overheard --example bench_encoder
texts=$(mktemp)
trap 'rm -f "$texts"' EXIT
if [ -f "${OVERHEARD_DATA:-../shared/data}/tweeteval/sentiment/val_text.txt" ]; then
  head -2000 "${OVERHEARD_DATA:-../shared/data}/tweeteval/sentiment/val_text.txt" > "$texts"
else
  yes 'Loving the new seats on the flight to München, thanks @team!' | head -2000 > "$texts"
fi
target/debug/examples/bench_encoder models/overheard-small "$texts"

echo "== queue: durable appends a second"
cargo build -q -p queue -p overheard --example queue_bench && target/debug/examples/queue_bench
echo "== lake: durable commits"
cargo build -q -p lake -p overheard --example lake_bench && target/debug/examples/lake_bench

echo "== dashboard: every panel at ${OVERHEARD_BENCH_POSTS:-15000} posts (1,000,000 and 10,000,000: set OVERHEARD_BENCH_POSTS)"
cargo build -q -p lake -p overheard --example lake_generate
data=$(mktemp -d)
trap 'rm -rf "$texts" "$data"' EXIT
target/debug/examples/lake_generate "$data/lake" "${OVERHEARD_BENCH_POSTS:-15000}"
python3 bench/dashboard_peer.py "$data"

echo "== latency: from a push to its row in SQL and on the dashboard, 200 posts/s"
python3 bench/latency.py --seconds "${OVERHEARD_BENCH_SECONDS:-20}"
