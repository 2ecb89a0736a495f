"""`python -m tests.kernels NETWORK INPUTS OUT`: a recogniser's embeddings as ONNX Runtime's kernels
of this processor compute them; with `exact` after it, one operator after the other in float.

Imports nothing of the project, so that it starts fast where a processor is emulated. `emulated`
runs it so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from numpy._core._multiarray_umath import __cpu_features__ as features
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
QEMU = "qemu-x86_64"
AVX2 = (QEMU, "-cpu", "max")
"""QEMU's own processor has AVX2 from version 7.2 on, and never AVX-512."""

Floats = NDArray[np.float32]


def embed(network: Path, inputs: Floats, exact: bool = False) -> Floats:
    """Embeddings of length 1, [n, dimension], of inputs [n, 3, 112, 112].

    exact: without optimisation every QuantizeLinear, DequantizeLinear and convolution is computed
    as ONNX defines it, in float, and nothing can saturate.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if exact:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = np.concatenate([session.run(None, {name: row[None]})[0] for row in inputs])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def emulated(network: Path, inputs: Floats, folder: Path) -> Floats:
    """The same on a processor with AVX2 alone, emulated by qemu-user; files go to `folder`."""
    np.save(folder / "inputs.npy", inputs)
    command = (*AVX2, sys.executable, "-m", "tests.kernels", network, folder / "inputs.npy")
    run = subprocess.run(
        [*command, folder / "embeddings.npy"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["AVX2"], "not the processor that was asked for"
    return np.load(folder / "embeddings.npy")


def missing() -> str | None:
    """Why a processor with AVX2 cannot be emulated here, None where it can."""
    return None if shutil.which(QEMU) else f"no {QEMU}: Debian's qemu-user has it"


if __name__ == "__main__":
    print(*(name for name in ("AVX2", "AVX512F") if features[name]))
    network, inputs, out = map(Path, sys.argv[1:4])
    np.save(out, embed(network, np.load(inputs)))
