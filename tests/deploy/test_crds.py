"""What the chart makes that is not Kubernetes' own, held against the types of these kinds: names of
fields, kinds of values, words of which there is a list."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path

from tests import npm
from tests.deploy.charts import EXAMPLES, Object, objects

PROJECT = Path(__file__).parent / "crds"
MODELS = {
    "BackendTrafficPolicy": "envoy-gateway/gateway.envoyproxy.io/v1alpha1",
    "HTTPRoute": "gateway-api/gateway.networking.k8s.io/v1",
    "ScaledObject": "keda/keda.sh/v1alpha1",
    "ServiceMonitor": "prometheus-operator/monitoring.coreos.com/v1",
}
"""Kinds that are not Kubernetes' own, and who knows their types: generated from Go."""


def check(folder: Path, found: list[Object]) -> str:
    """What the types have against the objects: nothing, or what the compiler says."""
    npm.install(PROJECT)
    imports = "".join(
        f'import type {{ I{kind} }} from "@kubernetes-models/{module}/{kind}";\n'
        for kind, module in MODELS.items()
    )
    values = "".join(f"({json.dumps(each)}) satisfies I{each['kind']};\n" for each in found)
    (folder / "objects.ts").write_text(imports + values)
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(PROJECT / "tsconfig.json", folder)
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(PROJECT / "node_modules")
    tsc = PROJECT / "node_modules/.bin/tsc"
    done = subprocess.run([tsc], cwd=folder, capture_output=True, text=True, check=False)
    assert bool(done.stdout) == bool(done.returncode), done.stderr
    return done.stdout


def made() -> list[Object]:
    """All that the chart makes of these kinds."""
    every = [each for values in [None, *EXAMPLES] for each in objects(values)]
    return [each for each in every if each["kind"] in MODELS]


def test_types_take_every_object(tmp_path: Path) -> None:
    assert {each["kind"] for each in made()} == {*MODELS}
    assert check(tmp_path, made()) == ""


def rename(found: Object) -> None:
    found["spec"]["minReplicas"] = found["spec"].pop("minReplicaCount")


def retype(found: Object) -> None:
    found["spec"]["rules"][0]["backendRefs"][0]["port"] = "http"


def leave_out(found: Object) -> None:
    del found["spec"]["selector"]


def respell(found: Object) -> None:
    found["spec"]["loadBalancer"]["type"] = "LeastConnections"


def reversion(found: Object) -> None:
    found["apiVersion"] = "gateway.networking.k8s.io/v1alpha2"


WRONG = {
    "minReplicas": ("ScaledObject", rename),
    "Type 'string' is not assignable to type 'number'": ("HTTPRoute", retype),
    '"selector"\' is missing': ("ServiceMonitor", leave_out),
    "LeastConnections": ("BackendTrafficPolicy", respell),
    "v1alpha2": ("HTTPRoute", reversion),
}
"""By what is said of it."""


def test_a_fault_is_one_to_the_types(tmp_path: Path) -> None:
    wrong = []
    for kind, change in WRONG.values():
        wrong.append(copy.deepcopy(next(each for each in made() if each["kind"] == kind)))
        change(wrong[-1])
    said = check(tmp_path, wrong).splitlines()
    first = len(MODELS) + 1
    of_line = re.compile(r"objects\.ts\((\d+),")
    lines = {int(found[1]) for line in said if (found := of_line.match(line))}
    assert lines == {*range(first, first + len(WRONG))}, said
    assert {words for words in WRONG if words in "".join(said)} == {*WRONG}
