"""The Helm chart as helm renders it, for tests."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

CHART = ROOT / "deploy/helm/face-service"
EXAMPLES = sorted((CHART / "values").glob("*.yaml"))
TOOLS = ROOT / ".deployment/bin"
OLDEST = "1.30"
"""Of Kubernetes: what the chart asks for."""
Object = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    if not (TOOLS / "helm").exists():
        pytest.skip("no helm: scripts/deployment.sh fetches it into .deployment")
    return subprocess.run([TOOLS / "helm", *arguments], capture_output=True, text=True)


@cache
def rendered(values: Path | None, *settings: str) -> str:
    more = [word for setting in settings for word in ("--set", setting)]
    files = ["-f", values] if values else []
    done = helm("template", "faces", CHART, "--namespace", "recognition", *files, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(values: Path | None, *settings: str) -> list[Object]:
    return [each for each in yaml.safe_load_all(rendered(values, *settings)) if each]


def of_kind(kind: str, values: Path | None, *settings: str) -> Object:
    (found,) = (each for each in objects(values, *settings) if each["kind"] == kind)
    return found


def pod(values: Path | None, *settings: str) -> Object:
    template: Object = of_kind("Deployment", values, *settings)["spec"]["template"]["spec"]
    return template


def validate(files: list[Path], version: str = OLDEST) -> subprocess.CompletedProcess[str]:
    """Hold files against Kubernetes' own schemas."""
    return subprocess.run(
        [TOOLS / "kubernetes-validate", "-k", version, "--strict", *files],
        capture_output=True,
        text=True,
    )


def environment(container: Object) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


every = pytest.mark.parametrize(
    "values", [None, *EXAMPLES], ids=lambda path: path.stem if path else "default"
)
