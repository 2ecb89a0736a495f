"""The queue and the workers, whatever happens in whatever order: every request resolves once."""

from __future__ import annotations

import threading

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from face_service.observability.timing import StageTimes
from face_service.serving.batch import Batch
from face_service.serving.queue import Consumer, Prediction, QueueEntry, RequestQueue

from .engines import POISON, FakeEngine, entry, prepared


class QueueMachine(RuleBasedStateMachine):
    """Requests arrive, go away, expire, are computed run by run, fail, hang and come back to
    life, while workers are abandoned and the queue is closed at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = RequestQueue()
        self.consumer = Consumer()
        self.engine = FakeEngine(lambda faces: faces if faces != POISON else 0)
        self.admitted: list[QueueEntry] = []
        self.resolved: dict[int, int] = {}
        self.batches: list[Batch] = []
        self.dropped: list[QueueEntry] = []
        self.taken: list[QueueEntry] = []
        self.closed = False

    @rule(
        faces=st.lists(st.integers(0, 20) | st.just(POISON), min_size=1, max_size=4),
        allowance=st.sampled_from((0, 4)),
    )
    def arrive(self, faces: list[int], allowance: int) -> None:
        if self.closed:
            return
        one = QueueEntry([prepared(count) for count in faces], allowance)
        self.admitted.append(one)
        one.future.add_done_callback(
            lambda _: self.resolved.update({id(one): self.resolved.get(id(one), 0) + 1})
        )
        self.queue.append(one)

    @precondition(lambda self: self.admitted)
    @rule(data=st.data())
    def client_goes_or_deadline_passes(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.admitted))
        done, taken = one.future.done(), one in self.taken
        where = self.queue.cancel(one)
        if not done:
            assert where == ("computing" if taken else "waiting")
        self.dropped.append(one)

    @rule(images=st.integers(1, 8))
    def a_worker_looks_for_work(self, images: int) -> None:
        batch = self.queue.next_batch(images, self.consumer, wait=False)
        assert all(one not in self.dropped for one in batch), "cancelled work reached an engine"
        assert len(batch) <= 1 or sum(len(one.images) for one in batch) <= images
        assert len({one.allowance for one in batch}) <= 1
        order = [self.admitted.index(one) for one in self.taken + batch]
        assert order == sorted(order), "somebody was overtaken"
        self.taken += batch
        if batch:
            self.batches.append(Batch(self.engine, batch))

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def a_network_runs(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(self.batches))
        wanted = any(not one.abandoned and not one.future.done() for one in batch.entries)
        before = len(self.engine.runs)
        more = batch.advance()
        assert len(self.engine.runs) - before <= (1 if wanted else 0), "computed for nobody"
        if not more:
            self.batches.remove(batch)
            assert all(one.future.done() for one in batch.entries)
        self.consumer.forget_answered()

    @rule()
    def the_worker_is_abandoned(self) -> None:
        """Its batches may still be computed, and answer a second time."""
        for one in self.queue.close_consumer(self.consumer):
            one.fail(RuntimeError("the engine hung"))
        assert self.queue.next_batch(8, self.consumer, wait=True) == []
        self.consumer = Consumer()

    @rule()
    def drain(self) -> None:
        self.queue.close()
        self.closed = True

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        assert all(count == 1 for count in self.resolved.values())

    @invariant()
    def what_is_taken_and_not_answered_is_in_somebodys_hands(self) -> None:
        for one in self.taken:
            assert one.future.done() or one in self.consumer.entries

    def teardown(self) -> None:
        self.queue.close()
        while batch := self.queue.next_batch(8, self.consumer, wait=True):
            self.batches.append(Batch(self.engine, batch))
        for batch in self.batches:
            while batch.advance():
                pass
        assert all(one.future.done() for one in self.admitted), "somebody was forgotten"
        assert all(self.resolved[id(one)] == 1 for one in self.admitted)
        assert len(self.queue) == 0
        for one in self.admitted:
            if not one.future.cancelled() and not one.abandoned:
                self.check(one)

    def check(self, one: QueueEntry) -> None:
        """Each image has its own faces, or the failure that is its own."""
        for image, result in zip(one.images, one.future.result().results, strict=True):
            if isinstance(result, Exception):
                assert image.image == POISON or "hung" in str(result)
            else:
                assert [face.age for face in result.faces] == [image.image] * image.image


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_every_request_resolves_once_with_real_threads() -> None:
    queue, answered = RequestQueue(), []
    entries = [entry(n) for n in range(400)]
    for one in entries:
        one.future.add_done_callback(lambda future: answered.append(future.cancelled()))

    def work() -> None:
        consumer = Consumer()
        while batch := queue.next_batch(3, consumer, wait=True):
            for one in batch:
                one.resolve(Prediction([], StageTimes(), 0.0))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number, one in enumerate(entries):
        queue.append(one)
        if number % 3 == 0:
            queue.cancel(one)
    queue.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(answered) == len(entries)
    assert all(one.future.done() for one in entries)


def test_requests_of_which_nothing_is_computed_yet_are_counted() -> None:
    queue = RequestQueue()
    for one in (entry(1), entry(2, allowance=0), entry(3)):
        queue.append(one)
    assert (len(queue), queue.requests) == (3, 2)
