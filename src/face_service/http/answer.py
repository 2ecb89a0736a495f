"""What the client of a connection has yet to take in."""

from __future__ import annotations

import logging

from face_service.http.transport import ResponseTransport
from face_service.serving.admission import Transfer

logger = logging.getLogger(__name__)


class Answer(Transfer):
    """Bytes that a client has yet to take in; where they are evicted, the connection is aborted."""

    def __init__(self, transport: ResponseTransport) -> None:
        super().__init__(on_evicted=self._give_up)
        self._transport = transport
        self._received_before = transport.received

    def progress(self) -> int:
        """Bytes that the client has received on this connection."""
        return self._transport.received

    def _give_up(self) -> None:
        logger.warning(
            "An answer was given up: its client takes it in slowly, and others need the memory",
            extra={"kind": {"code": "slow_reader"}},
        )
        self._transport.abort()
