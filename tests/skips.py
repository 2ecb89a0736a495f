"""In CI a test does not skip for a program that .ci/run installs; elsewhere it may."""

from __future__ import annotations

import os
import re
from collections.abc import Generator

import pytest

INSTALLED_IN_CI = re.compile(r"is not installed|Debian('s)? packages?\b")
"""What is said where such a program is missing: it names Debian's package."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true, which every CI sets: such a skip is a failure."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = str(call.excinfo and call.excinfo.value)
        if INSTALLED_IN_CI.search(reason):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI, which has what is missing: {reason}"
    return report
