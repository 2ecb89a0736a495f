"""Manifests that embed a library: the Job of the chart, and the RayJob."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from face_service.cli import app
from face_service.config import Settings
from tests.conftest import ROOT
from tests.deploy.charts import CHART, TOOLS, helm, objects, of_kind, validate


def test_the_image_is_built_where_the_services_is_installed(tmp_path: Path) -> None:
    """Its environment has no pip of its own, as uv makes it."""
    made = re.findall(r"^RUN (uv venv)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    (line,) = re.findall(r"^RUN (.*embed\.lock.*)$", (ROOT / "docs/offline.md").read_text(), re.M)
    asked = re.sub(r" install [^&]*", " --version ", line)
    path = f"{tmp_path}/.venv/bin:{ROOT}/.tools/bin:{os.environ['PATH']}"
    for command in (*made, asked):
        environment = {"PATH": path, "HOME": str(tmp_path)}
        done = subprocess.run(
            ["bash", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_another_run_over_a_library_is_another_job() -> None:
    """A Job cannot be changed; what is not about it does not begin it again."""
    values = CHART / "values/embed.yaml"
    name = of_kind("Job", values)["metadata"]["name"]
    assert of_kind("Job", values, "replicas=1")["metadata"]["name"] == name
    assert of_kind("Job", values, "embed.out=s3://other")["metadata"]["name"] != name
    assert not [each for each in objects(values) if each["kind"] == "PodDisruptionBudget"]


def test_a_node_that_is_drained_costs_no_attempt_and_waits_for_no_pod_that_is_not_ready() -> None:
    job = of_kind("Job", CHART / "values/embed.yaml")["spec"]
    assert job["podFailurePolicy"]["rules"] == [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        }
    ]
    budget = of_kind("PodDisruptionBudget", None)["spec"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_shards_of_a_library_are_the_indices_of_its_run() -> None:
    found = of_kind("Job", CHART / "values/embed.yaml")["spec"]
    (container,) = found["template"]["spec"]["containers"]
    assert found["completionMode"] == "Indexed"
    words = container["args"]
    assert words[words.index("--shard") + 1] == f"$(JOB_COMPLETION_INDEX)/{found['completions']}"
    command = get_command(app).commands["embed"]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
    assert words[:2] == ["face-service", "embed"]
    done = helm("template", "faces", CHART, "--set", "embed.enabled=true,embed.image=i,embed.out=o")
    assert "embed.manifest" in done.stderr


def test_the_run_on_kuberay_is_a_command_with_settings() -> None:
    found = yaml.safe_load((ROOT / "deploy/ray/rayjob.yaml").read_text())["spec"]
    words = found["entrypoint"].split()
    command = get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
    version = f"ray=={found['rayClusterSpec']['rayVersion']} "
    assert version in (ROOT / "requirements-ray.lock").read_text()
    head = found["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    (group,) = found["rayClusterSpec"]["workerGroupSpecs"]
    for (container,) in (head, group["template"]["spec"]["containers"]):
        names = {each["name"].lower() for each in container["env"]} - {"ray_usage_stats_enabled"}
        assert names <= Settings.model_fields.keys()
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_pods_of_the_run_on_kuberay_are_pods(tmp_path: Path) -> None:
    """No package has KubeRay's schema; what is within its templates is Kubernetes' own."""
    if not (TOOLS / "kubernetes-validate").exists():
        pytest.skip("no schemas: scripts/deployment.sh fetches them into .deployment")
    job = yaml.safe_load((ROOT / "deploy/ray/rayjob.yaml").read_text())
    cluster = job["spec"]["rayClusterSpec"]
    head = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    path = tmp_path / "pods.yaml"
    path.write_text(yaml.safe_dump_all([each["template"] | head for each in groups]))
    done = validate([path])
    assert done.returncode == 0, done.stdout + done.stderr
    path.write_text(path.read_text().replace("limits:", "limit:"))
    assert validate([path]).returncode != 0
