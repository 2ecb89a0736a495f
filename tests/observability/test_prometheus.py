"""What operators are given: the dashboard, the alert rules, the scrape configuration.

Checked with the tools that will read them, and against a service that runs.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from tests.server import Server, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "face-service.json"
KEY = "a-key-that-is-long-and-random"
OPERATORS = {"or", "and", "unless", "bool", "offset"}
ADDED_BY_PROMETHEUS = {"job", "instance"}


def tool(name: str) -> str:
    """A program of Debian's package."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: it is in Debian's package prometheus")
    return name


def promtool(*arguments: str | Path, given: str | None = None) -> str:
    run = subprocess.run(
        [tool("promtool"), *map(str, arguments)],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if "targets" in panel]


def dashboard_expressions() -> list[str]:
    """As Grafana sends them: the variables filled in."""
    filled = [target["expr"] for panel in panels() for target in panel["targets"]]
    for variable, value in (("$__rate_interval", "10s"), ("$instance", ".+"), ("$job", ".+")):
        filled = [expression.replace(variable, value) for expression in filled]
    return filled


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def labels_of(metric: str, expression: str) -> set[str]:
    """The labels by which an expression selects from a metric."""
    selectors = re.findall(rf"\b{metric}\{{([^}}]*)\}}", expression)
    return {name for each in selectors for name in re.findall(r"(\w+)\s*[=!]", each)}


def metrics_of(expression: str) -> set[str]:
    """The metrics an expression asks for: every name that is no function, word or label."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    names = re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)
    return set(names) - OPERATORS


@pytest.fixture(scope="module")
def exposed(server: Server, four_faces: Path) -> dict[str, set[str]]:
    """The labels of every sample that a service exposes which has something to tell."""
    server.client.post("/detect", files={"file": four_faces.read_bytes()})
    families = text_string_to_metric_families(server.client.get("/metrics").text)
    samples: dict[str, set[str]] = {"up": set()}
    for family in families:
        for sample in family.samples:
            samples.setdefault(sample.name, set()).update(sample.labels)
    return samples


@pytest.mark.parametrize(
    "expression",
    [*dashboard_expressions(), *(rule["expr"] for rule in rules())],
    ids=lambda expression: re.sub(r"\s+", " ", expression)[:60],
)
def test_every_expression_asks_for_what_the_service_exposes(
    expression: str, exposed: dict[str, set[str]]
) -> None:
    asked = metrics_of(expression)
    assert asked
    assert asked <= set(exposed)
    for metric in asked:
        assert labels_of(metric, expression) <= exposed[metric] | ADDED_BY_PROMETHEUS, metric


def test_what_does_not_exist_would_be_seen() -> None:
    expression = 'sum by (why) (rate(face_service_nothing_total{why="x"}[5m])) / 3e9 or vector(0)'
    assert metrics_of(expression) == {"face_service_nothing_total"}
    assert labels_of("face_service_nothing_total", expression) == {"why"}


def test_the_rules_and_their_tests_pass() -> None:
    promtool("check", "rules", PROMETHEUS / "alerts.yml")
    promtool("test", "rules", PROMETHEUS / "alerts_test.yml")


def test_every_rule_is_tested_to_fire_and_to_keep_still() -> None:
    suites = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    cases = [case for suite in suites for case in suite["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


def test_every_expression_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    recorded = [
        {"record": f"panel:{n}", "expr": expression}
        for n, expression in enumerate(dashboard_expressions())
    ]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    assert f"{len(recorded)} rules found" in promtool("check", "rules", path)


def test_the_dashboard_is_one_to_grafana() -> None:
    """Grafana's own types know everything that stands in it: what they do not know, they drop."""
    register_default_plugins()
    written = json.loads(DASHBOARD.read_text())
    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(written)))
    lost = {re.sub(r"\[\d+\]", "[]", path) for path in dropped(written, read)}
    # `id` is null in a file; the other two belong to export and to the variable's editor.
    assert lost == {"id", "__requires", "templating.list[].definition"}
    assert written["id"] is None
    assert written["uid"] == "face-service"


def dropped(written: Any, read: Any, path: str = "") -> Iterator[str]:
    """Where `read` does not say what `written` says."""
    if isinstance(written, dict) and isinstance(read, dict):
        for name, value in written.items():
            place = f"{path}.{name}".strip(".")
            if name in read:
                yield from dropped(value, read[name], place)
            else:
                yield place
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for n, pair in enumerate(zip(written, read, strict=True)):
            yield from dropped(*pair, f"{path}[{n}]")
    elif written != read:
        yield path


def test_panels_are_told_apart_and_do_not_lie_on_each_other() -> None:
    every = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.fixture(scope="module")
def prometheus(
    start_small_server: Callable[..., Server],
    four_faces: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[httpx.Client]:
    """Debian's Prometheus, with the configuration we ship, on a service that wants a key."""
    program = tool("prometheus")
    service = start_small_server(API_KEYS=sha256(KEY.encode()).hexdigest())
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copy(PROMETHEUS / "alerts.yml", folder)
    (folder / "face-service.key").write_text(KEY)
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["localhost:8100"]}]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{service.port}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    promtool("check", "config", folder / "prometheus.yml")
    service.wait_until_ready()
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10) as client:
            wait_for_scrapes(client, service, four_faces.read_bytes())
            yield client
    finally:
        process.terminate()
        process.wait(20)
        service.stop()


def wait_for_scrapes(client: httpx.Client, service: Server, photo: bytes) -> None:
    """Use the service until Prometheus has seen its counters rise."""
    deadline = time.monotonic() + 40
    headers = {"Authorization": f"Bearer {KEY}"}
    seen: list[Any] = []
    while not seen or float(seen[0]["value"][1]) == 0:
        assert time.monotonic() < deadline, "Prometheus did not scrape the service"
        service.client.post("/detect", files={"file": photo}, headers=headers)
        time.sleep(0.2)
        with contextlib.suppress(httpx.HTTPError):  # not there yet, or not ready
            seen = query(client, 'rate(face_service_requests_total{endpoint="/detect"}[10s])')


def query(client: httpx.Client, expression: str) -> list[Any]:
    answered = client.get("/query", params={"query": expression})
    answered.raise_for_status()
    answer = answered.json()
    assert answer["status"] == "success", f"{expression}: {answer}"
    result: list[Any] = answer["data"]["result"]
    return result


def test_prometheus_scrapes_the_service_with_its_key(prometheus: httpx.Client) -> None:
    (up,) = query(prometheus, 'up{job="face-service"}')
    assert up["value"][1] == "1"
    (ready,) = query(prometheus, "face_service_ready")
    assert ready["value"][1] == "1"
    (stage,) = query(prometheus, 'face_service_stage_duration_seconds_count{stage="serialise"}')
    assert float(stage["value"][1]) >= 1


def test_every_panel_shows_something(prometheus: httpx.Client) -> None:
    empty = [each for each in dashboard_expressions() if not query(prometheus, each)]
    assert empty == []


def test_every_rule_is_evaluated(prometheus: httpx.Client) -> None:
    deadline = time.monotonic() + 20
    while True:
        (group,) = prometheus.get("/rules").json()["data"]["groups"]
        health = {rule["name"]: rule["health"] for rule in group["rules"]}
        if "unknown" not in health.values() or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert health == {rule["alert"]: "ok" for rule in rules()}
    assert not [rule["name"] for rule in group["rules"] if rule["state"] == "firing"]
