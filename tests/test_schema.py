"""Every endpoint, with requests made from the OpenAPI document: no 5xx, and what it promises."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from tests.server import Server


@pytest.fixture(scope="session")
def api(server: Server) -> object:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_made_from_the_schema_breaks_it(case: Case) -> None:
    case.call_and_validate()
