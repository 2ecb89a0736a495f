"""The bare limit: the runs of the networks that images take, and nothing around them.

`python -m face_service.tools.bench.bare` builds the engine that the settings ask for, sends the
images through it once and keeps every blob that reaches a network. Then it does nothing but
these runs, on the same sessions, over and over. The first request (see child_process) holds the
images, every further one is a number of seconds, answered with the runs that these seconds held.

On a CPU the server runs the networks image by image, as is done here. A server that forms
batches across requests can be faster than this.
"""

from __future__ import annotations

import base64
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.errors import FaceServiceError
from face_service.face_engine import FaceEngine
from face_service.runtime.child_process import answer_stream, requests, write_answer
from face_service.runtime.network import Network
from face_service.runtime.threads import most_workers
from face_service.tools.measuring import MeasuringProcess, measuring_process
from face_service.vision.image import decode


class Call(NamedTuple):
    """One run of a network and its input: float32, or uint8 for a network that takes pixels."""

    network: Network
    blob: NDArray[np.float32]


@dataclass(slots=True)
class Throughput:
    """A measurement of bare runs. images: number of images whose runs were repeated; seconds: how
    long that took."""

    images: int
    seconds: float

    @property
    def throughput(self) -> float:
        """Images per second."""
        return self.images / self.seconds


@dataclass(slots=True)
class RunCounts:
    """The runs that all images together take.

    calls: number of runs by shape of the input, `1×3×640×640`. faces: number found by the engine.
    """

    calls: dict[str, int]
    faces: int


def record(
    engine: FaceEngine, images: Sequence[bytes], max_pixels: int
) -> tuple[list[list[Call]], RunCounts]:
    """Analyse images and record every run of a network.

    images: encoded. max_pixels: of each. Returns the runs of each image, in order, and their sum.
    Raises InvalidImage or ImageTooLarge for one that cannot be decoded.
    """
    recorded: list[list[Call]] = []
    run_counts = RunCounts({}, 0)

    def note(network: Network, blob: NDArray[np.float32]) -> None:
        recorded[-1].append(Call(network, blob.copy()))
        shape = "×".join(map(str, blob.shape))
        run_counts.calls[shape] = run_counts.calls.get(shape, 0) + 1

    for network in engine.networks:
        network.observer = partial(note, network)
    try:
        for image in images:
            recorded.append([])
            run_counts.faces += len(engine.analyse_image(decode(image, max_pixels)))
    finally:
        for network in engine.networks:
            network.observer = None
    return recorded, run_counts


def loop(recorded: Sequence[Sequence[Call]], seconds: float) -> Throughput:
    """Repeat the runs of all images for at least `seconds`, and at least once."""
    images, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or not images:
        for calls in recorded:
            for network, blob in calls:
                network.run(blob)
        images += len(recorded)
    return Throughput(images, elapsed)


def loop_side_by_side(workers: Sequence[Sequence[Sequence[Call]]], seconds: float) -> Throughput:
    """`loop` on a thread for each worker, as the server has them.

    workers: the recorded runs of the engine of each.
    """
    done: list[Throughput] = []
    threads = [
        threading.Thread(target=lambda recorded=recorded: done.append(loop(recorded, seconds)))
        for recorded in workers
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Throughput(sum(part.images for part in done), time.perf_counter() - started)


class BareProcess:
    """A child process that repeats bare runs. pid: its id. run_counts: the runs it repeats.

    Raises StartupError where the process has ended; the reason is on stderr.
    """

    def __init__(self, process: MeasuringProcess, images: Sequence[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        order = {"images": [base64.b64encode(image).decode() for image in images]}
        self.run_counts = RunCounts(**process.ask(order))

    def run(self, seconds: float) -> Throughput:
        """The runs of all images, repeated for at least `seconds`."""
        return Throughput(**self._process.ask(seconds))


@contextmanager
def bare_process(
    variables: Mapping[str, str | None], images: Sequence[bytes], python: str = sys.executable
) -> Iterator[BareProcess]:
    """A process of the bare limit, its networks loaded and warm; stopped at the end of the block.

    variables: changes of this process's environment, the same as the server's (see
    `server.environment`). images: encoded. python: the interpreter.
    """
    module = "face_service.tools.bench.bare"
    with measuring_process(module, "the bare limit", variables, python) as process:
        yield BareProcess(process, images)


def main() -> int:
    """Run `serve`. Returns the exit status: 1 for a FaceServiceError, one line on stderr."""
    try:
        serve()
    except FaceServiceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def serve() -> None:
    """Answer the requests on stdin until it ends."""
    answers, incoming = answer_stream(), requests()
    settings = load_settings()
    images = [base64.b64decode(image) for image in next(incoming)["images"]]
    config = runtime_config(settings)
    workers = []
    for number in range(count := most_workers(settings.workers, config.threads)):
        engine = load_engine(settings, config, worker=number)
        engine.limit_threads(config.threads // count)
        recorded, run_counts = record(engine, images, settings.max_image_pixels)
        workers.append(recorded)
    write_answer(answers, asdict(run_counts))
    for seconds in incoming:
        write_answer(answers, asdict(loop_side_by_side(workers, seconds)))


if __name__ == "__main__":
    sys.exit(main())
