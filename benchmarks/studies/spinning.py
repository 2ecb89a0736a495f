"""What ONNX Runtime's threads should do between runs, and how many workers: bare networks.

    .venv/bin/python -m benchmarks.studies.spinning [--rounds 5] [--busy 0 1 2]

A column is a number of faces and of other processes that want a processor each.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.frames import ROOT
from benchmarks.tables import table
from face_service.runtime.processor import in_words, processor

PACK = ROOT / ".oracle/packs/standin"
STOP = {"session.force_spinning_stop": "1"}
NO_SPIN = {"session.intra_op.allow_spinning": "0"}
BRIEFLY = "session.intra_op.spin_duration_us"
# workers, threads of each, entries of the session's configuration
SETTINGS: dict[str, tuple[int, int, dict[str, str]]] = {
    "2 threads, defaults": (1, 2, {}),
    "2 threads, force_spinning_stop": (1, 2, STOP),
    "2 threads, allow_spinning=0": (1, 2, NO_SPIN),
    **{f"2 threads, spin_duration_us={us}": (1, 2, {BRIEFLY: str(us)}) for us in (2, 10, 100)},
    "2 workers of 1 thread": (2, 1, STOP),
}
RUNS = 5


def session(path: Path, threads: int, entries: dict[str, str]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class WorkerOfNetworks:
    """A detector and a recogniser of their own."""

    def __init__(self, threads: int, entries: dict[str, str]) -> None:
        self.detector = session(PACK / "det_10g.onnx", threads, entries)
        self.recogniser = session(PACK / "w600k_r50.onnx", threads, entries)

    def frames(self, faces: int) -> None:
        """RUNS frames with `faces` faces each."""
        for _ in range(RUNS):
            for network, shape in (
                (self.detector, (1, 3, 128, 128)),
                (self.detector, (1, 3, 384, 640)),
                (self.recogniser, (faces, 3, 112, 112)),
            ):
                if shape[0]:
                    network.run(None, {network.get_inputs()[0].name: np.zeros(shape, np.float32)})


def rate(workers: list[WorkerOfNetworks], faces: int) -> float:
    """Frames per second of all workers together."""
    threads = [threading.Thread(target=worker.frames, args=(faces,)) for worker in workers]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return RUNS * len(workers) / (time.perf_counter() - started)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many other processes that compute all the time."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    """Print frames per second by setting, the settings in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    workers = {
        name: [WorkerOfNetworks(threads, entries) for _ in range(count)]
        for name, (count, threads, entries) in SETTINGS.items()
    }
    rates: dict[str, list[float]] = {name: [] for name in SETTINGS}
    columns = [(others, faces) for others in arguments.busy for faces in (0, 1)]
    for others, faces in columns:
        with busy(others):
            turns = [
                {name: rate(own, faces) for name, own in workers.items()}
                for _ in range(arguments.rounds)
            ]
        for name in SETTINGS:
            rates[name].append(statistics.median(turn[name] for turn in turns))
    heads = (f"{others} busy, {faces} face{'s' * (not faces)}" for others, faces in columns)
    print(
        table(
            f"| | {' | '.join(heads)} |",
            (
                f"| {name} | {' | '.join(f'{one:.1f}' for one in row)} |"
                for name, row in rates.items()
            ),
        )
    )


if __name__ == "__main__":
    main()
