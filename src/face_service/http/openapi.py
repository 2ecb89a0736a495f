"""The OpenAPI document: FastAPI's, with examples, API keys and response headers.

Examples are real responses, recorded in `examples.json` by `python -m tests.examples`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

EXAMPLES = Path(__file__).with_name("examples.json")

TAGS = [
    {"name": "faces", "description": "An image in, every face out."},
    {"name": "health", "description": "For orchestrators and for people. No key is needed."},
    {"name": "models", "description": "What computes, and what it may be used for."},
    {"name": "metrics", "description": "For Prometheus."},
]
KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
UNAUTHORIZED = {
    "description": "API keys are configured, and the request has none of them",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}},
}
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
SERVER_TIMING = {
    "Server-Timing": {
        "description": "Milliseconds of each stage: `decode;dur=3.10, queue;dur=0.05, …`",
        "schema": {"type": "string"},
    }
}


class DocumentedApp(FastAPI):
    """FastAPI with a completed OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once and cached."""
        if self.openapi_schema is None:
            document = super().openapi()
            self.openapi_schema = None  # not before it is complete
            complete(document, json.loads(EXAMPLES.read_text()))
            self.openapi_schema = document
        return self.openapi_schema


def operation_id(route: APIRoute) -> str:
    """The name of a handler, which is the method's name in generated clients."""
    return route.name


def complete(document: dict[str, Any], examples: dict[str, Any]) -> None:
    """Add summaries, security schemes, 401 responses, headers and examples to a document.

    `examples`: the content of EXAMPLES.
    """
    document["components"]["securitySchemes"] = KEYS
    for path, item in document["paths"].items():
        for method, operation in item.items():
            # The first line of a handler's docstring.
            operation["summary"] = operation["description"].partition("\n")[0].rstrip(".")
            if not path.startswith("/health"):
                operation["security"] = [{}, *({name: []} for name in KEYS)]
                operation["responses"]["401"] = UNAUTHORIZED
            answers = examples["answers"].get(f"{method.upper()} {path}", {})
            for status, response in operation["responses"].items():
                add_headers(response, status, "faces" in operation["tags"])
                add_examples(response, answers.get(status) or examples["errors"].get(status))


def add_headers(response: dict[str, Any], status: str, timed: bool) -> None:
    """Add Retry-After to 429 and 503, and Server-Timing to a 200 that is `timed`."""
    if status in ("429", "503"):
        response["headers"] = RETRY_AFTER
    elif status == "200" and timed:
        response["headers"] = SERVER_TIMING


def add_examples(response: dict[str, Any], examples: dict[str, Any] | None) -> None:
    """Add examples, by their summaries, to a response."""
    for content in response.get("content", {}).values():
        if examples:
            content["examples"] = {
                summary: {"summary": summary, "value": value} for summary, value in examples.items()
            }
