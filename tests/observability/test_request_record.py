"""The level of a request's log line."""

from __future__ import annotations

import logging

import pytest

from face_service.observability.request_record import CLIENT_GONE, RequestRecord


@pytest.mark.parametrize(
    ("endpoint", "status", "level"),
    [
        ("/health", 200, "DEBUG"),
        ("/health", 503, "INFO"),
        ("/metrics", 500, "ERROR"),
        ("/detect", 200, "INFO"),
        ("/detect", 400, "INFO"),
        ("/detect", CLIENT_GONE, "INFO"),
        ("/detect", 500, "ERROR"),
        ("/detect", 503, "WARNING"),
        ("/detect", 504, "WARNING"),
    ],
)
def test_the_level_says_whether_somebody_should_look(
    endpoint: str, status: int, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "face_service.request")
    record = RequestRecord("id", "GET")
    record.end(endpoint, status)
    record.log()
    assert [line.levelname for line in caplog.records] == [level]
