"""The manifest of a folder of networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_manifest(folder: Path, **fields: Any) -> None:
    models = [
        {"file": "det.onnx", "role": "detection"},
        {"file": "rec.onnx", "role": "recognition"},
    ]
    (folder / "manifest.json").write_text(json.dumps({"models": models} | fields))
