"""Small ONNX files, archives of them, and an HTTP server that can be told to misbehave."""

from __future__ import annotations

import hashlib
import io
import random
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from face_service.packs import download
from face_service.packs.entries import CatalogFile, CatalogPack, HttpsArchive, Role
from face_service.thresholds import Threshold
from face_service.vision.blob import SCRFD_NORMALIZATION

Shape = Sequence[int | str | None]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def pb(number: int, content: bytes | str | int) -> bytes:
    """One Protocol Buffers field: a number as varint, anything else with its length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content % 2**64)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, shape: Shape) -> bytes:
    """A ValueInfoProto of float32."""
    axes = b"".join(
        pb(1, b"" if axis is None else pb(2, axis) if isinstance(axis, str) else pb(1, axis))
        for axis in shape
    )
    return pb(1, name) + pb(2, pb(1, pb(1, 1) + pb(2, axes)))


def onnx_bytes(
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    nodes: Sequence[str] = ("Conv_0", "Relu_1"),
    weights: Mapping[str, int] | None = None,
) -> bytes:
    """An ONNX file as exporters lay it out; `weights`: name → bytes of noise."""
    noise = random.Random(0)
    graph = (
        *(pb(1, pb(1, "x") + pb(2, "y") + pb(3, name) + pb(4, "Conv")) for name in nodes),
        pb(2, "graph"),
        *(
            pb(5, pb(1, size) + pb(2, 1) + pb(8, name) + pb(9, noise.randbytes(size)))
            for name, size in (weights or {}).items()
        ),
        *(pb(11, tensor(name, shape)) for name, shape in inputs.items()),
        *(pb(12, tensor(name, shape)) for name, shape in outputs.items()),
    )
    return pb(1, 6) + pb(2, "pytorch") + pb(8, pb(2, 11)) + pb(7, b"".join(graph))


def detector_bytes(outputs: int = 9, weight: int = 1000) -> bytes:
    axes = (1, 1, 1, 4, 4, 4, 10, 10, 10) if outputs == 9 else (1, 1, 1, 4, 4, 4)
    return onnx_bytes(
        {"input.1": (1, 3, "?", "?")},
        {str(440 + n): (None, axis) for n, axis in enumerate(axes)},
        weights={"w": weight},
    )


def network_bytes(
    side: int, axis: int, nodes: Sequence[str] = ("Conv_0",), weight: int = 1000
) -> bytes:
    return onnx_bytes(
        {"data": ("None", 3, side, side)}, {"fc1": (1, axis)}, nodes, weights={"w": weight}
    )


def zip_bytes(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclass
class Request:
    path: str
    range: str | None
    if_range: str | None
    authorization: str | None
    status: int = 0
    sent: int = 0  # bytes of the body


@dataclass
class ArchiveServer:
    """Serves `files` by path, with ETag and Range, as a release page does."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)  # path → where it is, by a 302
    requests: list[Request] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)  # the next answers stop after so many bytes
    statuses: list[int] = field(default_factory=list)  # the next answers are these errors
    ignores_range: bool = False
    shifts_range: bool = False
    has_etag: bool = True
    chunk_pause: float = 0.0  # seconds after each 16 KiB

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        names = ("Range", "If-Range", "Authorization")
        request = Request(handler.path, *(handler.headers.get(name) for name in names))
        self.requests.append(request)
        if target := self.moved.get(handler.path):
            request.status = 302
            handler.send_response(302)
            handler.send_header("Location", self.url + target)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body = self.files.get(handler.path)
        request.status = self.statuses.pop(0) if self.statuses else 200 if body else 404
        if body is None or request.status != 200:
            handler.send_error(request.status)
            return
        etag, start = f'"{sha256(body)[:16]}"', 0
        if request.range and request.if_range == etag and not self.ignores_range:
            start = int(request.range.removeprefix("bytes=").removesuffix("-"))
            request.status = 206 if start < len(body) else 416
            start -= self.shifts_range
        handler.send_response(request.status)
        if self.has_etag:
            handler.send_header("ETag", etag)
        if request.status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        content = body[start:] if request.status != 416 else b""
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        content = content[: self.breaks.pop(0) if self.breaks else None]
        for position in range(0, len(content), 1 << 14):
            piece = content[position : position + (1 << 14)]
            request.sent += len(piece)  # before the client has it
            handler.wfile.write(piece)
            time.sleep(self.chunk_pause)


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    state = ArchiveServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the client was killed
                state.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
    thread.start()
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSE", 0.0)


DETECTOR = detector_bytes(weight=300_000)
RECOGNISER = network_bytes(112, 512, weight=500_000)
DEMO_MEMBERS = {
    "det.onnx": DETECTOR,
    "rec.onnx": RECOGNISER,
    "1k3d68.onnx": network_bytes(192, 3309, weight=50_000),
    "2d106det.onnx": network_bytes(192, 212, weight=50_000),
    "../../escape.onnx": b"never to be seen",
}


def make_pack(
    url: str,
    archive: bytes,
    members: Mapping[Role, tuple[str, bytes]],
    name: str = "demo",
) -> CatalogPack:
    """A catalogue entry whose files lie in one zip at `url`."""
    source = HttpsArchive(url, sha256(archive))
    return CatalogPack(
        name=name,
        summary="a pack for tests",
        licence="none",
        dimension=512,
        threshold=Threshold(0.5, "nothing"),
        operating_points=None,
        files=tuple(
            CatalogFile(
                role,
                member.rpartition("/")[2],
                sha256(content),
                SCRFD_NORMALIZATION,
                source,
                member,
                "none",
            )
            for role, (member, content) in members.items()
        ),
    )


@pytest.fixture
def demo(server: ArchiveServer) -> CatalogPack:
    """A pack of two networks that `server` has at /v0/demo.zip, with three more in the zip."""
    archive = server.files["/v0/demo.zip"] = zip_bytes(DEMO_MEMBERS)
    return make_pack(
        f"{server.url}/v0/demo.zip",
        archive,
        {Role.DETECTION: ("det.onnx", DETECTOR), Role.RECOGNITION: ("rec.onnx", RECOGNISER)},
    )


@dataclass(frozen=True)
class Make:
    """The builders above: test modules import nothing from each other."""

    onnx: Callable[..., bytes] = onnx_bytes
    detector: Callable[..., bytes] = detector_bytes
    network: Callable[..., bytes] = network_bytes
    zip: Callable[[Mapping[str, bytes]], bytes] = zip_bytes
    pack: Callable[..., CatalogPack] = make_pack
    pb: Callable[[int, bytes | str | int], bytes] = pb
    varint: Callable[[int], bytes] = varint


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


@pytest.fixture
def folder(tmp_path: Path, make: Any) -> Path:
    """A detector and a recogniser, as small as they can be."""
    (folder := tmp_path / "mine").mkdir()
    (folder / "det.onnx").write_bytes(make.detector())
    (folder / "rec.onnx").write_bytes(make.network(112, 512))
    return folder
