"""The handler that writes the log: never held up, never silent about what it leaves out."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import termios
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from face_service.observability.log_handler import (
    MAX_KINDS,
    MAX_PER_SECOND,
    MAX_QUEUED,
    RateLimitedLogHandler,
)
from face_service.observability.logs import formatter


class Heard:
    """What was written to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT)

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    return Heard(tmp_path / "log")


def handler_on(file: int) -> RateLimitedLogHandler:
    made = RateLimitedLogHandler(file)
    made.setFormatter(formatter("console"))
    return made


@pytest.fixture
def handler(heard: Heard) -> Iterator[RateLimitedLogHandler]:
    made = handler_on(heard.file)
    yield made
    made.close()
    with suppress(OSError):
        os.close(heard.file)


def say(
    handler: RateLimitedLogHandler, words: str, name: str = "face_service.test", **extra: object
) -> None:
    record = logging.LogRecord(name, logging.INFO, "", 0, words, (), None)
    vars(record).update(extra)
    handler.handle(record)


def test_lines_come_in_order_and_are_all_there_at_the_end(
    handler: RateLimitedLogHandler, heard: Heard
) -> None:
    for n in range(2000):
        say(handler, f"line {n}")
    handler.close()
    assert [line.rpartition(" ")[2] for line in heard.lines()] == [str(n) for n in range(2000)]


def test_of_one_kind_ten_lines_a_second_and_a_count(
    handler: RateLimitedLogHandler, heard: Heard
) -> None:
    for n in range(500):
        say(handler, "Refused", fields={"n": n}, kind={"endpoint": "/detect", "status": 429})
        say(handler, "Refused", fields={"n": n}, kind={"endpoint": "/detect", "status": 401})
        say(handler, f"Detected {n} faces")
    handler.close()
    lines = heard.lines()
    assert sum("Detected" in line for line in lines) == 500, "what an engine worked for"
    assert sum(" - INFO - Refused n=" in line for line in lines) == 2 * MAX_PER_SECOND
    more = [line.partition(" - INFO - ")[2] for line in lines if " more: " in line]
    assert more == [
        f"{500 - MAX_PER_SECOND} more: Refused endpoint=/detect status=429",
        f"{500 - MAX_PER_SECOND} more: Refused endpoint=/detect status=401",
    ]


def test_a_second_later_they_are_written_again(
    handler: RateLimitedLogHandler, heard: Heard
) -> None:
    for _ in range(30):
        say(handler, "Refused", kind={})
    wait_for(lambda: any("20 more: Refused" in line for line in heard.lines()))
    say(handler, "Refused", kind={})
    handler.close()
    assert sum(line.endswith(" - Refused") for line in heard.lines()) == MAX_PER_SECOND + 1


def test_other_packages_are_kept_short_as_well(
    handler: RateLimitedLogHandler, heard: Heard
) -> None:
    for _ in range(100):
        say(handler, "Unsupported upgrade request.", name="uvicorn.error")
    handler.close()
    assert len(heard.lines()) == MAX_PER_SECOND + 1
    assert "90 more: Unsupported upgrade request." in heard.lines()[-1]


def test_counts_are_exact_from_many_threads(handler: RateLimitedLogHandler, heard: Heard) -> None:
    def flood() -> None:
        for _ in range(2000):
            say(handler, "Refused", kind={})

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.close()
    told = sum(line.endswith(" - Refused") for line in heard.lines())
    left_out = sum(int(n) for n in re.findall(r"(\d+) more: Refused", "\n".join(heard.lines())))
    assert told + left_out == 8000


def test_a_reader_that_has_stopped_holds_nobody_up() -> None:
    reading, writing = os.pipe()
    text: list[str] = []
    handler = handler_on(writing)
    for n in range(3000):  # more than fits into the pipe
        say(handler, f"line {n}")
    wait_for(lambda: waiting_in(reading) > 60_000)  # and the handler is held up
    for n in range(3000, MAX_QUEUED + 5000):  # more than fits into the queue as well
        say(handler, f"line {n}")
    with os.fdopen(reading) as reader:
        read = threading.Thread(target=lambda: text.append(reader.read()))
        read.start()
        wait_for(lambda: handler._lines.empty())
        say(handler, "it is read again")
        handler.close()
        os.close(writing)
        read.join()
    numbers = [int(n) for n in re.findall(r" line (\d+)\n", text[0])]
    assert numbers == list(range(len(numbers))), "the oldest are kept, in order"
    (lost,) = re.findall(r"(\d+) lines of the log are lost", text[0])
    assert len(numbers) + int(lost) == MAX_QUEUED + 5000
    assert "it is read again" in text[0]


def test_a_file_that_is_closed_ends_nothing(heard: Heard, handler: RateLimitedLogHandler) -> None:
    os.close(heard.file)
    say(handler, "to nobody")
    handler.close()
    assert not handler._thread.is_alive()


def test_a_line_is_written_whatever_its_letters(
    heard: Heard, handler: RateLimitedLogHandler
) -> None:
    say(handler, "naïve 顔")
    handler.close()
    assert heard.path.read_bytes().endswith(" - naïve 顔\n".encode())


def waiting_in(pipe: int) -> int:
    """Bytes that nobody has read yet."""
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def wait_for(condition: Callable[[], bool], timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("message", [{"a": 1}, ["a"], 1], ids=repr)
def test_whatever_another_package_logs_is_a_line(heard: Heard, message: object) -> None:
    handler = handler_on(heard.file)
    handler.emit(logging.LogRecord("other", logging.WARNING, __file__, 0, message, (), None))
    handler.close()
    assert str(message) in heard.lines()[0]


def test_kinds_are_not_collected_while_nobody_reads() -> None:
    """Lines of other packages are kinds of their own by their text, which may be of any number."""
    reading, writing = os.pipe()
    handler = handler_on(writing)
    for n in range(3 * MAX_KINDS):
        for _ in range(2):
            say(handler, f"of kind {n}", name="another.package")
    wait_for(lambda: waiting_in(reading) > 60_000)  # and the handler is held up
    for n in range(10 * MAX_KINDS):
        say(handler, f"of late kind {n}", name="another.package")
    assert len(handler._seen) <= MAX_KINDS
    assert len(handler._left_out) <= MAX_KINDS
    os.close(reading)
    handler.close()
    os.close(writing)
