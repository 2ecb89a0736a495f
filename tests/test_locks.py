"""The locks: every version pinned, and the same ones served, tested and compared with."""

import re

import pytest

from tests.conftest import ROOT, SERVED


def pins(lock: str) -> dict[str, set[str]]:
    """Name to pinned versions; more than one where the Python version decides."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


LOCKS = [
    *SERVED,
    "requirements-heif.lock",
    "requirements-dev.lock",
    "requirements-deployment.lock",
    "requirements-embed.lock",
    "requirements-ray.lock",
    "requirements-ray-serve.lock",
    "requirements-oracle.lock",
    "requirements-platform.lock",
    "requirements-video.lock",
]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_everything_with_hashes_and_names_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text()
    requirements = re.findall(r"^\w.*$", text, re.MULTILINE)
    assert requirements
    assert all("==" in line and line.endswith("\\") for line in requirements)
    assert text.count("\\\n    --hash=sha256:") >= len(requirements)
    assert "://" not in text


def test_tests_and_oracle_compute_with_the_versions_that_are_served() -> None:
    runtime = pins("requirements.lock")
    dev, oracle = pins("requirements-dev.lock"), pins("requirements-oracle.lock")
    assert runtime.items() <= dev.items()
    assert oracle["numpy"] == runtime["numpy"]
    assert oracle["onnxruntime"] == runtime["onnxruntime"]
    assert oracle["opencv-python"] == runtime["opencv-python-headless"]
    assert all(version.startswith("4.") for version in runtime["opencv-python-headless"])


def test_what_reads_heic_is_tested_in_the_version_that_is_served() -> None:
    assert pins("requirements-heif.lock").items() <= pins("requirements-dev.lock").items()


@pytest.mark.parametrize("lock", SERVED[1:])
def test_another_build_is_served_beside_the_same_versions(lock: str) -> None:
    runtime, other = pins("requirements.lock"), pins(lock)
    assert runtime.pop("onnxruntime") != other.pop("onnxruntime")
    assert runtime.items() <= other.items()


@pytest.mark.parametrize(
    "lock", ["requirements-embed.lock", "requirements-ray.lock", "requirements-ray-serve.lock"]
)
def test_libraries_are_embedded_by_the_versions_that_are_served_and_tested(lock: str) -> None:
    found = pins(lock)
    assert pins("requirements.lock").items() <= found.items()
    dev = pins("requirements-dev.lock")
    assert {name: dev[name] for name in found if name in dev}.items() <= found.items()
