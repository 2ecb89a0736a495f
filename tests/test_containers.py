"""What can be said of the images without a Docker engine; hadolint (test.sh) says the rest."""

import json
import re
from pathlib import Path

import pytest
import yaml

from face_service.config import Settings
from face_service.main import SEND_TIMEOUT_S

ROOT = Path(__file__).parent.parent
DOCKERFILES = ["Dockerfile", "Dockerfile.rocm"]


def instructions(name: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order, comments dropped and continued lines joined."""
    lines = (ROOT / name).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.split("\n"))]


def last(name: str, instruction: str) -> str:
    return [rest for word, rest in instructions(name) if word == instruction][-1]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_everything_copied_exists_and_is_sent_to_the_builder(name: str) -> None:
    sent = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for word, rest in instructions(name):
        if word == "COPY" and not rest.startswith("--from"):
            *sources, _target = rest.split()
            assert all((ROOT / source).exists() for source in sources)
            assert set(sources) <= sent


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_service_is_process_one_and_gets_the_signal(name: str) -> None:
    assert json.loads(last(name, "CMD")) == ["python", "-m", "face_service.main"]
    assert last(name, "STOPSIGNAL") == "SIGTERM"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_service_is_not_root(name: str) -> None:
    user, _, group = last(name, "USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


@pytest.mark.parametrize("name", DOCKERFILES)
def test_health_is_asked_every_30_s_without_a_shell(name: str) -> None:
    options, _, command = last(name, "HEALTHCHECK").partition(" CMD ")
    assert "--interval=30s" in options
    assert json.loads(command) == ["curl", "-f", "http://localhost:8100/health"]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_models_outlive_the_container(name: str) -> None:
    assert last(name, "VOLUME") == "/app/models"
    assert "MODEL_CACHE_DIR=/app/models" in last(name, "ENV")
    assert last(name, "EXPOSE") == "8100"


def test_compose_says_what_original_md_says() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert compose["version"] == "3.8"
    service = compose["services"]["face-service"]
    assert (
        service.items()
        >= {
            "build": {"context": ".", "dockerfile": "Dockerfile"},
            "ports": ["8100:8100"],
            "volumes": ["./models:/app/models"],
            "environment": ["ONNX_PROVIDERS=CPUExecutionProvider", "LOG_LEVEL=INFO"],
            "healthcheck": {
                "test": ["CMD", "curl", "-f", "http://localhost:8100/health"],
                "interval": "30s",
                "timeout": "10s",
                "retries": 3,
            },
        }.items()
    )


def test_compose_leaves_the_service_nothing_it_does_not_need() -> None:
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["face-service"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert service["stop_signal"] == "SIGTERM"
    assert service["healthcheck"]["test"][0] == "CMD", "no shell"


def test_compose_waits_as_long_as_an_accepted_request_may_take() -> None:
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["face-service"]
    longest = sum(
        Settings.model_fields[name].default for name in ("request_timeout_s", "drain_grace_s")
    )
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace > longest + SEND_TIMEOUT_S
