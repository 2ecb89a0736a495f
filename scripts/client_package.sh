#!/usr/bin/env bash
# Makes the TypeScript client's package and prints its path: scripts/client_package.sh [FOLDER].
# For `bun add` or `npm install` of what it prints. Writes nothing into the checkout.
set -euo pipefail
out=$(realpath "${1:-.}")
client=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../clients/typescript
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$client/src" "$client/package.json" "$client/README.md" "$client/tsconfig.json" "$work"
tsc=$client/node_modules/.bin/tsc
if [[ ! -x $tsc ]]; then
  version=$(node -p 'require(process.argv[1]).devDependencies.typescript' "$work/package.json")
  npm install --prefix "$work/tools" --no-audit --no-fund --silent "typescript@$version" >&2
  tsc=$work/tools/node_modules/.bin/tsc
fi
"$tsc" --project "$work" >&2
cd "$work"
echo "$out/$(npm pack --ignore-scripts --silent --pack-destination "$out")"
