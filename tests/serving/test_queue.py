"""The line, whatever happens in whatever order: every request resolves exactly once."""

from __future__ import annotations

import threading

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from face_service.serving.queue import Line, Work
from face_service.stages import StageTimes


class LineMachine(RuleBasedStateMachine):
    """Requests arrive, go away, expire, are computed, fail, hang and come back to life, while
    the line is closed at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line()
        self.admitted: list[Work] = []
        self.resolved: dict[int, int] = {}
        self.turns: list[list[Work]] = []
        self.dropped: list[Work] = []
        self.taken: list[Work] = []
        self.closed = False

    @rule(images=st.integers(1, 4))
    def arrive(self, images: int) -> None:
        work = Work([object()] * images, StageTimes())
        self.admitted.append(work)
        work.future.add_done_callback(
            lambda _: self.resolved.update({id(work): self.resolved.get(id(work), 0) + 1})
        )
        self.line.put(work)

    @rule(data=st.data(), leave_the_line=st.booleans())
    def client_goes_or_deadline_passes(self, data: st.DataObject, leave_the_line: bool) -> None:
        if not self.admitted:
            return
        work = data.draw(st.sampled_from(self.admitted))
        before_dispatch = work.future.cancel()
        if before_dispatch and work not in self.dropped:
            self.dropped.append(work)
        if leave_the_line:
            assert not (self.line.drop(work) and work in self.taken)

    @precondition(lambda self: len(self.line) or self.closed)
    @rule(images=st.integers(1, 8))
    def a_lane_takes_a_turn(self, images: int) -> None:
        if not self.closed and all(work in self.dropped for work in self.line._waiting):
            return  # it would wait, rightly
        turn = self.line.take(images)
        assert all(work not in self.dropped for work in turn), "cancelled work reached an engine"
        assert len(turn) == 1 or sum(len(work.jobs) for work in turn) <= images
        order = [self.admitted.index(work) for work in self.taken + turn]
        assert order == sorted(order), "somebody was overtaken"
        self.taken += turn
        if turn:
            self.turns.append(turn)

    @precondition(lambda self: self.turns)
    @rule(data=st.data(), fails=st.booleans(), stays=st.booleans())
    def a_turn_ends(self, data: st.DataObject, fails: bool, stays: bool) -> None:
        """`stays`: the engine was given up and answers a second time, later."""
        turn = data.draw(st.sampled_from(self.turns))
        for work in turn:
            if fails:
                work.fail(RuntimeError("the engine failed"))
            else:
                work.resolve([[] for _ in work.jobs])
        if not stays:
            self.turns.remove(turn)

    @rule()
    def drain(self) -> None:
        self.line.close()
        self.closed = True

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        assert all(count == 1 for count in self.resolved.values())

    def teardown(self) -> None:
        self.line.close()
        while turn := self.line.take(8):
            self.turns.append(turn)
        for turn in self.turns:
            for work in turn:
                work.resolve([[] for _ in work.jobs])
        assert all(work.future.done() for work in self.admitted), "somebody was forgotten"
        assert all(self.resolved[id(work)] == 1 for work in self.admitted)
        assert len(self.line) == 0


TestLine = LineMachine.TestCase
TestLine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_every_request_resolves_once_with_real_threads() -> None:
    line, answered = Line(), []
    works = [Work([object()], StageTimes()) for _ in range(400)]
    for work in works:
        work.future.add_done_callback(lambda future: answered.append(future.cancelled()))

    def lane() -> None:
        while turn := line.take(3):
            for work in turn:
                work.resolve([[]])

    threads = [threading.Thread(target=lane) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number, work in enumerate(works):
        line.put(work)
        if number % 3 == 0:
            work.future.cancel()
            line.drop(work)
    line.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(answered) == len(works)
    assert all(work.future.done() for work in works)
