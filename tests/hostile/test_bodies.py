"""JSON and base64 that cost more than they hold, and answers that give back what was sent."""

from __future__ import annotations

import json
import subprocess
import sys

import pybase64
import pytest

from face_service.errors import InvalidRequest
from face_service.routes.bodies import decode_base64, parse_embedding_request
from face_service.schemas import MAX_ERRORS, MAX_NAME, DetectOptions, explain

MEASURED = """
import time
from pathlib import Path
from face_service.routes.bodies import decode_base64

text = "AA AA AA AA\\n" * 1_000_000

def memory(name):
    return int(Path("/proc/self/status").read_text().split(name)[1].split()[0]) / 1e3

before, started = memory("VmRSS:"), time.perf_counter()
decode_base64(text)
print(memory("VmHWM:") - before, time.perf_counter() - started)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read in /proc")
def test_white_space_makes_no_string_of_every_word() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True)
    memory, seconds = map(float, done.stdout.split())
    assert memory < 3 * 12, "three times the 12 MB of the text"
    assert seconds < 5


@pytest.mark.parametrize("space", [" ", "\n", "\r\n", "\t", "\v", "\f", " \n "])
def test_base64_may_be_broken_anywhere(space: str) -> None:
    text = space.join(pybase64.b64encode(b"some bytes").decode())
    assert decode_base64(f"{space}{text}{space}") == b"some bytes"


@pytest.mark.parametrize("text", ["AA\x00A", "é", "A", "AAA=A", "AA\N{NO-BREAK SPACE}AA"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="not valid base64"):
        decode_base64(text)


def refusal(body: object) -> str:
    with pytest.raises(InvalidRequest) as told:
        parse_embedding_request(json.dumps(body).encode())
    return str(told.value)


def test_a_name_does_not_come_back_whole() -> None:
    said = refusal({"image_base64": "", "n" * 32_000_000: 1})
    assert said == f"{'n' * MAX_NAME}: is not a known option"


def test_of_many_errors_some_are_told() -> None:
    said = refusal({"image_base64": "", **{f"name{n}": 1 for n in range(50)}})
    assert said.count("is not a known option") == MAX_ERRORS
    assert said.endswith("; and 40 more")


def test_options_of_a_query_are_told_of_in_the_same_way() -> None:
    with pytest.raises(ValueError, match="extra") as told:
        DetectOptions.model_validate({f"name{n}": 1 for n in range(5000)})
    assert len(explain(told.value.errors())) < 500  # type: ignore[attr-defined]


def test_a_value_does_not_come_back_at_all() -> None:
    assert "vvvv" not in refusal({"image_base64": "", "max_faces": "v" * 1000})


def test_of_a_json_body_only_the_image_is_kept() -> None:
    body = json.dumps({"image_base64": "AAAA", "max_faces": 3}).encode()
    assert parse_embedding_request(body) == ({"max_faces": 3}, bytes(3))
