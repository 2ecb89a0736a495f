#!/usr/bin/env bash
# Importing ONNX Runtime writes a device id into the home folder, before telemetry can be switched off in Python.
#
# Versions: onnxruntime 1.32.0 (1.26.0 writes nothing).
# Behaviour: `import onnxruntime` makes ~/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid and a database of events
# that wait to be sent. onnxruntime.disable_telemetry_events(), called right after the import, comes too late for
# either; the environment variable ORT_DISABLE_TELEMETRY=1, set before the import, prevents both.
# Guess: an import writes nothing, and disable_telemetry_events() before the first session is enough.
# Seen, files in an empty home after:
#   import: ['deviceid', 'onnxruntime.db']
#   import, then disable_telemetry_events(): ['deviceid', 'onnxruntime.db']
#   import with ORT_DISABLE_TELEMETRY=1: []
# Without a network it is the same; this script needs none once it has installed.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 numpy==2.4.6
cd "$scratch"
venv/bin/python - <<'PYTHON'
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CASES = {
    "import": ("import onnxruntime", {}),
    "import, then disable_telemetry_events()": ("import onnxruntime as o; o.disable_telemetry_events()", {}),
    "import with ORT_DISABLE_TELEMETRY=1": ("import onnxruntime", {"ORT_DISABLE_TELEMETRY": "1"}),
}
inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ORT_", "XDG_"))}
seen = []
for name, (code, variables) in CASES.items():
    with tempfile.TemporaryDirectory(dir=".") as home:
        environment = inherited | {"HOME": str(Path(home).resolve())} | variables
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        seen.append(sorted(path.name for path in Path(home).rglob("*") if path.is_file()))
    print(f"{name}: {seen[-1]}")
expected = "deviceid" in seen[0] and "deviceid" in seen[1] and not seen[2]
sys.exit(0 if expected else "The behaviour has changed.")
PYTHON
