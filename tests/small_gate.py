"""`python -m tests.small_gate`: the process that makes a detector gate, from few frames: seconds in
place of minutes. A file that GATE_FAULT names makes it fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from face_service.runtime.child_folder import fill_as_asked
from face_service.tools.quantization import gate

COMMAND = (sys.executable, "-P", "-c", f"import runpy, sys; sys.path[:0] = {sys.path!r}; "
           "runpy.run_module('tests.small_gate', run_name='__main__')")  # fmt: skip

if __name__ == "__main__":
    if Path(os.environ.get("GATE_FAULT", "none")).exists():
        sys.exit("no processor left")
    gate.CALIBRATION, gate.LIMIT, gate.TRIAL = (6, 1), (6, 2), (6, 3)
    sys.exit(fill_as_asked(gate.make))
