"""Small things that tests of a running server want."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.server import Server

CONSOLE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - [\w.]+ - (DEBUG|INFO|WARNING|ERROR) - .+")
"""A line of the log in its console format."""


def settled(condition: Callable[[], bool], timeout: float = 30) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def metric(server: Server, name: str, **labels: str) -> float:
    """A sample of /metrics, 0 where it is not there."""
    text = server.client.get("/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def entries(text: str) -> list[dict[str, Any]]:
    """The lines of a JSON log; a line that is no object is a failure."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(entry, dict) for entry in found)
    return found
