"""What a card gains by batches of images, by pixels in place of floats, and by buffers that stay
(docs/decisions/0025).

    .venv/bin/python -m benchmarks.accelerator [PACK] [--provider NAME] [--precision fp16]

PACK: a folder or the name of a pack in models/, by default `starter`. The provider is the best that
is installed. Each way goes from uint8 images in memory to outputs in memory; the ways alternate,
and the figures are medians of all rounds. Without a card the same is run on the processor, which
shows that the answers are the same, and nothing about a card.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from face_service.packs.entries import Role
from face_service.packs.local import load_folder
from face_service.packs.pack import PackModel
from face_service.packs.roles import INPUT_SIDE
from face_service.runtime.binding import FixedBuffers, why_no_buffers
from face_service.runtime.compiling import compile_missing
from face_service.runtime.graph import read_input
from face_service.runtime.half import half_precision
from face_service.runtime.processor import in_words, processor
from face_service.runtime.programs import specs_for
from face_service.runtime.providers import CPU, PROVIDERS, RuntimeConfig
from face_service.runtime.rewriting import Edits, why_not_batched
from face_service.runtime.selection import choose_providers
from face_service.runtime.session import OpenSession, open_spec
from face_service.vision.blob import Image, to_blob

ROOT = Path(__file__).resolve().parents[1]
FRAME = (384, 640)
"""Height and width of a detector's canvas for a 16:9 frame, where its graph takes any size."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compute several images."""

    together: bool
    pixels: bool
    bound: bool

    def __str__(self) -> str:
        return " | ".join(
            (
                "together" if self.together else "one by one",
                "uint8" if self.pixels else "float",
                "stay" if self.bound else "each run's",
            )
        )


WAYS = [
    Way(False, False, False), Way(False, True, False), Way(False, True, True),
    Way(True, False, False), Way(True, True, False), Way(True, True, True),
]  # fmt: skip


class Subject:
    """A network, and images for it."""

    def __init__(
        self, model: PackModel, images: int, size: tuple[int, int], providers: Sequence[str],
        config: RuntimeConfig,
    ) -> None:  # fmt: skip
        self.model, self._providers, self._config = model, tuple(providers), config
        self._provider = PROVIDERS[providers[0]]
        self._input = read_input(model.path)
        *_, height, width = self._input.shape or (None, None)
        self.size = (height or size[0], width or size[1])
        self._source = model.path
        if config.precision == "fp16" and self._provider.halves_file:
            self._source = half_precision(model.path, model.sha256, config)
        flattens = model.role is Role.DETECTION
        self._free = flattens or (self._input.shape or (None,))[0] == 1
        self.reason = why_not_batched(self._source) if self._free else None
        random = np.random.default_rng(0)
        self.images: list[Image] = [
            random.integers(0, 256, (*self.size, 3), np.uint8) for _ in range(images)
        ]

    def open(self, way: Way) -> OpenSession:
        """A session for one way."""
        edits = Edits(self._free and way.together, self.model.normalization if way.pixels else None)
        rows = len(self.images) if way.together else 1
        shape = edits.input_shape(rows, 3, *self.size)
        (spec,) = specs_for(
            self._source, self.model.sha256, self._input, [shape], self._provider, self._config,
            edits,
        )  # fmt: skip
        if self._provider.compiles:
            compile_missing([spec], self._providers, self._config)
        opened = open_spec(spec, self._providers, self._config)
        opened.buffers = None
        if way.bound:
            memory, card = self.memory
            opened.buffers = FixedBuffers(opened.session, self._input.name, memory, card)
        return opened

    @property
    def memory(self) -> tuple[str, int]:
        """What ONNX Runtime calls the memory of the card, or of the processor where there is none
        to be had, and the card's number."""
        memory, card = self._provider.device_memory, int(self._provider.card(self._config) or 0)
        return (memory, card) if memory and not why_no_buffers(memory, card) else ("cpu", 0)

    def run(self, opened: OpenSession, way: Way) -> list[np.ndarray]:
        """The first output of all images, and the last, a row for each image."""
        normalization = None if way.pixels else self.model.normalization
        groups = [self.images] if way.together else [[image] for image in self.images]
        answers = [opened.run(to_blob(group, normalization)) for group in groups]
        rows = len(self.images)
        return [
            np.concatenate([answer[n].reshape(len(group), -1) for answer, group in
                            zip(answers, groups, strict=True)]).reshape(rows, -1)
            for n in (0, -1)
        ]  # fmt: skip


def measure(subject: Subject, rounds: int, seconds: float) -> None:
    """Print the table of a network."""
    ways = [way for way in WAYS if not (way.together and subject.reason)]
    sessions = [subject.open(way) for way in ways]
    answers = [subject.run(*pair) for pair in zip(sessions, ways, strict=True)]  # and warm
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for n, (opened, way) in enumerate(zip(sessions, ways, strict=True)):
            runs, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < seconds or not runs:
                subject.run(opened, way)
                runs += 1
            times[n].append(elapsed / runs / len(subject.images) * 1e3)
    height, width = subject.size
    print(f"\n{subject.model.path.name}, {len(subject.images)} images of {width}×{height}, memory "
          f"of `{subject.memory[0]}`\n")  # fmt: skip
    print("| images | input | buffers | ms an image | times as fast | differs by at most |")
    print("|---|---|---|---|---|---|")
    first = statistics.median(times[0])
    for way, spent, answer in zip(ways, times, answers, strict=True):
        median = statistics.median(spent)
        differs = max(
            float(np.abs(one - right).max()) for one, right in zip(answer, answers[0], strict=True)
        )
        print(f"| {way} | {median:.2f} | {first / median:.2f} | {differs:.1e} |")
    if subject.reason:
        print(f"\nIt takes one image a run: {subject.reason}.")


def main() -> None:
    """Print a table for the detector and one for the recogniser."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("pack", nargs="?", default="starter")
    parser.add_argument("--provider", default="auto")
    parser.add_argument("--precision", choices=["fp32", "fp16"], default="fp32")
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each way in a round")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    given = parser.parse_args()
    providers = choose_providers((given.provider,), given.precision).attempts[0]
    print(f"{', '.join(providers)}; {in_words(processor())}; {given.precision}")
    if providers[0] == CPU:
        print("There is no card, or no build of ONNX Runtime for it: these figures are the "
              "processor's and say nothing about a card.")  # fmt: skip
    folder = Path(given.pack) if Path(given.pack).is_dir() else ROOT / "models" / given.pack
    pack = load_folder(folder)
    with tempfile.TemporaryDirectory() as cache:
        config = RuntimeConfig(given.threads, given.precision, given.device, cache=Path(cache))
        PROVIDERS[providers[0]].prepare()
        for role in (Role.DETECTION, Role.RECOGNITION):
            side = FRAME if role is Role.DETECTION else (INPUT_SIDE[role],) * 2
            subject = Subject(pack.models[role], given.images, side, providers, config)
            measure(subject, given.rounds, given.seconds)


if __name__ == "__main__":
    main()
