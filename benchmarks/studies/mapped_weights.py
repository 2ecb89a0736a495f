"""What it brings to save networks as they are computed (docs/decisions/0023).

    .venv/bin/python -m benchmarks.studies.mapped_weights [FILE.onnx ...]

Without files: the recognisers of `starter` and of the stand-in for buffalo_l. For each: whether it
has denormal weights; resident and private memory of a process with two sessions that have run, by
/proc/self/smaps_rollup; seconds to open the second; milliseconds of CPU time for one face on one
thread, the median of 5 rounds that alternate.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from face_service.packs.pack import sha256_of
from face_service.runtime import plans
from face_service.runtime.graph import read_input, without_denormals
from face_service.runtime.network import Network, load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import CPU, RuntimeConfig

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = (
    ROOT / "models/starter/fr_feature.onnx",
    ROOT / ".oracle/packs/standin/w600k_r50.onnx",
)
ROUNDS, RUNS = 5, 10


def load(path: Path, cache: Path, saved: bool) -> Network:
    """The network of a file, from a saved graph in `cache` or as it is, on one thread."""
    real = plans.mapped_network
    if not saved:
        plans.mapped_network = lambda *_: None
    try:
        spec = NetworkSpec(path, sha256_of(path))
        return load_networks([spec], (CPU,), RuntimeConfig(cache=cache))[0]
    finally:
        plans.mapped_network = real


def face(path: Path) -> np.ndarray:
    """Noise in the shape of one face."""
    _, *rest = read_input(path).shape or ()
    shape = [1, *(side or 112 for side in rest)]
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def memory() -> tuple[int, int]:
    """Resident and private memory of this process in MB."""
    sizes = {"Rss": 0, "Private_Clean": 0, "Private_Dirty": 0}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in sizes:
            sizes[name] = int(rest.split()[0]) // 1000
    return sizes["Rss"], sizes["Private_Dirty"]


def hold_two(path: Path, cache: Path, saved: bool) -> str:
    """In a process of its own: two sessions that have run, as one line."""
    first = load(path, cache, saved)
    started = time.perf_counter()
    second = load(path, cache, saved)
    opening = time.perf_counter() - started
    for network in (first, second):
        network.run(face(path))
    resident, private = memory()
    return f"{resident} MB resident, {private} private, the second opened in {opening:.2f} s"


def cpu_times(path: Path, cache: Path) -> dict[bool, float]:
    """Milliseconds of CPU time for a face, by whether the network is a saved one."""
    networks = {saved: load(path, cache, saved) for saved in (False, True)}
    blob, times = face(path), {False: [], True: []}
    for _ in range(ROUNDS):
        for saved, network in networks.items():
            started = time.process_time()
            for _ in range(RUNS):
                network.run(blob)
            times[saved].append((time.process_time() - started) / RUNS * 1000)
    return {saved: statistics.median(found) for saved, found in times.items()}


def main() -> None:
    """Print the figures of each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=[f for f in DEFAULTS if f.exists()])
    parser.add_argument("--hold", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.hold:
        cache, saved = arguments.hold
        print(hold_two(arguments.files[0], Path(cache), saved == "saved"))
        return
    print(in_words(processor()))
    for path in arguments.files:
        print(f"\n{path.name}, {path.stat().st_size / 1e6:.0f} MB")
        print(f"  denormal weights: {'some' if without_denormals(path) else 'none'}")
        with tempfile.TemporaryDirectory() as folder:
            load(path, Path(folder), saved=True)
            for how in ("as it is", "saved"):
                command = [sys.executable, "-m", "benchmarks.studies.mapped_weights", str(path)]
                said = subprocess.run(
                    [*command, "--hold", folder, how],
                    capture_output=True,
                    text=True,
                    check=True,
                    cwd=ROOT,
                ).stdout
                print(f"  {how}: {said.strip()}")
            times = cpu_times(path, Path(folder))
        print(f"  a face: {times[False]:.1f} ms of CPU time as it is, {times[True]:.1f} ms saved")


if __name__ == "__main__":
    main()
