"""Every endpoint, with requests made from the OpenAPI document: no 5xx, and what it promises."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import positive_data_acceptance

from tests.server import Server

ENDPOINTS = (
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "POST /detect",
    "POST /detect/batch",
    "POST /compare",
    "POST /extract-embedding",
    "POST /embed",
    "POST /group",
    "GET /models",
    "GET /metrics",
)


@pytest.fixture(scope="module")
def operations(server: Server) -> dict[str, schemathesis.Schema]:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.label: operation for operation in found}


def test_every_endpoint_is_tried(operations: dict[str, object]) -> None:
    assert set(operations) == set(ENDPOINTS)


@pytest.mark.parametrize("label", ENDPOINTS)
def test_no_request_made_from_the_schema_breaks_it(
    operations: dict[str, schemathesis.Schema], label: str
) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operations[label].as_strategy())
    def holds(case: schemathesis.Case) -> None:
        # No schema says which bytes are a picture: a 400 for those that are none is right.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    holds()
