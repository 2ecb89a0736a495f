"""What can be said of the images without a Docker engine; hadolint (test.sh) says the rest."""

import http.server
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from face_service.config import Settings
from tests import commands
from tests.server import ONE_THREAD, Server
from tests.wire import settled

ROOT = Path(__file__).parent.parent
DOCKERFILES = sorted(path.name for path in ROOT.glob("Dockerfile*"))
PLATFORM = "platform/Dockerfile"
COMPUTES = {
    "Dockerfile": ("onnxruntime", "CPUExecutionProvider"),
    "Dockerfile.cuda": ("onnxruntime-gpu", "CUDAExecutionProvider"),
    "Dockerfile.migraphx": ("onnxruntime-migraphx", "MIGraphXExecutionProvider"),
    "Dockerfile.openvino": ("onnxruntime-openvino", "OpenVINOExecutionProvider"),
    "Dockerfile.rocm": ("onnxruntime-rocm", "ROCMExecutionProvider"),
}
"""The build of ONNX Runtime in each image, and what it is there for."""
"""Compose hands on no other variable of the shell it is called from."""
HEALTH_CHECK = ["python", "-m", "face_service.healthcheck"]
OF_OTHERS = re.compile(
    "PATH|HOME|LD_LIBRARY_PATH|PYTHONUNBUFFERED|UV_.*|NVIDIA_.*|CUDA_CACHE_PATH|MIOPEN_.*|ORT_.*"
)
"""Variables that are not this service's: the system's, uv's, the drivers'."""


