#!/usr/bin/env bash
# Known holes in what is installed to serve: scripts/audit.sh. Every lock is asked about by itself, for a build of ONNX
# Runtime has a pin of its own in each. Fails if there is one; where the advisories cannot be had, it says so and does not.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
for lock in requirements.lock requirements-{cuda,heif,openvino,rocm}.lock; do
  timeout 120 .venv/bin/pip-audit --disable-pip --require-hashes --progress-spinner off \
    --format json --output "$reports/$lock" -r "$lock" 2>/dev/null || true
done
.venv/bin/python - "$reports" <<'PY'
import json
import sys
from pathlib import Path

texts = [path.read_text() for path in Path(sys.argv[1]).iterdir()]
packages = {
    (package["name"], package.get("version")): package
    for text in texts
    if text
    for package in json.loads(text)["dependencies"]
}.values()
if not packages:
    sys.exit(print("No advisories: the database could not be reached. Nothing was audited."))
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
