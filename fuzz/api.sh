#!/usr/bin/env bash
# Calls every operation of the OpenAPI document with random parameters, as nobody, viewer, analyst, admin and push token, over
# the real program with some posts in it. No answer may be a 5xx or differ from its schema.
#   fuzz/api.sh EXAMPLES [ROLE...]
set -euo pipefail
examples=${1:-3}
shift || true
roles=("${@:-}")
[ -n "${roles[0]}" ] || roles=(nobody viewer analyst admin push)
program=$(realpath "${CARGO_TARGET_DIR:-target}/debug/overheard")
folder=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
trap 'kill "$house" 2>/dev/null; wait "$house" 2>/dev/null || true; rm -rf "$folder"' EXIT

cat > "$folder/settings.toml" <<END
[server]
bind = "127.0.0.1:$port"
admin_password_env = "ADMIN_PASSWORD"
[server.limits]
sql_timeout_s = 2
[understand]
enabled = false
[[sources.push]]
name = "reviews"
platform = "reviews"
token_env = "REVIEWS_TOKEN"
END
export ADMIN_PASSWORD="a password for random calls" REVIEWS_TOKEN="a token for random calls"
python3 - > "$folder/posts.jsonl" <<END
import datetime, json
now = datetime.datetime.now(datetime.timezone.utc)
for number in range(300):
    at = (now - datetime.timedelta(minutes=number * 5)).isoformat()
    print(json.dumps({"id": str(number), "platform": "reviews", "text": f"#late the train {number} is late again", "created_at": at}))
END
"$program" --data "$folder/data" --config "$folder/settings.toml" import "$folder/posts.jsonl" > "$folder/import.log"
"$program" --data "$folder/data" --config "$folder/settings.toml" up > "$folder/up.log" 2> "$folder/up.err" &
house=$!
for _ in $(seq 300); do curl -sf "$url/healthz" > /dev/null && break; sleep 0.1; done

post() { curl -sf "$url$1" -b "$folder/cookies" -c "$folder/cookies" -H "origin: $url" -H 'content-type: application/json' -d "$2"; }
post /api/session "{\"name\":\"admin\",\"password\":\"$ADMIN_PASSWORD\"}" > /dev/null
token() { post /api/tokens "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["secret"])'; }

declare -A secrets
secrets[push]=$REVIEWS_TOKEN
for role in viewer analyst admin; do
  secrets[$role]=$(token "{\"name\":\"$role\",\"scope\":{\"for\":\"api\",\"role\":\"$role\"}}")
done

failed=0
for role in "${roles[@]}"; do
  header=()
  [ "$role" = nobody ] || header=(-H "Authorization: Bearer ${secrets[$role]}")
  # Every edge of every parameter once; with more examples than a test run has time for, as everybody.
  phases=fuzzing
  if [ "$role" = admin ] || [ "$examples" -ge 100 ]; then phases=examples,coverage,fuzzing; fi
  echo "== $role"
  # The live stream has no end; signing in is slowed down on purpose.
  (cd "$folder" && schemathesis run "$url/openapi.json" "${header[@]}" --exclude-path /api/live --exclude-path /api/session \
    --phases $phases --max-examples "$examples" --request-timeout 20 --continue-on-failure \
    --checks not_a_server_error,response_schema_conformance,content_type_conformance --warnings off --no-color \
    > "$role.log" 2>&1) || { failed=1; cat "$folder/$role.log"; }
  tail -n 4 "$folder/$role.log"
done
kill -0 "$house" || { echo "the program has ended:"; cat "$folder/up.err"; failed=1; }
exit $failed
