"""Threads that the system does not allow."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from face_service.serving.threads import LEAST_THREADS, can_start_threads

FEW = """
import os, resource, sys
from face_service.main import main

resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
if os.getuid() == 0:  # who has no such limit
    os.setuid(54_321)
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_NPROC counts threads on Linux")
def test_a_system_that_allows_few_threads_is_one_sentence() -> None:
    done = subprocess.run([sys.executable, "-c", FEW], capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(
        f"The service cannot start: the system allows it fewer than {LEAST_THREADS} threads"
    )


def test_no_thread_is_left_of_those_that_were_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    assert can_start_threads(LEAST_THREADS)
    assert threading.active_count() == before
    start, left = threading.Thread.start, iter(range(3))

    def start_few(thread: threading.Thread) -> None:
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_few)
    assert not can_start_threads(LEAST_THREADS)
    assert threading.active_count() == before
