"""What docker-compose.yml hands to the images, without a Docker engine."""

import re
import subprocess
from typing import Any

import pytest
import yaml
from scripts.postgres import installation

from face_service.config import Settings
from face_service.server import SEND_TIMEOUT_S

from .test_containers import (
    DOCKERFILES,
    HEALTH_CHECK,
    ROOT,
    instructions,
    last,
    variables,
)

PACK = "INSIGHTFACE_MODEL=${INSIGHTFACE_MODEL:-buffalo_l}"


def compose() -> dict[str, Any]:
    """The services of docker-compose.yml, anchors resolved."""
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


SERVICES = sorted(name for name in compose() if name.startswith("face-service"))
PLATFORM = ("platform", "postgres")
"""The profile of that name, beside the service for the CPU."""


def test_compose_says_what_original_md_says() -> None:
    # original.md has `version`, which Compose has ignored since 2.0 and warns of since 2.27.
    assert "version" not in yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    service = compose()["face-service"]
    assert "profiles" not in service, "`docker compose up` starts it"
    assert (
        service.items()
        >= {
            "build": {"context": ".", "dockerfile": "Dockerfile"},
            "ports": ["8100:8100"],
            "volumes": ["./models:/app/models"],
            "environment": ["ONNX_PROVIDERS=CPUExecutionProvider", "LOG_LEVEL=INFO", PACK],
            "healthcheck": {
                "test": ["CMD", *HEALTH_CHECK],  # original.md: curl, at a port that PORT may change
                "interval": "30s",
                "timeout": "10s",
                "retries": 3,
            },
        }.items()
    )


def test_every_image_has_a_service_and_a_profile_of_its_name() -> None:
    found = {compose()[name]["build"]["dockerfile"]: name for name in SERVICES}
    assert set(found) == set(DOCKERFILES)
    for dockerfile, name in found.items():
        _, _, accelerator = dockerfile.partition(".")
        assert name == f"face-service-{accelerator}".rstrip("-")
        assert compose()[name].get("profiles", [""]) == [accelerator]


@pytest.mark.parametrize("name", SERVICES)
def test_compose_gives_what_the_image_expects(name: str) -> None:
    service = compose()[name]
    dockerfile = service["build"]["dockerfile"]
    (port,) = service["ports"]
    assert port.split(":")[1] == last(dockerfile, "EXPOSE")
    (volume,) = service["volumes"]
    assert volume.split(":")[1] == last(dockerfile, "VOLUME")
    assert service["stop_signal"] == last(dockerfile, "STOPSIGNAL")


@pytest.mark.parametrize("name", SERVICES[1:])
def test_another_image_answers_to_the_same_name(name: str) -> None:
    service = compose()[name]
    assert service["networks"]["default"]["aliases"] == [SERVICES[0]]
    assert service["environment"] == [PACK], "the image says what computes"
    assert "healthcheck" not in service, "the image says how long the first start takes"


def test_compose_hands_over_the_cards() -> None:
    services = compose()
    (card,) = services["face-service-cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert card == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    for name in ("face-service-migraphx", "face-service-rocm"):
        assert services[name]["devices"] == ["/dev/kfd", "/dev/dri"]
        assert services[name]["group_add"] == ["video", "${RENDER_GID:-render}"]
        created = [rest for word, rest in instructions(services[name]["build"]["dockerfile"])]
        assert any("groupadd --system --gid 992 render" in rest for rest in created)


@pytest.mark.parametrize("name", [*SERVICES, "platform"])
def test_compose_leaves_the_service_nothing_it_does_not_need(name: str) -> None:
    service = compose()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert not {"privileged", "cap_add", "user"} & set(service)
    assert 0 < service["pids_limit"] <= 4096


def test_the_platform_is_a_profile_beside_the_service() -> None:
    services = compose()
    assert set(services) == {*SERVICES, *PLATFORM}
    for name in PLATFORM:
        assert services[name]["profiles"] == ["platform"], "`docker compose up` does not start it"
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]
    used = [services[name]["volumes"][0].partition(":")[0] for name in PLATFORM]
    assert used == list(volumes)


def test_compose_gives_the_platform_what_it_expects() -> None:
    platform = compose()["platform"]
    dockerfile = platform["build"]["dockerfile"]
    assert platform["ports"] == [f"3000:{last(dockerfile, 'EXPOSE')}"]
    assert platform["volumes"] == [f"uploads:{last(dockerfile, 'VOLUME')}"]
    assert variables(dockerfile)["DATA_DIR"] == last(dockerfile, "VOLUME")
    assert platform["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    given = dict(setting.split("=", 1) for setting in platform["environment"])
    assert given["FACE_SERVICE_URL"] == f"http://{SERVICES[0]}:8100"
    assert given["DATABASE_URL"].endswith("@postgres/postgres")
    table = (ROOT / "platform" / "README.md").read_text()
    assert [name for name in given if f"`{name}`" not in table] == []


def test_postgres_is_the_one_of_the_tests_and_has_no_port_outside() -> None:
    postgres = compose()["postgres"]
    assert "ports" not in postgres
    installed = installation()
    control = (installed / "share/postgresql/extension/vector.control").read_text()
    found = re.search(r"default_version = '([\d.]+)'", control)
    told = subprocess.run([installed / "bin/postgres", "--version"], capture_output=True, text=True)
    major = re.search(r"\) (\d+)", told.stdout)
    assert found and major
    assert postgres["image"] == f"pgvector/pgvector:{found[1]}-pg{major[1]}-trixie"


@pytest.mark.parametrize("name", SERVICES)
def test_compose_waits_as_long_as_an_accepted_request_may_take(name: str) -> None:
    longest = sum(
        Settings.model_fields[setting].default for setting in ("request_timeout_s", "drain_grace_s")
    )
    grace = int(compose()[name]["stop_grace_period"].removesuffix("s"))
    assert grace > longest + SEND_TIMEOUT_S
