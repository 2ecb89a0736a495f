"""The bare limit: the runs of the networks that images take, and nothing around them.

`python -m face_service.tools.bench.bare` builds the engine that the settings ask for, sends the
images through it once and keeps every blob that reaches a network. Then it does nothing but
these runs, on the same sessions, over and over. An order as JSON on stdin's first line; on
every further line a number of seconds, each answered with what these seconds held.

On a CPU the server runs the networks image by image, as is done here. A server that forms
batches across requests can be faster than this.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Any, NamedTuple, cast
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.errors import FaceServiceError, StartupError
from face_service.face_engine import FaceEngine
from face_service.runtime.network import Network
from face_service.vision.image import decode

from .server import environment, stop


class Call(NamedTuple):
    """One run of a network: what goes in, float32 [n, 3, height, width]."""

    network: Network
    blob: NDArray[np.float32]


@dataclass(slots=True)
class Bare:
    """What one stretch of bare runs did. images: how many images' worth of runs."""

    images: int
    seconds: float

    @property
    def throughput(self) -> float:
        """Images per second."""
        return self.images / self.seconds


@dataclass(slots=True)
class Recipe:
    """What the images take, all together.

    calls: shape of a run's input → how many such runs. faces: how many the engine found.
    """

    calls: dict[str, int]
    faces: int


def record(
    engine: FaceEngine, images: Sequence[bytes], max_pixels: int
) -> tuple[list[list[Call]], Recipe]:
    """The runs of the networks for each image, in order, and their sum."""
    recorded: list[list[Call]] = []
    recipe = Recipe({}, 0)
    run = Network.run

    def noted(network: Network, blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        recorded[-1].append(Call(network, blob.copy()))
        shape = "×".join(map(str, blob.shape))
        recipe.calls[shape] = recipe.calls.get(shape, 0) + 1
        return run(network, blob)

    with mock.patch.object(Network, "run", noted):
        for image in images:
            recorded.append([])
            recipe.faces += len(engine.faces_of(decode(image, max_pixels)))
    return recorded, recipe


def loop(recorded: Sequence[Sequence[Call]], seconds: float) -> Bare:
    """Repeat the runs of all images for at least so long, and at least once."""
    images, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or not images:
        for calls in recorded:
            for network, blob in calls:
                network.run(blob)
        images += len(recorded)
    return Bare(images, elapsed)


def loop_side_by_side(lanes: Sequence[Sequence[Sequence[Call]]], seconds: float) -> Bare:
    """`loop` on a thread for each lane, as the server has them."""
    done: list[Bare] = []
    threads = [
        threading.Thread(target=lambda lane=lane: done.append(loop(lane, seconds)))
        for lane in lanes
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Bare(sum(part.images for part in done), time.perf_counter() - started)


class BareProcess:
    """A process that repeats bare runs whenever it is asked to."""

    def __init__(self, process: subprocess.Popen[str], images: Sequence[bytes]) -> None:
        self._stdin, self._stdout = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        self.pid = process.pid
        order = {"images": [base64.b64encode(image).decode() for image in images]}
        self.recipe = Recipe(**self._ask(order))

    def run(self, seconds: float) -> Bare:
        """The runs of all images, repeated for at least `seconds`."""
        return Bare(**self._ask(seconds))

    def _ask(self, what: object) -> dict[str, Any]:
        try:
            print(json.dumps(what), file=self._stdin, flush=True)
            line = self._stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:  # its stderr is ours: the reason is there
            raise StartupError("the bare limit cannot be measured, its process has ended")
        return dict(json.loads(line))


@contextmanager
def bare_process(
    variables: Mapping[str, str | None], images: Sequence[bytes], python: str = sys.executable
) -> Iterator[BareProcess]:
    """A process of the bare limit, its networks loaded and warm; stopped at the end.

    `variables` are laid over this process's environment: give what the server was given.
    """
    process = subprocess.Popen(
        [python, "-m", "face_service.tools.bench.bare"],
        env=environment(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield BareProcess(process, images)
    finally:
        stop(process)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def main() -> int:
    """`serve`; an error of ours is one line on stderr and status 1."""
    try:
        serve()
    except FaceServiceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def serve() -> None:
    """Answer the lines of stdin until it ends."""
    settings = load_settings()
    images = [base64.b64decode(image) for image in json.loads(sys.stdin.readline())["images"]]
    setup = runtime_config(settings)
    lanes = []
    for _ in range(settings.workers):
        engine = load_engine(settings, setup)
        recorded, recipe = record(engine, images, settings.max_image_pixels)
        lanes.append(recorded)
    answer(asdict(recipe))
    for line in sys.stdin:
        answer(asdict(loop_side_by_side(lanes, float(line))))


def answer(content: object) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
