"""One network, loaded: what runs it, in whichever session fits the shape of the input."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from face_service.errors import InferenceFailed, OutOfMemory

from .arena import SHRINK
from .compiling import compile_missing
from .graph import UINT8, Shape
from .memory import is_out_of_memory
from .parallel import in_parallel
from .placement import Placement
from .plans import NetworkSpec, Plan, plan_network
from .policy import ShapePolicy
from .programs import in_words
from .providers import PROVIDERS, Provider, RuntimeConfig
from .session import OpenSession, open_spec

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Input = NDArray[np.float32] | NDArray[np.uint8]

EXCLUSIVE_TIMEOUT_S = 60.0
"""Seconds to wait for the run that holds the lock: longer than any healthy run, so it has hung."""


class Network:
    """A network with one input: where it `takes_pixels` uint8 [n, height, width, 3], channels in
    OpenCV's order, else float32 [n, 3, height, width], normalised. A graph that takes uint8 in that
    shape is given whole numbers from 0 to 255 as float32, which are converted.

    sessions: by number of intra-op threads, the most first; of each number, by shape, None for a
    session that takes any. name: its file's. input_shape: the graph's own, None for a free axis.
    threads: of a run that does not say another number. last_run: when a run last ended, on
    time.monotonic(), 0 before the first. warnings: what is slower than it could be, and why.
    observer: called with the input of each run before it, or None; for the bench. To be used by one
    thread at a time.
    """

    def __init__(
        self,
        name: str,
        plan: Plan,
        sessions: Mapping[int, Mapping[Shape | None, OpenSession]],
        provider: Provider,
        config: RuntimeConfig,
    ) -> None:
        self.name = name
        self.input_shape = plan.graph_input.shape or ()
        self.policy = plan.policy
        self.takes_pixels = plan.edits.normalization is not None
        self._counts = plan.graph_input.kind == UINT8
        self.warnings = plan.warnings
        self.last_run = 0.0
        self.observer: Callable[[Input], object] | None = None
        self._provider = provider
        self._config = config
        self._runs = 0
        self._shrink_next = False
        self._sessions = dict(sessions)
        self.threads = next(iter(self._sessions))

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of threads on which it can run, descending."""
        return tuple(self._sessions)

    @property
    def new_widths(self) -> tuple[int, ...]:
        """Those of `widths` of which a session has not run yet, for this engine or for another one
        that shares it."""
        return tuple(
            width
            for width, sessions in self._sessions.items()
            if any(opened.placement is None for opened in sessions.values())
        )

    @property
    def placement(self) -> Placement:
        """Nodes by provider, of the sessions that have run."""
        sessions = [opened for each in self._sessions.values() for opened in each.values()]
        return sum((Counter(opened.placement) for opened in sessions), Counter())

    @property
    def maps_weights(self) -> bool:
        """Whether the weights are in memory once for all sessions of this network."""
        sessions = [opened for each in self._sessions.values() for opened in each.values()]
        return all(opened.mapped for opened in sessions)

    def limit_threads(self, most: int) -> None:
        """Run on at most so many threads from now on, or on the fewest there are."""
        self.threads = next((width for width in self.widths if width <= most), self.widths[-1])

    def release(self) -> None:
        """Free the sessions and their memory. No run may follow."""
        self._sessions.clear()

    def run(self, blob: Input, threads: int | None = None) -> list[Floats]:
        """One run, on `threads` threads, one of `widths`; on the attribute `threads` by default.

        blob: of a shape that was announced (`NetworkSpec.sizes`, `ShapePolicy.batches`) unless the
        policy is "dynamic". Returns every output, float32, in the order of the graph.

        Raises InferenceFailed for outputs with NaN or infinity, which comparisons would take for
        "no face", and where another run, which must end first, has hung; OutOfMemory where ONNX
        Runtime reports it; ValueError for a shape that was not announced; and whatever else ONNX
        Runtime raises.
        """
        if self._counts:
            blob = blob.astype(np.uint8)
        opened = self._session_for(blob.shape, threads or self.threads)
        if self.observer is not None:
            self.observer(blob)
        self._runs += 1
        try:
            with self._exclusive():
                outputs = opened.run(blob, *self._run_options())
        except Exception as error:
            if is_out_of_memory(error):
                logger.warning("%s ran out of memory: %s", self.name, error)
                self._shrink_next = True
                raise OutOfMemory("Out of memory, try again later or send less at once") from error
            raise
        self.last_run = time.monotonic()
        if not all(np.isfinite(output).all() for output in outputs):
            raise InferenceFailed("A network gave numbers that are not finite")
        return outputs

    def run_batched(self, blob: Input) -> list[Floats]:
        """`run` for any number of rows, in runs that the policy and the graph allow.

        blob: at least one row. A run is filled up with zeros, whose outputs are dropped. One for
        which memory does not suffice is repeated once in halves; OutOfMemory if that fails, too.
        Raises what `run` raises.

        On a CPU, runs that come to more than half of its threads are made side by side, each on one
        thread: on two threads a run takes more than half the time that it takes on one.
        """
        runs = list(split_batches(blob, self.policy))
        parts: list[list[list[Floats]]] = []
        for start in range(0, len(runs), self.threads):
            group = runs[start : start + self.threads]
            if 1 in self._sessions and 2 * len(group) > self.threads:
                parts += in_parallel([partial(self._run_or_halve, *run, 1) for run in group])
            else:
                parts += [self._run_or_halve(*run, self.threads) for run in group]
        outputs = zip(*chain.from_iterable(parts), strict=True)
        return [np.concatenate(rows) for rows in outputs]

    def _run_or_halve(self, rows: Input, batch: int, threads: int) -> list[list[Floats]]:
        try:
            return [self._run_padded(rows, batch, threads)]
        except OutOfMemory:
            smaller = self.policy.with_max_batch(batch // 2)
            if smaller is None:
                raise
            logger.warning("%s: a batch of %d is tried in halves", self.name, batch)
            parts = split_batches(rows, smaller)
            return [self._run_padded(part, size, threads) for part, size in parts]

    def _run_padded(self, rows: Input, batch: int, threads: int) -> list[Floats]:
        wanted = len(rows)
        if wanted < batch:
            zeros = np.zeros((batch - wanted, *rows.shape[1:]), rows.dtype)
            rows = np.concatenate((rows, zeros))
        return [output[:wanted] for output in self.run(rows, threads)]

    def _session_for(self, shape: Shape, threads: int) -> OpenSession:
        sessions = self._sessions.get(threads, {})
        opened = sessions.get(None) or sessions.get(shape)
        if opened is None or (self.policy.kind == "bounded" and shape not in opened.shapes):
            raise ValueError(f"{in_words(shape)} is none of the shapes that were foreseen")
        return opened

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if not self._provider.one_at_a_time:
            yield
            return
        if not self._config.one_at_a_time.acquire(timeout=EXCLUSIVE_TIMEOUT_S):
            raise InferenceFailed("Another run has hung, and two at once are not safe")
        try:
            yield
        finally:
            self._config.one_at_a_time.release()

    def _run_options(self) -> tuple[Any, ...]:
        """Run options that shrink the arena after this run, where that is due; else none."""
        every = self._config.shrink_every
        due = self._shrink_next or (every and self._runs % every == 0)
        if not (due and self._provider.shrinks):
            return ()
        self._shrink_next = False
        options = onnxruntime.RunOptions()
        options.add_run_config_entry(SHRINK, f"gpu:{self._provider.card(self._config)}")
        return (options,)


def split_batches(blob: Input, policy: ShapePolicy) -> Iterator[tuple[Input, int]]:
    """The rows of each run, and the size of the batch that they are to be filled up to."""
    start = 0
    for run in policy.runs(len(blob)):
        yield blob[start : start + run.rows], run.batch
        start += run.rows


def load_networks(
    specs: Sequence[NetworkSpec], providers: Sequence[str], config: RuntimeConfig
) -> list[Network]:
    """Load a network for each of `specs`, in order; compile first what must be compiled.

    providers: names of ONNX Runtime's, the first of which computes what it can and decides the
    shapes. Raises ProviderError if one of them cannot be loaded or compiling fails, ValueError for
    a network whose input does not have four axes, OSError where a file cannot be read or written,
    and as `open_session` and `read_header`.
    """
    provider = PROVIDERS[providers[0]]
    provider.prepare()
    plans = [plan_network(spec, provider, config) for spec in specs]
    if provider.compiles:
        compile_missing([session for plan in plans for session in plan.sessions], providers, config)
    return [
        Network(
            spec.path.name,
            plan,
            {
                width: {
                    spec.key: open_spec(spec, providers, replace(config, threads=width))
                    for spec in plan.sessions
                }
                for width in (config.threads, *(config.narrower if plan.maps_weights else ()))
            },
            provider,
            config,
        )
        for spec, plan in zip(specs, plans, strict=True)
    ]
