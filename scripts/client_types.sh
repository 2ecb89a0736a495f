#!/usr/bin/env bash
# Writes the TypeScript client's types again from the OpenAPI document of this code:
# scripts/client_types.sh [FILE]. After a change to endpoints, options or fields.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
client=clients/typescript
out=$(realpath "${1:-$client/src/openapi.ts}")
document=$(mktemp --suffix .json)
trap 'rm -f "$document"' EXIT
.venv/bin/python -c '
import json
from face_service.app import create_app
from face_service.config import Settings
print(json.dumps(create_app(Settings(_env_file=None)).openapi()))' >"$document"
[[ -d $client/node_modules/openapi-typescript ]] || npm ci --ignore-scripts --prefix "$client" >&2
(cd "$client" && node_modules/.bin/openapi-typescript "$document" --output "$out" --array-length) >&2
