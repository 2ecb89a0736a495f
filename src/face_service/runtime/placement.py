"""Where the nodes of a network really run, from ONNX Runtime's own profile of a run.

A provider that loads may still take no node: ONNX Runtime then computes everything on the CPU and
says nothing. What was profiled has run.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Placement = Mapping[str, int]
"""Nodes by provider. What a provider compiles is one node."""


class Profile:
    """ONNX Runtime's profile of a session's first run."""

    def __init__(self, session_options: Any) -> None:
        folder = tempfile.mkdtemp(prefix="face-service-")
        # A session that never runs leaves a file, too.
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        session_options.enable_profiling = True
        session_options.profile_file_prefix = str(Path(folder) / "profile")

    def end(self, session: Any) -> Placement:
        """Stop profiling, which costs nothing from then on; count what ran where."""
        path = Path(session.end_profiling())
        events = json.loads(path.read_text())
        path.unlink()
        nodes = {
            (event["args"]["provider"], event["name"])
            for event in events
            if event.get("cat") == "Node" and event.get("args", {}).get("provider")
        }
        return Counter(provider for provider, _ in nodes)


def in_words(placement: Placement) -> str:
    """`CUDAExecutionProvider 151 nodes, CPUExecutionProvider 4`."""
    parts = [f"{name} {count} node{'s' * (count != 1)}" for name, count in placement.items()]
    return ", ".join(parts) or "unknown"
