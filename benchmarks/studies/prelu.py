"""What a recogniser takes with PRelu as ONNX Runtime computes it, and as `runtime/prelu.py` writes
it, in turn.

    .venv/bin/python -m benchmarks.studies.prelu FILE.onnx... [--threads 1 2] [--runs 40]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.tables import table
from face_service.runtime.editing import EditableGraph
from face_service.runtime.prelu import replace_prelus
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import CPU
from face_service.runtime.session import session_options

SIDE = 112


def session(content: bytes, threads: int) -> Any:
    """An onnxruntime.InferenceSession, with the options of the service."""
    return onnxruntime.InferenceSession(content, session_options(threads), providers=[CPU])


def sessions(path: Path, threads: int) -> list[Any]:
    """With PRelu, with what is written for a processor without blocks of channels, and with
    blocks."""
    found = [session(path.read_bytes(), threads)]
    for in_blocks in (False, True):
        graph = EditableGraph(path.read_bytes())
        replace_prelus(graph, in_blocks)
        found.append(session(graph.to_bytes(), threads))
    return found


def measure(path: Path, threads: int, runs: int) -> str:
    """A row of the table: median milliseconds of one face."""
    subjects = sessions(path, threads)
    blob = np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    name = subjects[0].get_inputs()[0].name
    answers = [each.run(None, {name: blob}) for each in subjects]
    same = all(
        np.array_equal(one, other)
        for answer in answers
        for one, other in zip(answer, answers[0], strict=True)
    )
    taken: list[list[float]] = [[] for _ in subjects]
    for _ in range(runs):
        for each, times in zip(subjects, taken, strict=True):
            since = time.perf_counter()
            each.run(None, {name: blob})
            times.append(time.perf_counter() - since)
    first, *others = (statistics.median(times) * 1e3 for times in taken)
    cells = " | ".join(f"{other:.1f}, **{other / first:.2f}×**" for other in others)
    return f"| {path.name} | {threads} | {first:.1f} | {cells} | {'yes' if same else 'no'} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.onnx")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--runs", type=int, default=40)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    print(
        table(
            "| network | threads | PRelu, ms | elementwise | in blocks | the same bits |",
            [
                measure(path, threads, arguments.runs)
                for path in arguments.files
                for threads in arguments.threads
            ],
        )
    )


if __name__ == "__main__":
    main()
