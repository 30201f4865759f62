#!/usr/bin/env bash
# Calls every operation of the OpenAPI document with random parameters, as every role, against the real program. No response may
# be a 5xx or differ from its schema.
#   fuzz/api.sh EXAMPLES [ROLE...]
set -euo pipefail
examples=${1:-3}
shift || true
roles=("${@:-}")
[ -n "${roles[0]}" ] || roles=(nobody viewer analyst admin push)
source "$(dirname "$0")/server.sh"

failed=0
for role in "${roles[@]}"; do
  header=()
  [ "$role" = nobody ] || header=(-H "Authorization: Bearer ${secrets[$role]}")
  # Boundary values of every parameter as admin; in long runs as every role.
  phases=fuzzing
  if [ "$role" = admin ] || [ "$examples" -ge 100 ]; then phases=examples,coverage,fuzzing; fi
  echo "== $role"
  # The live stream does not end; sign-ins are rate-limited.
  (cd "$folder" && schemathesis run "$url/openapi.json" "${header[@]}" --exclude-path /api/live --exclude-path /api/session \
    --phases $phases --max-examples "$examples" --request-timeout 20 --continue-on-failure \
    --checks not_a_server_error,response_schema_conformance,content_type_conformance --warnings off --no-color \
    > "$role.log" 2>&1) || { failed=1; cat "$folder/$role.log"; }
  tail -n 4 "$folder/$role.log"
done
kill -0 "$server" || { echo "the program has ended:"; cat "$folder/up.err"; failed=1; }
exit $failed
