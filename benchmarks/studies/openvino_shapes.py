"""What OpenVINO's sessions cost on a CPU: one for every shape, or one for each.

    PYTHONPATH=src .openvino/bin/python -m benchmarks.studies.openvino_shapes

The stand-in for buffalo_l looks at t1.jpg (6 faces), 2 threads. Every row is a process of its own;
times are those of its processors, so that other work on the machine does not count. Prints the
table of docs/decisions/0018-providers.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.frames import ROOT
from face_service.config import Settings
from face_service.engine_factory import detector_canvases
from face_service.engine_factory.builder import build_engine
from face_service.packs.local import load_folder
from face_service.runtime.memory import trim_heap
from face_service.runtime.policy import BOUNDED_ON_CPU, ShapePolicy
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import CPU, OPENVINO
from face_service.runtime.providers.openvino import OpenVino
from face_service.vision.image import decode

IMAGES = 8
ROWS = {
    "ONNX Runtime's CPU provider": None,
    "one for every shape (free axes)": BOUNDED_ON_CPU,
    "one for each canvas, batch 1": ShapePolicy("fixed", (1,)),
    "one for each canvas, batches 1 and 4": ShapePolicy("fixed", (1, 4), pads=True),
    "one for each canvas, batches 1, 2, 4, 8": ShapePolicy("fixed", (1, 2, 4, 8), pads=True),
}
"""By name: how OpenVINO is shown shapes; None where it does not compute."""


def measure(name: str) -> dict[str, float]:
    """Megabytes (10^6) after warming up, CPU seconds for that, CPU seconds an image."""
    policy = ROWS[name]
    if policy:
        OpenVino.shapes_for = lambda _, __: policy
    provider = OPENVINO if policy else CPU
    (photo,) = ROOT.glob(".oracle/lib/python3*/site-packages/insightface/data/images/t1.jpg")
    image = decode(photo.read_bytes(), 10**9)
    pack = load_folder(ROOT / ".oracle/packs/standin")
    started = time.process_time()
    engine = build_engine(pack, detector_canvases(Settings(_env_file=None)), (provider,), threads=2)
    engine.warm_up()
    warm = time.process_time()
    trim_heap()  # as the service does
    memory = resident()
    for _ in range(IMAGES):
        assert len(engine.analyse_image(image)) == 6
    return {
        "memory": memory,
        "warm": warm - started,
        "image": (time.process_time() - warm) / IMAGES,
    }


def resident() -> float:
    """Of this process, in megabytes (10^6)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (size,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(size) * 1024 / 1e6


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    print(in_words(processor()), end="\n\n")
    print("| sessions | memory after warm-up | to warm | an image |\n|---|---|---|---|")
    for name in ROWS:
        command = (sys.executable, "-m", "benchmarks.studies.openvino_shapes", name)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {name} | {found['memory']:,.0f} MB | {found['warm']:.1f} s "
            f"| {found['image']:.3f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
