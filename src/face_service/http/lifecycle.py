"""The life of the server process: from a signal to an orderly end."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn

logger = logging.getLogger(__name__)

RESERVED_FILES = 100
"""For everything that is no connection: networks, libraries, the log, cards."""


def affordable_connections(wanted: int) -> int:
    """How many connections the system's limit on open files allows, `wanted` at most.

    Raises the soft limit where the hard one permits it. Where that does not suffice, a warning
    names both: beyond its files a process cannot accept, and nobody is told.
    """
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    if hard == resource.RLIM_INFINITY or hard > soft:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    # With very few files half of them are left for connections: better than none.
    affordable = min(wanted, max(soft - RESERVED_FILES, soft // 2))
    if affordable < wanted:
        logger.warning(
            "MAX_CONNECTIONS=%d is lowered to %d: this process may open %d files (ulimit -n)",
            wanted,
            affordable,
            soft,
        )
    return affordable


class Server(uvicorn.Server):
    """Ends in order: on the first SIGTERM or SIGINT `drain` is awaited, then the port is closed
    and the process ends with status 0. A second signal ends it at once, a `drain` that fails as
    if it had come to its end."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain
        self._draining: asyncio.Task[None] | None = None
        self._signals = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by a signal. uvicorn's own raises it again at the end: status 143, not 0."""
        self._signals += 1
        if self._signals > 1:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; True ends the server."""
        if self._signals and self._draining is None:
            logger.info("Asked to end: answering what was accepted")
            self._draining = asyncio.create_task(self._drain_and_exit())
        return await super().on_tick(counter)

    async def _drain_and_exit(self) -> None:
        try:
            await self._drain()
        except Exception:
            logger.exception("Draining failed: what is inside may get no answer")
        finally:
            self.should_exit = True
