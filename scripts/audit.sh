#!/usr/bin/env bash
# Known holes in what requirements.lock pins: scripts/audit.sh. Fails if there is one; where the
# advisories cannot be had, it says so and does not.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
report=$(mktemp)
trap 'rm -f "$report"' EXIT
timeout 120 .venv/bin/pip-audit --disable-pip --require-hashes --progress-spinner off \
  --format json --output "$report" -r requirements.lock 2>/dev/null || true
.venv/bin/python - "$report" <<'PY'
import json
import sys
from pathlib import Path

text = Path(sys.argv[1]).read_text()
if not text:
    sys.exit(print("No advisories: the database could not be reached. Nothing was audited."))
packages = json.loads(text)["dependencies"]
skipped = [package["name"] for package in packages if "skip_reason" in package]
found = [package for package in packages if package.get("vulns")]
for package in found:
    ids = ", ".join(hole["id"] for hole in package["vulns"])
    print(f"{package['name']} {package['version']}: {ids}")
print(f"{len(packages) - len(skipped)} of {len(packages)} packages audited, {len(found)} with known holes")
if skipped:
    print(f"No advisories could be had for: {', '.join(skipped)}")
sys.exit(len(found) > 0)
PY
