"""`python -m tests.small_gate`: the process that makes a detector gate, from few frames: seconds in
place of minutes. A file that GATE_FAULT names makes it fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from face_service.engine_factory.builder import Canvases
from face_service.engine_factory.gates import GateSupply
from face_service.face_engine import FaceEngine
from face_service.packs.pack import Pack
from face_service.runtime.child_folder import fill_as_asked
from face_service.runtime.providers import RuntimeConfig
from face_service.tools.quantization import gate
from face_service.vision.canvas import Size
from face_service.vision.gate_policy import GateMode

SQUARE = Canvases((Size(640, 640),), None)
"""Those of the starter pack's detector."""
COMMAND = (sys.executable, "-P", "-c", f"import runpy, sys; sys.path[:0] = {sys.path!r}; "
           "runpy.run_module('tests.small_gate', run_name='__main__')")  # fmt: skip


def supplied(engine: FaceEngine, pack: Pack, config: RuntimeConfig, mode: GateMode) -> GateSupply:
    """What has given an engine its gate, or has not."""
    supply = GateSupply(mode, SQUARE, config)
    supply.equip(engine, pack)
    return supply


if __name__ == "__main__":
    if Path(os.environ.get("GATE_FAULT", "none")).exists():
        sys.exit("no processor left")
    gate.CALIBRATION, gate.LIMIT, gate.TRIAL = (3, 1), (3, 2), (3, 3)
    sys.exit(fill_as_asked(gate.make))
