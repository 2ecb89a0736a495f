"""The server process: its limit of connections, and graceful shutdown on SIGTERM and SIGINT."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import FrameType

import uvicorn

logger = logging.getLogger(__name__)

RESERVED_FILES = 100
"""File descriptors kept for everything but connections: models, libraries, log, GPU drivers."""


def affordable_connections(wanted: int) -> int:
    """How many connections the limit on open files allows, at most `wanted`.

    Raises the soft limit if the hard one permits it, and logs a warning if that does not suffice:
    without a free descriptor a process cannot even refuse a connection. On Windows: `wanted`.
    """
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    if hard == resource.RLIM_INFINITY or hard > soft:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):  # macOS and sandboxes may refuse what the limit allows
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    # With very few descriptors, half of them are for connections.
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
    """uvicorn's server with a graceful shutdown.

    The first SIGTERM or SIGINT awaits `drain`, then the port is closed and `run` returns, so that
    the process ends with status 0. Until `drain` is called, within 0.1 s, requests are admitted as
    before. A second signal ends the server at once. An exception of `drain` is logged and ends it.
    asked: signals that came before `run` took them; where there is one, draining begins at once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Callable[[], Awaitable[None]],
        asked: Sequence[int] = (),
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._draining: asyncio.Task[None] | None = None
        self._signals = 0
        self._asked = asked

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Count the signal. uvicorn's own would raise it again at the end: status 143, not 0."""
        self._signals += 1
        if self._signals > 1:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; begins to drain after a signal. True ends the server."""
        if (self._signals or self._asked) and self._draining is None:
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
