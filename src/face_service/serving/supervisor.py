"""The supervisor: an engine for every worker, and another one where one breaks or hangs."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal

from face_service.errors import StartupError
from face_service.face_engine import FaceEngine
from face_service.observability.metrics import Metrics
from face_service.runtime.arena import shrink_shared_arena
from face_service.runtime.memory import trim_heap

from .threads import run_in_daemon_thread
from .worker import WorkerPool

logger = logging.getLogger(__name__)

WATCH_S = 0.25
"""Interval of the checks, in seconds."""
GIVE_BACK_EVERY = 40
"""Checks after which freed memory is returned to the system: every ten seconds."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Seconds between attempts to load an engine anew: the first pause, which doubles up to the
longest."""
MAX_ATTEMPTS = 10
"""Attempts, over two and a half minutes, after which the process ends if no engine works. A driver
can be in a state that only a new process gets out of."""
MAX_STALLED = 3
STALLED_WITHIN_S = 3600.0
"""The process ends once so many engines have hung within so many seconds: their memory cannot be
had back, and a driver that hung so often is not cured by another engine."""


Networks = Literal["loaded", "unloaded", "loading"]
"""Whether the engines are there. unloaded: let go, as there was no request for IDLE_UNLOAD_S.
loading: for the request that came then."""


class EngineSupervisor:
    """Loads engines, adds a worker for each, and looks after them.

    load: given the number of the worker. workers_for: how many workers there should be, by the
    first engine. stall_timeout: an engine has hung when none of its networks has finished for so
    many seconds. on_engine_ready: called with the engine that /health reports whenever that
    changes: the newest, or any that fell back. failure: why no engine will be available any more;
    else None. networks: whether the engines are there; they may have been let go.
    """

    def __init__(
        self,
        load: Callable[[int], FaceEngine],
        workers: WorkerPool,
        workers_for: Callable[[FaceEngine], int],
        stall_timeout: float,
        metrics: Metrics,
        on_engine_ready: Callable[[FaceEngine], None],
    ) -> None:
        self.failure: StartupError | None = None
        self._load = load
        self._workers = workers
        self._workers_for = workers_for
        self._wanted = 1
        self._stall_timeout = stall_timeout
        self._metrics = metrics
        self._on_engine_ready = on_engine_ready
        self._stalls: deque[float] = deque()
        self._restoring: asyncio.Task[None] | None = None
        self.networks: Networks = "loaded"

    def unload(self) -> None:
        """Let go of the engines, if all are there and none has anything to do, until `reload`."""
        whole = self._restoring is None and len(self._workers) == self._wanted
        if self.networks == "loaded" and whole and self._workers.unload():
            self.networks = "unloaded"
            logger.info("The networks are let go until the next request")

    def reload(self) -> None:
        """Begin to load the engines that `unload` has let go; else nothing."""
        if self.networks == "unloaded":
            self.networks = "loading"
            self._restoring = asyncio.create_task(self._restore())

    async def start(self) -> None:
        """Load the engines. Raises StartupError, which is also `failure`, where that fails."""
        try:
            engines = [await run_in_daemon_thread(partial(self._load, 0))]
            self._wanted = self._workers_for(engines[0])
            for number in range(1, self._wanted):
                engines.append(await run_in_daemon_thread(partial(self._load, number)))
            for engine in engines:
                self._add_worker(engine)
        except StartupError as error:
            self.failure = error
            raise
        except Exception as error:
            self.failure = StartupError(f"the models cannot be loaded: {error}")
            raise self.failure from error

    async def watch(self) -> None:
        """Replace engines that break or hang, until cancelled.

        Raises StartupError once so many have hung that only a new process helps.
        """
        try:
            for look in itertools.count(1):
                await asyncio.sleep(WATCH_S)
                try:
                    if look % GIVE_BACK_EVERY == 0:
                        await run_in_daemon_thread(give_back_memory)
                    self._remove_failed()
                    if self._restoring and self._restoring.done():
                        ended, self._restoring = self._restoring, None
                        ended.result()
                    # Beside the watch: loading may take for ever, and other engines break too.
                    missing = len(self._workers) < self._wanted and self.networks != "unloaded"
                    if self._restoring is None and missing:
                        self._restoring = asyncio.create_task(self._restore())
                except StartupError:
                    raise
                except Exception:  # nothing else watches the engines
                    logger.exception("Looking after the engines failed, and goes on")
        finally:
            if self._restoring:
                self._restoring.cancel()

    def _remove_failed(self) -> None:
        broken, stalled = self._workers.remove_failed(self._stall_timeout)
        self._metrics.engines_lost.labels("broken").inc(broken)
        self._metrics.engines_lost.labels("stalled").inc(stalled)
        if not stalled:
            return
        logger.error(
            "No network has finished for %.0f s: the engine is given up", self._stall_timeout
        )
        now = time.monotonic()
        self._stalls.extend([now] * stalled)
        while now - self._stalls[0] > STALLED_WITHIN_S:
            self._stalls.popleft()
        if len(self._stalls) >= MAX_STALLED:
            self.failure = StartupError(
                f"{len(self._stalls)} engines have hung: this process ends so that a new one "
                "can take over; look at the drivers and at the machine's load"
            )
            raise self.failure

    async def _restore(self) -> None:
        lost = self.networks == "loaded"  # else they were let go
        while len(self._workers) < self._wanted:
            await self._replace_engine()
            if lost:
                logger.warning("A new engine has taken over")

    async def _replace_engine(self) -> None:
        """Raises StartupError after MAX_ATTEMPTS in vain, if no other engine works."""
        pause = FIRST_PAUSE_S
        for attempt in itertools.count(1):
            try:
                load = partial(self._load, self._workers.next_number)
                engine = await run_in_daemon_thread(load)
            except Exception as error:
                if attempt >= MAX_ATTEMPTS and not len(self._workers):
                    self.failure = StartupError(
                        f"no new engine after {attempt} attempts: this process ends so that a new "
                        f"one can take over; at last: {error}"
                    )
                    raise self.failure from error
                self.networks = "loaded"  # not "loading" any more: what is missing is a fault
                logger.exception("No new engine; the next attempt is in %.0f s", pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                self._add_worker(engine)
                self.networks = "loaded"
                return

    def _add_worker(self, engine: FaceEngine) -> None:
        self._workers.add(engine)
        self._on_engine_ready(next((e for e in self._workers.engines if e.info.fallback), engine))


def give_back_memory() -> None:
    """Return to the system what the networks and the heap hold and do not use."""
    shrink_shared_arena()
    trim_heap()
