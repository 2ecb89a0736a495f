"""`python -m tests.gated`: the service, which makes its detector gate from few frames."""

from __future__ import annotations

import sys

from face_service.engine_factory import gates
from face_service.main import main

from .small_gate import COMMAND

if __name__ == "__main__":
    gates.COMMAND = COMMAND
    sys.exit(main())
