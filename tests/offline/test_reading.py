"""Photos and videos at paths and addresses."""

from __future__ import annotations

import http.server
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from face_service.errors import ImageTooLarge
from face_service.offline import reading
from face_service.offline.reading import Unreadable, open_video, read_bytes


class Flaky(MemoryFileSystem):  # type: ignore[misc]
    """Refuses so many times, with an error that is no OSError."""

    protocol = "flaky"
    refusals = 0

    def _open(self, *given: Any, **more: Any) -> Any:
        if Flaky.refusals:
            Flaky.refusals -= 1
            raise RuntimeError("503, slow down")
        return super()._open(*given, **more)


@pytest.fixture(autouse=True)
def flaky(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    fsspec.filesystem("flaky").pipe_file("flaky://a", b"content")
    monkeypatch.setattr(reading, "PAUSES_S", (0, 0))


@pytest.mark.parametrize("refusals", [0, 1, 2])
def test_an_address_is_tried_three_times(refusals: int) -> None:
    Flaky.refusals = refusals
    assert read_bytes("flaky://a", 7) == b"content"
    Flaky.refusals = refusals
    with open_video("flaky://a") as file:
        assert file.read() == b"content"


def test_what_cannot_be_read_after_three_says_why() -> None:
    Flaky.refusals = 3
    with pytest.raises(Unreadable, match="RuntimeError: 503, slow down"):
        read_bytes("flaky://a", 7)
    assert Flaky.refusals == 0


@pytest.mark.parametrize("uri", ["flaky://absent", "absent", ".", "odd://x", "locked://x"])
def test_what_is_not_there_is_told(uri: str, locked: None) -> None:
    with pytest.raises(Unreadable):
        read_bytes(uri, 7)
    with pytest.raises(Unreadable), open_video(uri):
        pass


def test_more_than_is_allowed_is_too_large() -> None:
    with pytest.raises(ImageTooLarge, match="MAX_BODY_MB"):
        read_bytes("flaky://a", 6)


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_video_of_this_machine_is_read_where_it_is(prefix: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"content")
    with open_video(f"{prefix}{tmp_path / 'a.mp4'}") as file:
        assert file.name == str(tmp_path / "a.mp4")


def test_the_copy_of_a_video_has_no_name_that_a_crash_could_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_video("flaky://a") as file:
        assert file.read() == b"content"
        assert not [*tmp_path.iterdir()]


PIECE = b"x" * 100_000
PIECES = 30


class Server(http.server.BaseHTTPRequestHandler):
    """Answers `/STATUS` with it, and otherwise in pieces whose number it does not say before; of
    `/short` it ends before the last one."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_HEAD(self) -> None:
        self.send_error(405)

    def do_GET(self) -> None:
        Server.asked += 1
        if self.path[1:].isdecimal():
            self.send_error(int(self.path[1:]))
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for _ in range(PIECES):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
            self.wfile.write(b"" if self.path == "/short" else b"0\r\n\r\n")
        except ConnectionError:  # by HEAD's sister: whoever asks for a length does not read
            pass
        self.close_connection = True

    def log_message(self, *given: Any) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    Server.asked = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_answer_of_unknown_length_is_read_to_its_end(web: str) -> None:
    whole = PIECES * PIECE
    assert read_bytes(f"{web}/a.jpg", len(whole)) == whole
    with pytest.raises(ImageTooLarge):
        read_bytes(f"{web}/a.jpg", len(whole) - 1)
    with open_video(f"{web}/a.mp4") as file:
        assert file.read() == whole


def test_an_answer_that_breaks_off_is_no_file(web: str) -> None:
    with pytest.raises(Unreadable, match="not completed"):
        read_bytes(f"{web}/short", 2 * PIECES * len(PIECE))


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (429, 3), (503, 3)])
def test_a_server_that_is_busy_is_asked_again(web: str, status: int, attempts: int) -> None:
    """And what it said is told, which fsspec makes a FileNotFoundError of."""
    with pytest.raises(Unreadable, match=f"ClientResponseError: {status}"):
        read_bytes(f"{web}/{status}", 7)
    assert Server.asked == attempts


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(Unreadable, match="Cannot connect"):
        read_bytes("http://127.0.0.1:1/a.jpg", 7)


class NoBucket(MemoryFileSystem):  # type: ignore[misc]
    """Says as S3 does that there is none, with the reason of its package behind."""

    protocol = "bucket"
    asked = 0

    def _open(self, *given: Any, **more: Any) -> Any:
        NoBucket.asked += 1
        raise FileNotFoundError("absent/a") from RuntimeError("NoSuchBucket")


def test_a_store_that_knows_no_such_file_is_asked_once() -> None:
    fsspec.register_implementation("bucket", NoBucket, clobber=True)
    with pytest.raises(Unreadable, match="FileNotFoundError: absent/a"):
        read_bytes("bucket://absent/a", 7)
    assert NoBucket.asked == 1
