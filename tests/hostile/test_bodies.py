"""JSON and base64 that cost more than they hold, and answers that give back what was sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pybase64
import pytest

from face_service.errors import InvalidRequest
from face_service.routes import bodies
from face_service.routes.bodies import decode_base64, parse_embedding_request
from face_service.schemas import MAX_ERRORS, MAX_NAME, DetectOptions, explain
from tests import commands

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
def test_white_space_makes_no_string_of_every_word(tmp_path: Path) -> None:
    memory, seconds = map(float, commands.output(MEASURED, tmp_path).split())
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


@pytest.mark.parametrize("piece", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize(
    "text",
    [
        "AAA=AAAA",
        "AAA=AAA=",
        "AA==AA==",
        "AAA=A",
        "AAA==",
        "=",
        "====",
        "AAAA====",
        "AAAAA",
        "A=AA",
    ],
)
def test_padding_is_the_end_wherever_pieces_end(
    text: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BASE64_PIECE", piece)
    with pytest.raises(InvalidRequest, match="not valid base64"):
        decode_base64(text)
    for length in range(12):
        data = bytes(range(length))
        assert decode_base64(f"{pybase64.b64encode(data).decode()} ") == data


PEAK = """
import sys
from pathlib import Path
from face_service.errors import InvalidRequest
from face_service.routes.bodies import parse_embedding_request

def memory(name):
    return int(Path("/proc/self/status").read_text().split(name)[1].split()[0]) * 1024

parse_embedding_request(b'{"image_base64": "AAAA"}')
before, body = memory("VmRSS:"), Path(sys.argv[1]).read_bytes()
try:
    parse_embedding_request(body)
except InvalidRequest:
    pass
print((memory("VmHWM:") - before) / len(body))
"""
LONG = 16_000_000
LARGE: dict[str, Callable[[], bytes]] = {
    "base64": lambda: b'{"image_base64":"%s"}' % (b"A" * LONG),
    "data URL": lambda: b'{"image_base64":"data:image/png;base64,%s"}' % (b"A" * LONG),
    "spaces": lambda: b'{"image_base64":"%s"}' % (b"AAA " * (LONG // 4)),
    "lines": lambda: b'{"image_base64":"%s"}' % ((b"A" * 76 + b"\\n") * (LONG // 78)),
    "escape": lambda: b'{"image_base64":"\\u0041AAA%s"}' % (b"A" * LONG),
    "emoji": lambda: b'{"image_base64":"%s\xf0\x9f\x98\x80"}' % (b"A" * LONG),
    "an emoji's escape": lambda: b'{"image_base64":"%s\\ud83d\\ude00"}' % (b"A" * LONG),
    "name": lambda: b'{"%s":1}' % (b"A" * LONG),
    "value": lambda: b'{"max_faces":"%s"}' % (b"A" * LONG),
    "value of an unknown name": lambda: b'{"other":["%s"]}' % (b"A" * LONG),
    "without an end": lambda: b'{"image_base64":"%s' % (b"A" * LONG),
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read in /proc")
@pytest.mark.parametrize("kind", LARGE)
def test_a_body_of_json_takes_three_times_its_size_with_text_and_picture(
    kind: str, tmp_path: Path
) -> None:
    (tmp_path / "body").write_bytes(LARGE[kind]())
    assert float(commands.output(PEAK, tmp_path, tmp_path / "body")) < 3.05


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"[]", "Input should be an object", id="list"),
        pytest.param(b"{", "Invalid JSON: EOF while parsing", id="cut short"),
        pytest.param('{"größe": 1}'.encode(), "neither base64 nor an option", id="not ASCII"),
        pytest.param(b'{"image_base64": 1}', "valid string", id="number"),
        pytest.param(b'{"image_base64": "", "max_faces": 0}', "max_faces: .* 1", id="too few"),
    ],
)
def test_what_is_no_request_is_told_of(body: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        parse_embedding_request(body)


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
