"""Where the nodes of a network run, as ONNX Runtime itself reports it.

A provider that loads may still take no node: ONNX Runtime then computes everything on the CPU,
and its log does not say so.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

Placement = Mapping[str, int]
"""Nodes by provider; empty where it is not known. What a provider compiles is one node."""

PlacementProbe = Callable[[Any], Placement]
"""Given a session that has run: its placement. To be called once."""


def graph_assignment(session: Any) -> Placement:
    """Nodes by provider, as assigned when the session was opened."""
    return Counter(part.ep_name for part in session.get_provider_graph_assignment_info())


class Profile:
    """ONNX Runtime's profile of a session's first run.

    It is written to a temporary file. Where that is not possible, on a full disk or a read-only
    one, the placement is unknown and everything else works.
    """

    def __init__(self, session_options: Any) -> None:
        self._enabled = False
        try:
            folder = tempfile.mkdtemp(prefix="face-service-")
        except OSError as error:
            logger.warning("Where networks run cannot be seen: %s", error)
            return
        # A session that never runs leaves a file, too.
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        session_options.enable_profiling = self._enabled = True
        session_options.profile_file_prefix = str(Path(folder) / "profile")
        # A pool of threads that was once profiled keeps 1.7 KB of every run, for ever:
        # findings/onnxruntime-profile-memory.sh fails once that is mended.
        session_options.intra_op_num_threads = 1

    def end(self, session: Any) -> Placement:
        """Stop profiling; count what ran where. Empty if that cannot be known."""
        if not self._enabled:
            return {}
        path = Path(session.end_profiling())
        try:
            events = json.loads(path.read_text())
            path.unlink()
        except (OSError, ValueError) as error:
            logger.warning("Where a network runs cannot be seen: %s", error)
            return {}
        nodes = {
            (event["args"]["provider"], event["name"])
            for event in events
            if event.get("cat") == "Node" and event.get("args", {}).get("provider")
        }
        return Counter(provider for provider, _ in nodes)


def in_words(placement: Placement) -> str:
    """A placement as text: `CUDAExecutionProvider 151 nodes, CPUExecutionProvider 4 nodes`."""
    parts = [f"{name} {count} node{'s' * (count != 1)}" for name, count in placement.items()]
    return ", ".join(parts) or "unknown"
