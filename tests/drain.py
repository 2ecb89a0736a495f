"""SIGTERM under full load, 20 times: nothing that was accepted may be lost.

.venv/bin/python -m tests.drain [--turns 20]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from tests.conftest import ROOT
from tests.photos import four_faces
from tests.server import Server
from tests.test_load import end_under_load


def main() -> None:
    """Print a line a turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=20)
    variables = {
        "PATH": os.environ["PATH"],
        "HOST": "127.0.0.1",
        "INSIGHTFACE_MODEL": "starter",
        "MODEL_CACHE_DIR": str(ROOT / "models"),
        "DRAIN_GRACE_S": "1",
    }
    turns = parser.parse_args().turns
    for turn in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            photo = four_faces(Path(folder)).read_bytes()
            server = Server(dict(variables), Path(folder))
            server.wait_until_ready()
            end_under_load(server, photo, 0.05 * turn)
        print(f"{turn + 1} of {turns}: nothing lost, status 0", flush=True)


if __name__ == "__main__":
    main()
