"""All sessions on the CPU compute in one arena, which gives back what they do not use."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from face_service.packs.pack import Pack, sha256_of
from face_service.runtime.child_process import run
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig

CHILD = """
import json, sys
from pathlib import Path
import numpy as np
from face_service.packs.pack import sha256_of
from face_service.runtime.arena import shrink_shared_arena
from face_service.runtime.memory import set_up_malloc, trim_heap
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig

def held():
    trim_heap()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

set_up_malloc()
shrink_shared_arena()  # nothing to do yet, and no error
spec = NetworkSpec(Path(sys.argv[1]), sha256_of(Path(sys.argv[1])), single=True)
networks = [load_networks([spec], (CPU,), RuntimeConfig(threads))[0] for threads in (1, 2)]
blob = np.zeros((1, 3, 640, 640), np.float32)
found = [held()]
for network in networks:
    network.run(blob)
    found.append(held())
shrink_shared_arena()
found.append(held())
networks[0].run(blob)
print(json.dumps([*found, held()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process holds")
def test_sessions_share_what_they_compute_in_and_give_it_back(cpu: Path) -> None:
    """In a process of its own, whose heap nothing else has used."""
    ended = run([sys.executable, "-c", CHILD, str(cpu)], 120, "")
    assert ended and not ended.status, ended
    opened, first, second, given_back, again = json.loads(ended.out)
    activations = first - opened
    assert activations > 10_000
    assert second - first < activations / 3  # the other session takes the same blocks
    assert given_back - opened < activations / 3
    assert again - given_back > activations / 2


@pytest.fixture
def cpu(starter: Pack) -> Path:
    """The starter's detector."""
    return next(model.path for role, model in starter.models.items() if role.value == "detection")


def test_engines_share_a_session_of_one_thread_and_no_other(cpu: Path, tmp_path: Path) -> None:
    config = RuntimeConfig(2, (1,), cache=tmp_path)
    spec = NetworkSpec(cpu, sha256_of(cpu), single=True)

    def sessions(config: RuntimeConfig) -> dict[int, object]:
        (network,) = load_networks([spec], (CPU,), config)
        return {width: by_shape[None] for width, by_shape in network._sessions.items()}

    one, two = sessions(config), sessions(config)
    assert one[1] is two[1]
    assert one[2] is not two[2]
    other = sessions(RuntimeConfig(2, (1,), cache=tmp_path))
    assert other[1] is not one[1]
