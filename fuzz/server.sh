# Starts the program with 300 posts, and a token for each role. Sourced by scripts that call its API.
# Sets: url, folder (removed at the end), server (process id), secrets[ROLE].
program=$(realpath "${CARGO_TARGET_DIR:-target}/debug/overheard")
folder=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT

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
server=$!
for _ in $(seq 300); do curl -sf "$url/healthz" > /dev/null && break; sleep 0.1; done

post() { curl -sf "$url$1" -b "$folder/cookies" -c "$folder/cookies" -H "origin: $url" -H 'content-type: application/json' -d "$2"; }
post /api/session "{\"name\":\"admin\",\"password\":\"$ADMIN_PASSWORD\"}" > /dev/null
token() { post /api/tokens "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["secret"])'; }

declare -A secrets
secrets[push]=$REVIEWS_TOKEN
for role in viewer analyst admin; do
  secrets[$role]=$(token "{\"name\":\"$role\",\"scope\":{\"for\":\"api\",\"role\":\"$role\"}}")
done