def instructions(name: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order, comments dropped and continued lines joined."""
    lines = (ROOT / name).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.split("\n"))]


def last(name: str, instruction: str) -> str:
    return [rest for word, rest in instructions(name) if word == instruction][-1]


def variables(name: str) -> dict[str, str]:
    """What ENV sets in a Dockerfile, all stages together."""
    return dict(
        word.split("=", 1)
        for instruction, rest in instructions(name)
        if instruction == "ENV"
        for word in shlex.split(rest)
    )


def holds(name: str) -> str:
    """What a Dockerfile installs: its commands, and the lock files they name."""
    installed = " ".join(rest for word, rest in instructions(name) if word == "RUN")
    locks = re.findall(r"--require-hashes -r (\S+)", installed)
    return installed + "".join((ROOT / lock).read_text() for lock in locks)


def test_every_image_is_known_here() -> None:
    assert set(DOCKERFILES) == set(COMPUTES)


@pytest.mark.parametrize("name", [*DOCKERFILES, PLATFORM])
def test_base_images_are_pinned_by_a_full_tag(name: str) -> None:
    arguments = {}
    for word, rest in instructions(name):
        if word == "ARG" and "=" in rest:
            arguments.update([rest.split("=", 1)])
        if word == "FROM":
            image = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], rest.split(" AS ")[0])
            assert re.fullmatch(r"[\w/.-]+:\d+\.\d+\.\d+-[\w-]+", image), image


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_image_holds_the_build_it_computes_with(name: str) -> None:
    build, provider = COMPUTES[name]
    assert re.search(rf"\b{build}[=<]", holds(name))
    asked = variables(name).get("ONNX_PROVIDERS", Settings.model_fields["onnx_providers"].default)
    settings = Settings(_env_file=None, onnx_providers=asked)
    assert settings.onnx_providers[0] == provider


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_image_can_make_detector_gates_and_networks_in_fp16(name: str) -> None:
    """Its root is read-only: what is missing cannot be installed later."""
    assert re.search(r"\bonnx==", holds(name))


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_variable_is_one_that_somebody_reads(name: str) -> None:
    own = {word for word in variables(name) if not OF_OTHERS.fullmatch(word)}
    assert {word.lower() for word in own} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_no_program_in_the_image_reports_to_anybody(name: str) -> None:
    """Nor does a shell in it that imports ONNX Runtime by itself."""
    assert variables(name)["ORT_DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_written_lies_in_the_volume_and_belongs_to_the_user(name: str) -> None:
    volume = last(name, "VOLUME")
    folders = {word: value for word, value in variables(name).items() if "CACHE" in word}
    folders |= {word: value for word, value in variables(name).items() if word.endswith("DB_PATH")}
    folders.pop("UV_NO_CACHE", None)
    assert "MODEL_CACHE_DIR" in folders
    assert all(f"{value}/".startswith(f"{volume}/") for value in folders.values()), folders
    runs = " ".join(rest for word, rest in instructions(name) if word == "RUN")
    uid = last(name, "USER").partition(":")[0]
    made = re.search(rf"install -d -o (\S+) -g \1 {volume}\b", runs)
    assert made, "the volume is made in the image, for the user"
    assert made[1] == uid or f"useradd --uid {uid} --create-home {made[1]} " in runs


@pytest.mark.parametrize("name", [*DOCKERFILES, PLATFORM])
def test_everything_copied_exists_and_is_sent_to_the_builder(name: str) -> None:
    ignored = ROOT / f"{name}.dockerignore"
    ignored = ignored if ignored.is_file() else ROOT / ".dockerignore"
    sent = {line[1:] for line in ignored.read_text().splitlines() if line[:1] == "!"}
    for word, rest in instructions(name):
        if word == "COPY" and not rest.startswith("--from"):
            *sources, _target = rest.split()
            assert all((ROOT / source).exists() for source in sources)
            assert set(sources) <= sent


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_service_is_process_one_and_gets_the_signal(name: str) -> None:
    assert json.loads(last(name, "CMD")) == ["python", "-m", "face_service.main"]
    assert last(name, "STOPSIGNAL") == "SIGTERM"


@pytest.mark.parametrize("name", [*DOCKERFILES, PLATFORM])
def test_the_service_is_not_root(name: str) -> None:
    user, _, group = last(name, "USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


@pytest.mark.parametrize("name", DOCKERFILES)
def test_health_is_asked_every_30_s_without_a_shell(name: str) -> None:
    options, _, command = last(name, "HEALTHCHECK").partition(" CMD ")
    assert "--interval=30s" in options
    assert json.loads(command) == HEALTH_CHECK


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="as it comes"),
        pytest.param({"HOST": "127.0.0.2"}, id="one address"),
        pytest.param({"HOST": "localhost"}, id="a name"),
        pytest.param({"HOST": "0.0.0.0"}, id="every address"),
        pytest.param({"HOST": "::1"}, id="IPv6"),
        pytest.param({"HOST": "::"}, id="every address of IPv6"),
    ],
)
def test_the_health_check_asks_wherever_the_service_listens(
    given: dict[str, str], start_server: Callable[..., Server]
) -> None:
    if ":" in given.get("HOST", "") and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    running = start_server(**ONE_THREAD, **given)
    environment = {"PATH": os.environ["PATH"], "PORT": str(running.port), **given}
    settled(lambda: health_check(environment, running.folder).returncode == 0, 60)
    assert '"healthy"' in health_check(environment, running.folder).stdout
    (running.folder / ".env").write_text(f"PORT={running.port}\n")
    del environment["PORT"]
    assert health_check(environment, running.folder).returncode == 0
    running.stop()
    failed = health_check(environment, running.folder)
    assert failed.returncode == 1
    assert "refused" in failed.stderr


def test_the_health_check_fails_while_the_service_starts(tmp_path: Path) -> None:
    """503 is a status like any other to a client that does not look."""

    class Starting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Starting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {"PATH": os.environ["PATH"], "PORT": str(server.server_port)}
        assert health_check(environment, tmp_path).returncode == 1
        command = [sys.executable, *HEALTH_CHECK[1:]]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True)
        assert done.returncode == 1, "by the command of the images itself"
        environment["PORT"] = "eighty"
        assert "port" in health_check(environment, tmp_path).stderr.lower()
        server.shutdown()


def health_check(environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What the command of the images does."""
    module = HEALTH_CHECK[-1]
    program = f"import runpy; runpy.run_module('{module}', run_name='__main__')"
    return commands.run([], environment, folder, program=program)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("name", DOCKERFILES)
def test_models_outlive_the_container(name: str) -> None:
    assert last(name, "VOLUME") == "/app/models"
    assert "MODEL_CACHE_DIR=/app/models" in last(name, "ENV")
    assert last(name, "EXPOSE") == "8100"
