"""The states of a connection and their timer, without sockets: every order of what can happen."""

from __future__ import annotations

import asyncio
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from face_service.http.connection_state import MIN_PROGRESS_BYTES, State
from face_service.http.protocol import (
    MAX_DROPPED_BYTES,
    BoundedProtocol,
)
from face_service.serving.admission import Admission
from tests.http.connection import (
    CLOSE,
    LARGE,
    LONGEST,
    ODD,
    PARTS,
    TIMES,
    WHOLE,
    ClockLoop,
    Connection,
)


class ConnectionMachine(RuleBasedStateMachine):
    """A client and an application that do anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = ClockLoop()
        self.admission = Admission(10)
        protocol = partial(
            BoundedProtocol, max_connections=10, hold_answer=self.admission.hold_answer
        )
        self.connection = Connection(self.loop, protocol)
        self.connection.on_abort = self.aborted
        self.read: list[tuple[float, int]] = []
        self.rest = b""
        """Of the request that is being sent."""
        self.odd = self.ending = False

    @initialize(
        odd=st.integers(0, 3), ending=st.integers(0, 1), first=st.sampled_from(sorted(WHOLE))
    )
    def choose(self, odd: int, ending: int, first: str) -> None:
        """One client in four sends what is no HTTP, every second leaves or meets the end."""
        self.odd, self.ending = not odd, not ending
        self.send(first)

    def aborted(self) -> None:
        """Only a timer aborts, or a flood: never a client that reads, nor one that waits."""
        protocol, now = self.connection.protocol, self.loop.now
        if (protocol._dropped or 0) > MAX_DROPPED_BYTES:
            return
        if self.connection.transport.unsent:
            begin = now - TIMES.write + 1e-6  # sums of 0.4 are not exact
            lately = sum(size for when, size in self.read if when > begin)
            assert lately < MIN_PROGRESS_BYTES, "the client was reading"
        else:
            waiting = [r for r in self.connection.unanswered if not r.disconnected]
            assert not waiting, "the client was waiting for its answer"

    @precondition(lambda self: self.connection.open and not self.rest)
    @rule(request=st.sampled_from(sorted(WHOLE)))
    def send(self, request: str) -> None:
        self.connection.send(WHOLE[request])

    @precondition(lambda self: self.connection.open and not self.rest)
    @rule(request=st.sampled_from(sorted(PARTS)))
    def begin(self, request: str) -> None:
        beginning, self.rest = PARTS[request]
        self.connection.send(beginning)

    @precondition(lambda self: self.connection.open and self.rest)
    @rule()
    def finish(self) -> None:
        self.connection.send(self.rest)
        self.rest = b""

    @precondition(lambda self: self.connection.open and self.odd)
    @rule(piece=st.sampled_from(sorted(ODD)))
    def send_no_http(self, piece: str) -> None:
        self.connection.send(ODD[piece])

    @precondition(lambda self: self.connection.open)
    @rule(size=st.sampled_from([1, MIN_PROGRESS_BYTES, LARGE]))
    def receive(self, size: int) -> None:
        taken = self.connection.read(size)
        self.read.append((self.loop.now, taken))

    @precondition(lambda self: self.connection.unanswered)
    @rule()
    def answer_shortly(self) -> None:
        self.answer(10, False)

    @precondition(lambda self: self.connection.unanswered)
    @rule(size=st.sampled_from([0, LARGE]), close=st.booleans())
    def answer(self, size: int, close: bool) -> None:
        headers = [CLOSE] if close else []
        self.connection.answer(self.connection.unanswered[0], size, *headers)

    @rule(seconds=st.sampled_from([0.4, 5.0, 9.0, 20.0, 29.0]))
    def wait(self, seconds: float) -> None:
        self.loop.advance(seconds)

    @precondition(lambda self: self.connection.open and self.ending)
    @rule(how=st.sampled_from(["shutdown", "end", "reset"]))
    def end(self, how: str) -> None:
        if how == "shutdown":
            self.connection.protocol.shutdown()
            self.loop.settle()
        else:
            getattr(self.connection, how)()

    @invariant()
    def one_timer_while_open_and_none_after(self) -> None:
        protocol, transport = self.connection.protocol, self.connection.transport
        timers = self.loop.timers()
        if transport.lost:
            assert not timers, "a timer keeps a connection that is gone"
            assert not self.admission.bytes_held, "so do its bytes"
            assert all(r.disconnected for r in self.connection.unanswered), "nobody told it"
        else:
            assert len(timers) == 1, f"nothing ends {protocol._timer.state}"
            held, unsent = self.admission.bytes_held, len(transport.unsent)
            interim = 16 * len(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert held + interim >= unsent, "memory that is not counted"
            assert bool(held) == bool(unsent)
        if not transport.lost and not transport.unsent and protocol._unanswered:
            assert protocol._timer.state is State.ANSWERING
            assert any(self.connection.unanswered), "nobody handles it"
        assert not any(task.done() and task.exception() for task in self.connection.state.tasks)

    def teardown(self) -> None:
        """Whatever has happened: answered and left alone, every connection ends."""
        for _ in range(100):
            if self.connection.open and self.connection.unanswered:
                self.answer(10, False)
        self.loop.advance(4 * LONGEST)
        assert not self.connection.open, f"held for ever in {self.connection.protocol._timer.state}"
        assert not self.loop.timers()
        assert not self.connection.state.connections
        assert not self.admission.bytes_held
        assert not asyncio.all_tasks(self.loop), "a request is handled for ever"
        self.loop.close()


TestConnectionMachine = ConnectionMachine.TestCase


TestConnectionMachine.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
