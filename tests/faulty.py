"""`python -m tests.faulty`: the service, on an ONNX Runtime that can be told to fail.

A file `fault` in the working folder says how, as long as it is there: `raise`, `nan`, `slow` (half
a second more a run), or `busy` (a second of processor time more, which stands still while the
process is stopped). `hang` takes the file away and never comes back.
"""

from __future__ import annotations

import hashlib
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
    if fault == "busy":
        until = time.thread_time() + 1
        while time.thread_time() < until:
            hashlib.sha256(bytes(1_000_000))  # without the lock of the interpreter
    outputs = compute(session, *arguments)
    return [np.full_like(output, np.nan) for output in outputs] if fault == "nan" else outputs


if __name__ == "__main__":
    onnxruntime.InferenceSession.run = run
    sys.exit(main())
