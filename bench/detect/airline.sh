#!/bin/sh
# What the watch says of a week of tweets to six US airlines, storms of 22-24 February 2015 included.
# usage: bench/detect/airline.sh TWEETS.jsonl [FOLDER]   (FOLDER is kept: a second run reads the lake that is there)
set -eu
tweets=${1:-}
[ -f "$tweets" ] || { echo "skipped: no file ${tweets:-TWEETS.jsonl} (id, text, created_at, username a line)"; exit 0; }
program=${OVERHEARD:-target/debug/overheard}
folder=${2:-$(mktemp -d)}
mkdir -p "$folder"
printf 'data = "%s/data"\ntime_zone = "America/New_York"\n[server]\nbind = "127.0.0.1:18481"\n[understand]\nmodel = "%s"\n' \
    "$folder" "${MODEL:-models/overheard-small}" > "$folder/config.toml"
export OVERHEARD_CONFIG="$folder/config.toml"
if [ ! -d "$folder/data/lake" ]; then
    for airline in JetBlue AmericanAir united SouthwestAir USAirways VirginAmerica; do
        "$program" topics add "$airline" "@$airline OR $airline" > "$folder/topics.log"
    done
    "$program" import "$tweets"
fi
count() { "$program" sql --format csv "SELECT count(*) FROM anomalies" 2> "$folder/sql.log" | tail -n 1; }
"$program" up --role detect > "$folder/up.log" 2>&1 &
watch=$!
trap 'kill $watch 2> "$folder/stop.log" || true' EXIT
# All of history is judged at once, an interval length at a time: done when nothing more comes for a while.
before=none
sleep 20
while [ "$(count)" != "$before" ]; do
    before=$(count)
    sleep 20
done
"$program" sql --format jsonl "SELECT interval_s, severity, sentence FROM anomalies ORDER BY onset, interval_s"
