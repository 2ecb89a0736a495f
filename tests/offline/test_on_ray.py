"""`face-service embed --ray` on a real cluster, whose actors, node and driver are killed. With 500
items: `python -m tests.offline.on_ray`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import commands
from tests.conftest import environment_of_servers
from tests.offline.on_ray import do_again, kill_driver, lose_node
from tests.offline.ray_runs import PYTHON, running

ITEMS, ROWS = 42, 3
WITHIN_S = 240


def test_every_item_is_there_once_whatever_is_killed(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("no Ray: scripts/ray.sh installs it (900 MB) into .ray")
    with running(tmp_path, ITEMS) as cluster:
        kill_driver(cluster, ROWS, WITHIN_S)
        lose_node(cluster, ROWS, WITHIN_S)
        cluster.check()
        do_again(cluster, ROWS, WITHIN_S)


def test_without_ray_it_says_so(tmp_path: Path) -> None:
    program = "import sys; sys.modules['ray'] = None\n" + commands.MAIN
    done = commands.run(
        ["embed", "m.csv", "--out", "out", "--ray", "local"],
        environment_of_servers(),
        tmp_path,
        program,
    )
    assert done.returncode == 2
    assert "pip install 'face-service[embed,ray]'" in done.stderr
