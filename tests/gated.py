"""`python -m tests.gated`: the service, which makes its detector gate from few frames."""

from __future__ import annotations

import sys

from face_service import gate_builder
from face_service.main import main

from .small_gate import COMMAND

if __name__ == "__main__":
    gate_builder.COMMAND = COMMAND
    sys.exit(main())
