"""`python -m tests.faulty`: the service, on an ONNX Runtime that can be told to fail.

A file `fault` in the working folder says how, as long as it is there: `raise`, `nan`, or
`slow` (half a second a run). `hang` takes the file away and never comes back.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from face_service.main import main

FAULT = Path("fault")
compute = onnxruntime.InferenceSession.run


def run(session: Any, *arguments: Any) -> Any:
    """InferenceSession.run, or what the file says."""
    fault = FAULT.read_text() if FAULT.exists() else ""
    if fault == "raise":
        raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")
    if fault == "hang":
        FAULT.unlink()
        time.sleep(3600)
    if fault == "slow":
        time.sleep(0.5)
    outputs = compute(session, *arguments)
    return [np.full_like(output, np.nan) for output in outputs] if fault == "nan" else outputs


if __name__ == "__main__":
    onnxruntime.InferenceSession.run = run
    sys.exit(main())
