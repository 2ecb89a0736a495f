"""The clock of stalls: what counts as time without progress, and what does not."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from face_service.runtime.threads import ThreadUsage, thread_usage
from face_service.serving import stall_clock
from face_service.serving.stall_clock import StallClock

LOOK_S = 0.25


class Looks:
    """Looks at a clock every LOOK_S, at a thread that does what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.usage: ThreadUsage | None = None
        monkeypatch.setattr(stall_clock.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(stall_clock, "thread_usage", lambda _: self.usage)
        self.clock = StallClock()

    def for_seconds(self, seconds: float, runnable: bool, share: float) -> float:
        """Whether the thread could run, and the share of a processor that it got."""
        for _ in range(int(seconds / LOOK_S)):
            used = self.usage.cpu_seconds if self.usage else 0.0
            self.now += LOOK_S
            self.usage = ThreadUsage(runnable, used + LOOK_S * share)
            stalled = self.clock.look("a run", 1)
        return stalled


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


def test_a_process_that_was_stopped_has_not_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(stall_clock.time, "monotonic", lambda: now)
    clock = StallClock()
    assert clock.look("a run") == 0
    now += 3600  # SIGSTOP, a frozen cgroup, a migration
    assert clock.look("a run") <= 1
    for _ in range(80):
        now += 0.25
        stalled = clock.look("a run")
    assert stalled >= 20, "one that hangs is found all the same"
    assert clock.look("the next") == 0
    now += 0.25
    assert clock.look(None) == 0, "nothing to do"


@pytest.mark.parametrize(
    ("runnable", "share", "stalled"),
    [
        pytest.param(True, 1.0, 60, id="it computes"),
        pytest.param(True, 0.05, 3, id="it waits for a processor"),
        pytest.param(True, 0.0, 0, id="it never gets one"),
        pytest.param(False, 0.0, 60, id="it waits for a lock"),
        pytest.param(False, 0.05, 60, id="it asks a device again and again"),
    ],
)
def test_time_in_which_a_thread_is_not_let_run_does_not_count(
    looks: Looks, runnable: bool, share: float, stalled: float
) -> None:
    looks.for_seconds(LOOK_S, True, 0.0)
    assert looks.for_seconds(60, runnable, share) == pytest.approx(stalled, abs=0.5)


def test_one_that_blocks_after_it_waited_is_found_in_time(looks: Looks) -> None:
    waited = looks.for_seconds(60, True, 0.01)
    assert looks.for_seconds(20, False, 0.0) - waited == pytest.approx(20)


def test_where_the_system_says_nothing_all_time_counts(looks: Looks) -> None:
    for _ in range(81):
        looks.now += LOOK_S
        stalled = looks.clock.look("a run", 1)
    assert stalled == pytest.approx(20)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says what a thread does")
def test_what_linux_says_of_a_thread() -> None:
    stop, begun = threading.Event(), threading.Event()

    def compute_then_wait() -> None:
        while time.thread_time() < 0.05:
            pass
        begun.set()
        stop.wait(60)

    thread = threading.Thread(target=compute_then_wait, name="a name) R (")
    thread.start()
    assert begun.wait(60)
    time.sleep(0.05)
    assert thread.native_id
    usage = thread_usage(thread.native_id)
    assert usage is not None
    assert not usage.runnable
    assert 0.04 <= usage.cpu_seconds < 10
    own = thread_usage(threading.get_native_id())
    assert own is not None
    assert own.runnable
    stop.set()
    thread.join()
    assert thread_usage(2**22 + 1) is None, "there is no such thread"
