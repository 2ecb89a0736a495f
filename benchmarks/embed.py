"""What `face-service embed` costs beside the networks: processor time an image, against a loop.

    .venv/bin/python -m benchmarks.embed [--images 120] [--lfw ../shared/faces/lfw] [--rounds 3]

The same photos, in turn: a loop that decodes and analyses in one thread, and one process of
`embed`, whose start is subtracted. Medians of the rounds; and the memory of a process that works
beside others, of which what they share counts in part (PSS).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

import psutil

from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.face_engine import Options
from face_service.offline.isolation import Processes
from face_service.offline.manifest import Item
from face_service.offline.run import Request
from face_service.runtime.processor import in_words, processor
from face_service.vision.image import decode


def in_a_loop(items: list[Item], request: Request) -> float:
    """Seconds of a processor."""
    settings = request.task.settings
    engine = load_engine(settings, runtime_config(settings))
    began = time.process_time()
    for item in items:
        data = Path(item.uri).read_bytes()
        engine.analyse_image(decode(data, settings.max_image_pixels), request.options)
    return time.process_time() - began


def by_processes(items: list[Item], request: Request, count: int) -> tuple[float, list[float]]:
    """Seconds of processors, of this process and of those it starts but for their start; and the
    megabytes of each."""
    with Processes(request.task, count, request.timeout) as processes:
        processes.describe()
        for _ in processes.embed(items[: 4 * count]):  # each has begun
            pass
        children = [
            child
            for child in psutil.Process().children(recursive=True)
            if "spawn_main" in " ".join(child.cmdline())
        ]

        def used() -> float:
            times = [child.cpu_times() for child in children]
            own = os.times()
            return sum(each.user + each.system for each in times) + own.user + own.system

        began = used()
        for _ in processes.embed(items):
            pass
        return used() - began, [child.memory_full_info().pss / 1e6 for child in children]


def main() -> None:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--lfw", type=Path, default=Path("../shared/faces/lfw"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    paths = sorted(options.lfw.glob("**/*.jpg"))[: options.images]
    items = [Item(number, str(path.absolute())) for number, path in enumerate(paths)]
    request = Request(load_settings(insightface_model="starter"), Options(), "", "")
    ratios, loops = [], []
    for _ in range(options.rounds):
        loop = in_a_loop(items, request)
        process, _ = by_processes(items, request, 1)
        loops.append(loop / len(items) * 1e3)
        ratios.append(process / loop)
    print(f"a loop: {statistics.median(loops):.1f} ms an image")
    _, memory = by_processes(items[:8], request, 2)
    print(
        f"embed, of that: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    )
    print(f"memory of a process beside another: {max(memory):.0f} MB")


if __name__ == "__main__":
    main()
