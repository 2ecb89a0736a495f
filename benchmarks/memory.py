"""How much memory requests with many faces take beside an idle service: the peak of a fresh
process each, and what it is of the peak of the same process when it had answered two photos.

    .venv/bin/python -m benchmarks.memory [--rounds 3] [crowds noise thumbnails photo five]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np

from benchmarks.frames import ROOT
from face_service.runtime.processor import in_words, processor
from tests.images import encode
from tests.server import Server

CROWD = (ROOT / "docs/images/solvay.jpg").read_bytes()
"""29 faces, in 260 kB."""
LONGEST_S = 3600.0


def noise() -> bytes:
    """A PNG of 64×64 pixels in which a `min_score` of 0 finds a thousand faces."""
    return encode(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), "PNG")


def post(server: Server, files: int, data: bytes, **options: float | str) -> int:
    """Send a request of so many files. Returns the bytes of its answer."""
    path, field = ("/detect", "file") if files == 1 else ("/detect/batch", "files")
    answer = httpx.post(
        server.url + path, params=options, files=[(field, data)] * files, timeout=LONGEST_S
    )
    answer.raise_for_status()
    return len(answer.content)


PHASES: dict[str, tuple[str, int, Callable[[Server], int]]] = {
    "crowds": ("32 photos of 29 faces", 32 * len(CROWD), lambda s: post(s, 32, CROWD)),
    "noise": ("32 × 512 faces", 0, lambda s: post(s, 32, noise(), min_score=0)),
    "thumbnails": (
        "32 × 512 faces, no embeddings",
        0,
        lambda s: post(s, 32, noise(), min_score=0, embedding_format="none"),
    ),
    "photo": ("a photo, min_score=0", len(CROWD), lambda s: post(s, 1, CROWD, min_score=0)),
    "five": (
        "5 × 512 faces, no embeddings, five in a row",
        0,
        lambda s: max(post(s, 5, noise(), min_score=0, embedding_format="none") for _ in range(5)),
    ),
}
"""By name: what is sent, the bytes of one request's body, and what sends it."""


def peak(server: Server) -> int:
    """The most memory that the process has had since `reset_peak`, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def reset_peak(server: Server) -> None:
    """Have the peak begin anew."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def measure(name: str) -> str:
    """A line of the table, from a fresh process."""
    text, body, send = PHASES[name]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOST": "127.0.0.1",
        "INSIGHTFACE_MODEL": "starter",
        "MODEL_CACHE_DIR": str(ROOT / "models"),
        "REQUEST_TIMEOUT_S": str(LONGEST_S),
    }
    with tempfile.TemporaryDirectory() as folder:
        server = Server(environment, Path(folder))
        try:
            server.wait_until_ready()
            for _ in range(2):
                post(server, 1, CROWD)
            warm = peak(server)
            reset_peak(server)
            started = time.monotonic()
            answer = send(server)
            seconds = time.monotonic() - started
            highest = peak(server)
        finally:
            server.stop()
    figures = (warm, highest, body, answer)
    cells = " | ".join(f"{size / 1e6:.0f} MB" for size in figures)
    return f"| {text} | {cells} | {(highest - body) / warm:.2f} | {seconds:.0f} s |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("phases", nargs="*", default=list(PHASES), metavar="phase")
    chosen = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    print("| request | before | peak | its body | answer | (peak − body) / before | took |")
    print("|---|---|---|---|---|---|---|")
    for _ in range(chosen.rounds):
        for name in chosen.phases:
            print(measure(name), flush=True)


if __name__ == "__main__":
    main()
