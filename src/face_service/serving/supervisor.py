"""Keeper: an engine for every lane, and another one where one breaks or hangs."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable

from face_service.errors import StartupError
from face_service.face_engine import FaceEngine
from face_service.metrics import Metrics
from face_service.runtime.memory import give_back

from .worker import Lanes, in_daemon_thread

logger = logging.getLogger(__name__)

WATCH_S = 0.25
"""How often the lanes are looked after, in seconds."""
GIVE_BACK_EVERY = 40
"""Looks between two that give freed memory back: ten seconds."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Between attempts to load an engine anew."""
MAX_ATTEMPTS = 10
"""Over two and a half minutes. A driver can be in a state that only a new process gets out of."""
MAX_STALLED = 3
"""Engines given up with a thread inside before the process ends: their memory cannot be had
back, and a driver that hung so often is not cured by another engine."""


class Keeper:
    """Loads `wanted` engines, opens a lane for each, and looks after them.

    An engine has hung when none of its networks has finished for `stall_timeout` seconds. `taken`
    is told of the engine that the service shall speak of. `failure`: why there will be none.
    """

    def __init__(
        self,
        load: Callable[[], FaceEngine],
        lanes: Lanes,
        wanted: int,
        stall_timeout: float,
        metrics: Metrics,
        taken: Callable[[FaceEngine], None],
    ) -> None:
        self.failure: StartupError | None = None
        self._load = load
        self._lanes = lanes
        self._wanted = wanted
        self._stall_timeout = stall_timeout
        self._metrics = metrics
        self._taken = taken
        self._stalled = 0

    async def start(self) -> None:
        """Load the engines. What stops that ends up in `failure` and is raised."""
        try:
            engines = [await in_daemon_thread(self._load) for _ in range(self._wanted)]
            for engine in engines:
                self._open(engine)
        except StartupError as error:
            self.failure = error
            raise
        except Exception as error:
            self.failure = StartupError(f"the models cannot be loaded: {error}")
            raise self.failure from error

    async def watch(self) -> None:
        """Replace engines that break or hang, for ever.

        Raises StartupError once so many have hung that only a new process helps.
        """
        restoring: asyncio.Task[None] | None = None
        try:
            for turn in itertools.count(1):
                await asyncio.sleep(WATCH_S)
                try:
                    if turn % GIVE_BACK_EVERY == 0:
                        await in_daemon_thread(give_back)
                    self._give_up_lost()
                    if restoring and restoring.done():
                        ended, restoring = restoring, None
                        ended.result()
                    # Beside the watch: loading may take for ever, and other engines break too.
                    if restoring is None and len(self._lanes) < self._wanted:
                        restoring = asyncio.create_task(self._restore())
                except StartupError:
                    raise
                except Exception:  # nobody else looks after the engines
                    logger.exception("Looking after the engines failed, and goes on")
        finally:
            if restoring:
                restoring.cancel()

    def _give_up_lost(self) -> None:
        broken, stalled = self._lanes.remove_lost(self._stall_timeout)
        self._stalled += stalled
        self._metrics.engines_lost.labels("broken").inc(broken)
        self._metrics.engines_lost.labels("stalled").inc(stalled)
        if stalled:
            logger.error(
                "No network has finished for %.0f s: the engine is given up",
                self._stall_timeout,
            )
        if self._stalled >= MAX_STALLED:
            self.failure = StartupError(
                f"{self._stalled} engines have hung: this process ends so that a new one "
                "can take over; look at the drivers and at the machine's load"
            )
            raise self.failure

    async def _restore(self) -> None:
        while len(self._lanes) < self._wanted:
            await self._replace_engine()

    async def _replace_engine(self) -> None:
        """Raises StartupError after MAX_ATTEMPTS in vain, if no other engine works."""
        pause = FIRST_PAUSE_S
        for attempt in itertools.count(1):
            try:
                engine = await in_daemon_thread(self._load)
            except Exception as error:
                if attempt >= MAX_ATTEMPTS and not len(self._lanes):
                    self.failure = StartupError(
                        f"no new engine after {attempt} attempts: this process ends so that a new "
                        f"one can take over; at last: {error}"
                    )
                    raise self.failure from error
                logger.exception("No new engine; the next attempt is in %.0f s", pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                self._open(engine)
                logger.warning("A new engine has taken over")
                return

    def _open(self, engine: FaceEngine) -> None:
        """Speak of the engine that came last, or of one that fell back, if any did."""
        self._lanes.open(engine, engine.images_per_turn)
        self._taken(next((e for e in self._lanes.engines if e.info.fallback), engine))
