"""`.ray/bin/python -m tests.deploy.ray_serve PHOTO`: the example on Ray, as JSON on stdout."""

from __future__ import annotations

import json
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ray
import requests
from examples.ray_serve.service import FaceServiceReplica
from ray import serve

ATTEMPTS = 3
"""On a busy machine Ray gives up on the processes that it starts."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start() -> int:
    port = free_port()
    for attempt in range(ATTEMPTS):
        try:
            ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
            break
        except Exception:
            ray.shutdown()
            if attempt == ATTEMPTS - 1:
                raise
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    return port


def status(name: str) -> list[str]:
    """Of an application and of its deployment."""
    found = serve.status().applications[name]
    return [found.status.value, *(each.status.value for each in found.deployments.values())]


def bad() -> Any:
    """A replica of a pack that is not there, tried once: each try is 2 seconds of a processor."""
    variables = {"INSIGHTFACE_MODEL": "./no-such-folder"}
    options = {"num_cpus": 1, "runtime_env": {"env_vars": variables}}
    return FaceServiceReplica.options(
        ray_actor_options=options, max_constructor_retry_count=1
    ).bind()


def main() -> None:
    photo, port = Path(sys.argv[1]).read_bytes(), start()
    told: dict[str, Any] = {}
    options = {"num_cpus": 1, "runtime_env": {"env_vars": {"INTRA_OP_THREADS": "1"}}}
    good = FaceServiceReplica.options(ray_actor_options=options)
    serve.run(good.bind(), name="good", route_prefix="/good")
    url = f"http://127.0.0.1:{port}/good"

    def post(_: int) -> requests.Response:
        headers = {"Content-Type": "image/jpeg"}
        return requests.post(f"{url}/detect", data=photo, headers=headers, timeout=120)

    first = post(0)
    told["first"] = [first.status_code, len(first.json()["faces"])]
    told["ready"] = requests.get(f"{url}/health/ready", timeout=60).json()
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(post, range(24)))
    told["statuses"] = sorted({answer.status_code for answer in answers})
    refused = [answer for answer in answers if answer.status_code == 429]
    told["refused"] = [
        [answer.json().get("code"), "Retry-After" in answer.headers] for answer in refused[:1]
    ]
    told["good"] = status("good")
    try:
        serve.run(bad(), name="bad", route_prefix="/bad")
        told["bad"] = "it runs"
    except RuntimeError as error:
        told["bad"] = str(error)
    told["bad status"] = status("bad")
    told["still"] = post(0).status_code
    print(json.dumps(told), flush=True)
    os._exit(0)  # Serve's own end takes half a minute, and the raylet ends by itself


if __name__ == "__main__":
    main()
