"""The Helm chart: rendered by helm for every file of values, held against Kubernetes' schemas and
against the service."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from face_service.config import Settings
from face_service.observability.request_record import PROBES
from face_service.server import SEND_TIMEOUT_S
from face_service.serving.batch import STAGES
from tests.conftest import ROOT
from tests.deploy.charts import (
    CHART,
    EXAMPLES,
    OLDEST,
    environment,
    every,
    helm,
    objects,
    of_kind,
    pod,
    rendered,
    validate,
)
from tests.deploy.test_crds import MODELS

NEWEST = "1.37"
"""Of Kubernetes: the latest with schemas."""
OTHER_VARIABLES = {"HTTPS_PROXY", "SSL_CERT_FILE"}
"""Of values/private.yaml: what is no setting."""


@every
def test_helm_finds_nothing_to_say(values: Path | None) -> None:
    done = helm("lint", "--strict", CHART, *(["-f", values] if values else []))
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_schemas_take_every_object(tmp_path: Path) -> None:
    """And a fault is one to them."""
    files = []
    for values in [None, *EXAMPLES]:
        files.append(tmp_path / f"{values.stem if values else 'default'}.yaml")
        files[-1].write_text(rendered(values))
    for version in (OLDEST, NEWEST):
        done = validate(files, version)
        assert done.returncode == 0, done.stdout + done.stderr
        unknown = set(re.findall(r"find schema for kind (\w+)", done.stdout + done.stderr))
        assert unknown == {*MODELS}
    assert f">={OLDEST}." in yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(files[0].read_text().replace("containerPort: 8100", "containerPort: eighty"))
    assert validate([wrong]).returncode != 0


@every
def test_variables_are_settings_of_the_service(values: Path | None) -> None:
    for each in objects(values):
        spec = each["spec"].get("template", {}).get("spec", {})
        for container in spec.get("containers", []):
            names = [variable["name"] for variable in container["env"]]
            assert len(set(names)) == len(names)
            own = {name for name in names if name not in OTHER_VARIABLES}
            assert {name.lower() for name in own} <= Settings.model_fields.keys()
            given = {name.lower(): environment(container).get(name) for name in own}
            Settings(_env_file=None, **{name: value for name, value in given.items() if value})


@every
def test_there_is_time_for_what_was_accepted(values: Path | None) -> None:
    spec = pod(values)
    (container,) = spec["containers"]
    given = environment(container)
    sleeps = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    accepted = float(given["REQUEST_TIMEOUT_S"]) + float(given["DRAIN_GRACE_S"])
    assert spec["terminationGracePeriodSeconds"] >= sleeps + accepted + 5
    probe = container["readinessProbe"]
    noticed = probe["failureThreshold"] * (probe["periodSeconds"] + probe["timeoutSeconds"])
    assert sleeps + float(given["DRAIN_GRACE_S"]) > noticed
    assert SEND_TIMEOUT_S < 5


def test_times_are_counted_up_from_fractions() -> None:
    spec = pod(None, "settings.REQUEST_TIMEOUT_S=12.5", "settings.DRAIN_GRACE_S=0.5")
    assert spec["terminationGracePeriodSeconds"] == 5 + 13 + 1 + 5


@every
def test_a_pod_may_do_no_more_than_it_needs(values: Path | None) -> None:
    spec = pod(values)
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 1000
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    written = {mount["mountPath"] for mount in container["volumeMounts"]}
    given = environment(container)
    assert "/tmp" in written
    assert (given["MODEL_CACHE_DIR"] in written) == (values is None or values.stem != "fleet")


@every
def test_the_scheduler_gives_whole_cores(values: Path | None) -> None:
    (container,) = pod(values)["containers"]
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    assert float(resources["limits"]["cpu"]) == math.floor(float(resources["limits"]["cpu"]))


@every
def test_probes_and_ports_are_the_services(values: Path | None) -> None:
    (container,) = pod(values)["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in PROBES
    assert container["ports"][0]["containerPort"] == Settings.model_fields["port"].default


def test_scaling_asks_for_metrics_that_exist() -> None:
    name = "deploy/helm/face-service/values/envoy.yaml"
    (trigger,) = of_kind("ScaledObject", ROOT / name)["spec"]["triggers"]
    query = trigger["metadata"]["query"]
    documented = re.findall(r"`(face_service_\w+)`", (ROOT / "docs/metrics.md").read_text())
    asked = re.findall(r"(face_service_\w+?)(?:_sum)?\{", query)
    assert len(asked) == 2
    assert set(asked) <= set(documented)
    (stages,) = re.findall(r'stage=~"([\w|]+)"', query)
    assert tuple(stages.split("|")) == STAGES
    assert query.count('namespace="recognition",pod=~"faces-[^-]+-[^-]+"') == 2


@pytest.mark.parametrize(
    "wrong",
    ["autoscaling.kind=vpa", "route.kind=traefik", "packs.from=oven", "packs.from=claim",
     "replica=3", "settings.max_queue=3", "settings.MODEL_CACHE_DIR=/x", "route.tls=yes",
     "settings.REQUEST_TIMEOUT_S=null", "resources.limit.cpu=2", "image.digest=latest",
     "serviceMonitor.enabled=true,apiKeysSecret=keys"],
)  # fmt: skip
def test_a_value_that_is_none_is_told(wrong: str) -> None:
    done = helm("template", "faces", CHART, "--set", wrong)
    assert done.returncode != 0
    assert wrong.split(".")[0].split("=")[0] in done.stderr


def test_numbers_are_as_they_are_written() -> None:
    """YAML's are floats to helm, which writes a large one as 1.5e+08."""
    (container,) = pod(CHART / "values/private.yaml")["containers"]
    assert environment(container)["MAX_IMAGE_PIXELS"] == "150000000"
    (other,) = pod(None, "settings.METRICS=false", "settings.MAX_BODY_MB=12.5")["containers"]
    assert environment(other)["METRICS"] == "false"
    assert environment(other)["MAX_BODY_MB"] == "12.5"


