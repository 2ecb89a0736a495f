"""The OpenAPI document: accepted, complete, and its examples are what the service says."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from face_service.app import create_app
from face_service.config import Settings
from face_service.errors import InvalidImage
from face_service.http import openapi as documentation
from face_service.http.openapi import EXAMPLES
from face_service.packs.pack import Pack
from face_service.vision.image import decode
from tests.examples import answers
from tests.openapi import ACCEPTED, as_text, document
from tests.server import Server

RECORDED: dict[str, Any] = json.loads(EXAMPLES.read_text())
CHANGING = {"processing_time_ms", "request_id", "uptime_seconds"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


@pytest.fixture(scope="module")
def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in described["paths"].items()
        for method, operation in item.items()
    }


def test_a_document_that_could_not_be_completed_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = create_app(Settings(_env_file=None))
    with monkeypatch.context() as patch:
        patch.setattr(documentation, "EXAMPLES", Path("gone"))
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                app.openapi()
    assert as_text(app.openapi()) == as_text(document())


def test_a_change_of_the_document_was_accepted(described: dict[str, Any]) -> None:
    accepted, now = ACCEPTED.read_text(), as_text(described)
    diff = difflib.unified_diff(accepted.splitlines(), now.splitlines(), "accepted", "now", n=2)
    assert accepted == now, (
        "the OpenAPI document has changed; if that is meant: python -m tests.openapi\n"
        + "\n".join(list(diff)[:60])
    )


def test_the_server_serves_that_document(server: Server, described: dict[str, Any]) -> None:
    assert server.client.get("/openapi.json").json() == described


def test_every_operation_says_what_it_does_and_shows_every_answer(
    operations: dict[str, dict[str, Any]],
) -> None:
    for name, operation in operations.items():
        assert len(operation["description"]) > 20, name
        summary, stop, _ = operation["description"].partition("\n")[0].rpartition(".")
        assert (operation["summary"], stop) == (summary, "."), name
        for status, response in operation["responses"].items():
            if status != "default":
                (content,) = response["content"].values()
                assert content.get("examples"), (name, status)
            assert len(response["description"]) > 8, (name, status)


def test_every_operation_that_takes_images_lists_every_error(
    operations: dict[str, dict[str, Any]],
) -> None:
    for name, operation in operations.items():
        errors = {status for status in operation["responses"] if status not in ("200", "default")}
        if name.startswith("POST"):
            assert errors == set(RECORDED["errors"]), name
        elif name.startswith("GET /health"):
            assert "401" not in errors, name
        else:
            assert errors == {"401"}, name


def test_operations_have_names_for_clients(operations: dict[str, dict[str, Any]]) -> None:
    names = [operation["operationId"] for operation in operations.values()]
    assert "detect" in names
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_every_example_is_what_its_endpoint_promises(
    described: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    checked = 0
    for name, operation in operations.items():
        for status, response in operation["responses"].items():
            for content in response["content"].values():
                # Components beside the reference: where it leads inside this one schema.
                schema = content["schema"] | {"components": described["components"]}
                for words, example in content.get("examples", {}).items():
                    problem = jsonschema_rs.evaluate(schema, example["value"]).errors()
                    assert not problem, (name, status, words)
                    checked += 1
    assert checked > 40


def test_the_example_of_an_error_is_one(described: dict[str, Any]) -> None:
    with pytest.raises(InvalidImage) as raised:
        decode(b"just text", 1)
    properties = described["components"]["schemas"]["ErrorResponse"]["properties"]
    examples = {
        name: value["examples"] for name, value in properties.items() if "examples" in value
    }
    assert examples == {name: [value] for name, value in raised.value.fields().items()}


def test_the_service_still_answers_as_the_examples_say(
    start_server: Callable[..., Server], starter: Pack, tmp_path: Path
) -> None:
    server = start_server(INSIGHTFACE_MODEL=starter.name)
    server.wait_until_ready()
    for operation, by_status in answers(server.client, tmp_path).items():
        if operation == "GET /metrics":  # numbers, and in no order that is promised
            continue
        for status, examples in by_status.items():
            recorded = RECORDED["answers"][operation][status]
            assert list(examples) == list(recorded), operation
            for words, answer in examples.items():
                assert_alike(answer, recorded[words], f"{operation} {words}")


def assert_alike(answer: Any, recorded: Any, where: str) -> None:
    """Equal but for times, ids, and the digits in which processors differ."""
    if " processor " in where:  # of the machine that it runs on
        assert isinstance(answer, type(recorded)), where
    elif isinstance(recorded, dict):
        assert set(answer) == set(recorded), where
        for name in set(recorded) - CHANGING:
            assert_alike(answer[name], recorded[name], f"{where} {name}")
    elif isinstance(recorded, list):
        assert len(answer) == len(recorded), where
        for index, item in enumerate(recorded):
            assert_alike(answer[index], item, f"{where} {index}")
    elif isinstance(recorded, float):
        assert answer == pytest.approx(recorded, rel=0.05, abs=0.02), where
    elif "embedding_format=base64" in where and where.endswith("embedding"):
        assert len(answer) == len(recorded), where
    elif " placement " in where:  # nodes: fewer where a network is a saved one
        assert answer > 0, where
    else:
        assert answer == recorded, where
