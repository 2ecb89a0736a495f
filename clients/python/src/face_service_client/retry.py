"""When a request is sent again: how often, after which pause, until when."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import httpx

from .calls import Call
from .errors import ConnectionFailed, FaceServiceError, TimedOut, UnexpectedAnswer, error_type
from .wire import Answer

T = TypeVar("T")
E = TypeVar("E", bound=FaceServiceError)

TEMPORARY = frozenset({429, 500, 502, 503, 504})
"""HTTP statuses after which another attempt may succeed. A proxy answers 502 where its connection
to the service broke."""
LEAST_PAUSE_S = 0.1
"""Between two attempts at a service that is away."""
ADDRESS = re.compile(r"https?://[^/]", re.IGNORECASE)
SENDABLE = re.compile(r"[!-~]([ -~]*[!-~])?")
"""What a header can carry of a key or an id: printable ASCII, no space at either end."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a request is sent, and how long the pauses between are.

    attempts: at most so many, 1 and more; with 1 a request is never sent again. Attempts at which
    the service is away (see `is_away`) do not count: it is waited for until the deadline. The pause
    after the n-th is any between 0 and min(cap, base * 2 ** (n - 1)) seconds with equal chance
    ("full jitter": callers who were refused together do not come back together), added to what
    Retry-After asks for. Raises ValueError for attempts below 1.
    """

    attempts: int = 5
    base: float = 0.25
    cap: float = 8.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("Retry.attempts counts the first one: it is at least 1")

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the `attempt`-th, counted from 1."""
        return random.uniform(0, min(self.cap, self.base * 2 ** (attempt - 1)))  # noqa: S311


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of every call of a client; see Client.

    Raises ValueError for a base_url that is no http(s) address, and for an api_key that no header
    can carry.
    """

    base_url: str
    api_key: str | None
    timeout: float
    deadline: float
    retry: Retry

    def __post_init__(self) -> None:
        if not ADDRESS.match(self.base_url):
            raise ValueError(f"base_url begins with http:// or https://, not {self.base_url!r}")
        if self.api_key and not SENDABLE.fullmatch(self.api_key):  # a secret, not to be shown
            raise ValueError("api_key holds what no header can carry, a line break perhaps")


class Attempts(Generic[T]):
    """One call, however often it is sent: decides whether and when; a client sends and waits.

    While not `done`: wait `pause` seconds, send `request()`, and report what came of it by
    `answered` or `broke`, which raise the error of a call that has failed. Once `done`, there is a
    `result`. Raises ValueError for a request_id that no header can carry.
    """

    result: T

    def __init__(self, call: Call[T], config: Config, request_id: str) -> None:
        if not SENDABLE.fullmatch(request_id):
            raise ValueError(f"request_id is something that no header can carry: {request_id!r}")
        self.call = call
        self.config = config
        self.request_id = request_id
        self.done = False
        self.pause = 0.0
        self._sent = 0
        self._counted = 0
        self._end = time.monotonic() + config.deadline

    @property
    def left(self) -> float:
        """Seconds until the deadline, 0 after it."""
        return max(self._end - time.monotonic(), 0)

    def request(self) -> dict[str, Any]:
        """The next attempt, as httpx's `build_request` takes it; without the body.

        Raises TimedOut once the deadline has passed.
        """
        if not (left := self.left):
            raise self.expired()
        self._sent += 1
        headers = {"X-Request-ID": self.request_id}
        if self.config.api_key:
            headers["Authorization"] = f"Bearer {self.config.api_key}"
        if body := self.call.body:
            headers["Content-Type"] = body.content_type
            if (length := body.length) is not None:
                headers["Content-Length"] = str(length)
        # Waiting for a connection of the pool is no sign of trouble: it may take what is left.
        timeout = httpx.Timeout(bounded(min(self.config.timeout, left)), pool=bounded(left))
        return {
            "method": self.call.method,
            "url": self.config.base_url.rstrip("/") + self.call.path,
            "params": self.call.query,
            "headers": headers,
            "timeout": timeout,
        }

    def within(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces. Raises TimedOut at the first of them that comes after the deadline."""
        for piece in pieces:
            if not self.left:
                raise self.expired()
            yield piece

    def expired(self) -> TimedOut:
        """The error of a call whose deadline passed in the middle of an attempt."""
        return self._error(TimedOut, f"There was no answer within {self.config.deadline:g} s")

    def answered(self, answer: Answer) -> None:
        """Take an answer: set `result`, or `pause` for another attempt. Raises its error where
        there is to be none, UnexpectedAnswer where the service did not write it."""
        if answer.status in self.call.accepted:
            self.result, self.done = self._parse(answer), True
            return
        error = self._error_of(answer)
        if answer.status not in TEMPORARY:
            raise error
        self._again(error, retry_after(answer.headers))

    def broke(self, cause: httpx.RequestError) -> None:
        """Take an attempt without an answer: set `pause` for another one. Raises NoAnswer where
        there is to be none."""
        kind = TimedOut if isinstance(cause, httpx.TimeoutException) else ConnectionFailed
        error = self._error(kind, f"{self.config.base_url}: {cause or type(cause).__name__}")
        error.__cause__ = cause
        self._again(error)

    def _again(self, error: FaceServiceError, asked: float = 0) -> None:
        """Set `pause`, or raise the error, with a note why this was the last attempt."""
        away = is_away(error)
        self._counted += not away
        jitter = self.config.retry.pause(self._sent)
        self.pause = asked + (max(jitter, LEAST_PAUSE_S) if away else jitter)
        if not self.call.retried or max(self._counted, 1) >= self.config.retry.attempts:
            raise error
        if self.call.body and self.call.body.spent:
            error.note = "not again, since its image can be read only once"
            raise error
        if self.pause >= self.left:
            error.note = f"not again, since the deadline of {self.config.deadline:g} s is too near"
            raise error

    def _parse(self, answer: Answer) -> T:
        try:
            return self.call.parse(answer)
        except (ValueError, KeyError, TypeError) as cause:
            raise self._strange(answer) from cause

    def _error_of(self, answer: Answer) -> FaceServiceError:
        """The error an answer means."""
        try:
            raw = answer.json()
            detail, code, request_id = str(raw["detail"]), str(raw["code"]), str(raw["request_id"])
        except (ValueError, KeyError, TypeError):
            if answer.status not in TEMPORARY:
                return self._strange(answer)
            # A proxy before the service answers these with a body of its own.
            detail, code = HTTPStatus(answer.status).phrase, f"http_{answer.status}"
            request_id = self.request_id
        kind = error_type(answer.status, code)
        return kind(detail, answer.status, code, request_id, self._sent)

    def _strange(self, answer: Answer) -> UnexpectedAnswer:
        start = answer.body[:80].decode("utf-8", "replace")
        detail = f"{self.config.base_url} gives an answer that is not the face service's: {start!r}"
        return self._error(UnexpectedAnswer, detail, answer.status, "unexpected_answer")

    def _error(
        self, kind: type[E], detail: str, status: int | None = None, code: str = "no_answer"
    ) -> E:
        return kind(detail, status, code, self.request_id, self._sent)


def is_away(error: FaceServiceError) -> bool:
    """Whether no connection can be made, or the answer says that the service does not serve now: it
    starts, ends, or is replaced. Such an error is not one of the request."""
    if error.status is None:
        return isinstance(error.__cause__, (httpx.ConnectError, httpx.ConnectTimeout))
    return error.status == 502 or (error.status == 503 and error.code != "out_of_memory")


def bounded(seconds: float) -> float | None:
    """A timeout as httpx takes it: None for infinity."""
    return None if math.isinf(seconds) else seconds


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds a Retry-After header asks for, written as such or as a date; 0 without a valid one.

    A date is held against the answer's own Date: the two clocks need not agree.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max((until - now).total_seconds(), 0)
    except (ValueError, TypeError):
        return 0