def test_what_a_user_gives_reaches_the_pods() -> None:
    values = CHART / "values/private.yaml"
    given = yaml.safe_load(values.read_text())
    library = ["embed.enabled=true", "embed.image=i", "embed.manifest=m", "embed.out=o"]
    job = of_kind("Job", values, *library)["spec"]["template"]
    for template in (of_kind("Deployment", values)["spec"]["template"], job):
        spec, metadata = template["spec"], template["metadata"]
        (container,) = spec["containers"]
        for name in ("imagePullSecrets", "nodeSelector", "priorityClassName"):
            assert spec[name] == given[name]
        assert given["podLabels"].items() <= metadata["labels"].items()
        assert metadata["annotations"] == given["podAnnotations"]
        assert all(each in container["env"] for each in given["env"])
        assert all(each in container["volumeMounts"] for each in given["volumeMounts"])
        assert all(each in spec["volumes"] for each in given["volumes"])
    budget = of_kind("PodDisruptionBudget", values)["spec"]
    assert (budget["minAvailable"], "maxUnavailable" in budget) == (1, False)
    ingress = of_kind("Ingress", values)
    assert ingress["spec"]["ingressClassName"] == "public"
    assert ingress["spec"]["tls"][0]["secretName"] == "faces-certificate"
    annotations = ingress["metadata"]["annotations"]
    assert annotations["cert-manager.io/cluster-issuer"] == "company"
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "100000000"


def test_a_balancer_waits_as_long_as_the_service() -> None:
    """Envoy's own limit is 15 s, nginx' 60, HAProxy's 50."""
    seconds = "settings.REQUEST_TIMEOUT_S=90"
    (rule,) = of_kind("HTTPRoute", CHART / "values/envoy.yaml", seconds)["spec"]["rules"]
    assert rule["timeouts"] == {"request": "95s"}
    limits = {
        "nginx": ("nginx.ingress.kubernetes.io/proxy-read-timeout", "95"),
        "fleet": ("haproxy.org/timeout-server", "95s"),
    }
    for name, (annotation, limit) in limits.items():
        ingress = of_kind("Ingress", CHART / f"values/{name}.yaml", seconds)
        assert ingress["metadata"]["annotations"][annotation] == limit


def test_what_nobody_says_changes_nothing() -> None:
    """No answer from Prometheus is not a fleet without work, and no list of clients is not all."""
    (trigger,) = of_kind("ScaledObject", CHART / "values/cuda.yaml")["spec"]["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    done = helm("template", "faces", CHART, "--set", "networkPolicy.enabled=true")
    assert "networkPolicy.from" in done.stderr


def test_a_pod_listens_where_it_is_asked() -> None:
    (container,) = pod(None, "settings.PORT=9000")["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 9000}]
    assert environment(container)["PORT"] == "9000"


def test_a_cluster_that_gives_users_is_left_to_it() -> None:
    ids = ["runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy"]
    context = pod(None, *(f"podSecurityContext.{name}=null" for name in ids))["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_metrics_behind_keys_are_asked_for_with_one() -> None:
    (endpoint,) = of_kind("ServiceMonitor", CHART / "values/fleet.yaml")["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": "face-service-key", "key": "KEY"}
    (open_to_all,) = of_kind("ServiceMonitor", None, "serviceMonitor.enabled=true")["spec"][
        "endpoints"
    ]
    assert "authorization" not in open_to_all


def selects(labels: dict[str, str]) -> Callable[[dict[str, str]], bool]:
    return lambda wanted: wanted.items() <= labels.items()


@every
def test_everything_is_about_the_pods_of_the_release(values: Path | None) -> None:
    deployment = of_kind("Deployment", values)
    chosen = selects(deployment["spec"]["template"]["metadata"]["labels"])
    for each in objects(values):
        spec = each["spec"]
        if each["kind"] == "Job":
            labels = spec["template"]["metadata"]["labels"]
            assert not deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
            continue
        assert each["metadata"]["name"] == "faces"
        if each["kind"] == "Service":
            assert chosen(spec["selector"])
        if each["kind"] in ("PodDisruptionBudget", "Deployment"):
            assert chosen(spec["selector"]["matchLabels"])
        if each["kind"] == "NetworkPolicy":
            assert chosen(spec["podSelector"]["matchLabels"])
        if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
            assert spec["scaleTargetRef"]["name"] == "faces"
            assert "replicas" not in deployment["spec"]
