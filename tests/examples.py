"""`python -m tests.examples`: asks real servers, and writes what they said to
src/face_service/http/examples.json. /docs and /redoc show it.

Three things are cut, and the words beside an example say so: embeddings to three of their 512
numbers, the known packs to one, the metrics to their first lines.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from face_service.http.openapi import EXAMPLES

from .photos import ROOT, middle, mirrored
from .server import Server
from .wire import metric, settled

Examples = dict[str, dict[str, dict[str, Any]]]
CUT = "embeddings cut to 3 of 512 numbers"
TEXT = ("notes.txt", b"Not a picture at all", "image/jpeg")


def answers(client: httpx.Client, folder: Path) -> Examples:
    """What a ready server says: operation → status → what was asked → answer."""
    photo, other = middle(folder).read_bytes(), mirrored(folder).read_bytes()
    picture = ("photo.jpg", photo, "image/jpeg")
    few = {"max_faces": 2}
    detected = client.post("/detect", params=few, files={"file": picture})
    batch = client.post(
        "/detect/batch", params={"max_faces": 1}, files=[("files", picture), ("files", TEXT)]
    )
    body = {"image_base64": base64.b64encode(photo).decode(), "embedding_format": "base64", **few}
    extracted = client.post("/extract-embedding", json=body)
    compared = client.post(
        "/compare", params=few, files={"file_a": picture, "file_b": ("other.jpg", other)}
    )
    crops = [
        face["crop"]
        for face in client.post(
            "/detect", params={**few, "crops": True}, files={"file": picture}
        ).json()["faces"]
    ]
    embedded = client.post("/embed", json={"crops_base64": crops, "embedding_format": "base64"})
    faces = [
        {"embedding": face["embedding"], "time": time, "bbox": face["bbox"], "source": "video-17"}
        for time in (12.0, 13.0)
        for face in extracted.json()["faces"]
    ]
    grouped = client.post("/group", json={"faces": faces})
    models = client.get("/models").json()
    metrics = client.get("/metrics").text.splitlines(keepends=True)[:12]
    return {
        "POST /detect": {"200": {f"max_faces=2; {CUT}": cut(detected.json())}},
        "POST /detect/batch": {
            "200": {f"a photo and a text, max_faces=1; {CUT}": cut(batch.json())}
        },
        "POST /extract-embedding": {
            "200": {f"max_faces=2, embedding_format=base64; {CUT}": cut(extracted.json())}
        },
        "POST /compare": {"200": {"two photos of the same people, max_faces=2": compared.json()}},
        "POST /embed": {
            "200": {f"two crops, embedding_format=base64; {CUT}": cut(embedded.json())}
        },
        "POST /group": {"200": {"two people in two frames": grouped.json()}},
        "GET /health": {"200": {"ready": client.get("/health").json()}},
        "GET /health/live": {"200": {"alive": client.get("/health/live").json()}},
        "GET /health/ready": {"200": {"ready": client.get("/health/ready").json()}},
        "GET /models": {
            "200": {"known packs cut to one": {**models, "known": models["known"][:1]}}
        },
        "GET /metrics": {"200": {"the first lines": "".join(metrics)}},
    }


def cut(value: Any) -> Any:
    """The same with three numbers of every embedding: 12 bytes, 16 letters of base64."""
    if isinstance(value, list):
        return [cut(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: item[: 3 if isinstance(item, list) else 16]
        if name == "embedding" and item
        else cut(item)
        for name, item in value.items()
    }


def not_ready(server: Server) -> Examples:
    """What /health says while the models are loaded."""
    return {
        f"GET {path}": {"503": {"the models are being loaded": until(503, server, get(path))}}
        for path in ("/health", "/health/ready")
    }


def get(path: str) -> Callable[[Server], httpx.Response]:
    """A question for `until`."""
    return lambda server: server.client.get(path)


def until(status: int, server: Server, ask: Callable[[Server], httpx.Response]) -> dict[str, Any]:
    """Ask until the answer has this status: a server that is starting, or is being filled."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            response = ask(server)
            if response.status_code == status:
                return response.json()
        time.sleep(0.02)
    raise AssertionError(f"no {status}: run it again\n{server.log()}")


@contextmanager
def served(folder: Path, module: str = "face_service.main", **variables: str) -> Iterator[Server]:
    """A server of its own on the starter pack, ready or not."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOST": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        "INSIGHTFACE_MODEL": "starter",
        "MODEL_CACHE_DIR": str(ROOT / "models"),
        "DET_GATE": "off",  # or each server would begin to make one
        **variables,
    }
    server = Server(environment, Path(tempfile.mkdtemp(dir=folder)), module)
    try:
        yield server
    finally:
        server.stop()


def errors(folder: Path) -> dict[str, dict[str, Any]]:
    """Every error of the endpoints that take images: status → what happened → answer."""
    photo = middle(folder).read_bytes()

    def send(server: Server, path: str = "/detect", data: bytes = photo) -> httpx.Response:
        return server.client.post(path, files={"file": ("photo.jpg", data)})

    found: dict[str, dict[str, Any]] = {}
    with served(folder, MAX_BODY_MB="0.1") as server:
        found["503"] = {"the models are being loaded": until(503, server, send)}
        server.wait_until_ready()
        found["400"] = {
            "not an image": send(server, data=TEXT[1]).json(),
            "cut short": send(server, data=photo[:5000]).json(),
            "an option that does not exist": send(server, "/detect?min_scor=0.6", b"").json(),
        }
        found["413"] = {"too many bytes": send(server).json()}
    with served(folder, MAX_IMAGE_PIXELS="100000", API_KEYS=sha256(b"key").hexdigest()) as server:
        server.wait_until_ready()
        found["401"] = {"no key": send(server).json()}
        server.client.headers["X-API-Key"] = "key"
        found["413"]["too many pixels"] = send(server).json()
    with served(folder, "tests.faulty", MAX_QUEUE="1", REQUEST_TIMEOUT_S="1") as server:
        server.wait_until_ready()
        fault = server.folder / "fault"
        fault.write_text("slow")
        with ThreadPoolExecutor() as clients:
            late = clients.submit(send, server)
            settled(lambda: metric(server, "face_service_requests_inside") == 1)
            found["429"] = {"the queue is full": send(server).json()}
            found["504"] = {"no answer in time": late.result().json()}
        fault.unlink()
        until(200, server, send)
        fault.write_text("raise")
        found["500"] = {"a network failed": send(server).json()}
    return dict(sorted(found.items()))


def main() -> int:
    """Record everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder) as server:
            recorded = not_ready(server)
            server.wait_until_ready()
            for operation, by_status in answers(server.client, folder).items():
                recorded[operation] = by_status | recorded.get(operation, {})
        examples = {"answers": dict(sorted(recorded.items())), "errors": errors(folder)}
    EXAMPLES.write_text(json.dumps(examples, indent=1, ensure_ascii=False) + "\n")
    print(f"{EXAMPLES.relative_to(ROOT)}: {len(recorded)} operations")
    return 0


if __name__ == "__main__":
    sys.exit(main())
