#!/usr/bin/env bash
# Tests the API with generated and official clients against the real program: fuzz/clients.py.
set -euo pipefail
source "$(dirname "$0")/server.sh"
OVERHEARD_URL=$url OVERHEARD_TOKEN=${secrets[viewer]} OVERHEARD_ADMIN_TOKEN=${secrets[admin]} \
  python3 "$(dirname "$0")/clients.py" "$folder/clients" || { cat "$folder/up.err"; exit 1; }
