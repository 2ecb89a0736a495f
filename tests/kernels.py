"""`python -P tests/kernels.py NETWORK INPUTS OUT`: a recogniser's embeddings as ONNX Runtime's
kernels of this processor compute them.

Imports nothing of the project, so that it starts fast where a processor is emulated. `emulated`
runs it so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy._core._multiarray_umath import __cpu_features__ as features
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
ARM64 = ROOT / ".arm64"

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Emulation:
    """A processor that qemu-user emulates.

    qemu: the program and its arguments. features: those of FEATURES that the processor has.
    python: one of its architecture. packages: the folder that Python finds ONNX Runtime in, None
    for its own."""

    qemu: tuple[str, ...]
    features: tuple[str, ...]
    python: str = sys.executable
    packages: Path | None = None


FEATURES = "AVX2", "AVX512F", "ASIMD", "ASIMDDP", "SVE"
"""What numpy calls instruction sets that decide which kernels compute int8."""


def arm64(cpu: str, *found: str) -> Emulation:
    """One of QEMU's ARM64 processors, on what scripts/arm64.sh installs."""
    root = ARM64 / "root"
    command = "qemu-aarch64", "-cpu", cpu, "-L", str(root)
    return Emulation(command, ("ASIMD", *found), str(root / "usr/bin/python3"), ARM64 / "site")


EMULATIONS = {
    # QEMU's own processor has AVX2 from version 7.2 on, and never AVX-512.
    "avx2": Emulation(("qemu-x86_64", "-cpu", "max"), ("AVX2",)),
    "neon": arm64("cortex-a57"),
    "neon-dotprod": arm64("neoverse-n1", "ASIMDDP"),
    "sve-dotprod-i8mm-bf16": arm64("max", "ASIMDDP", "SVE"),
}
"""Each by its class, as `runtime.processor.class_of` names it."""


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


def emulated(class_name: str, network: Path, inputs: Floats, folder: Path) -> Floats:
    """The same on a processor of one of the EMULATIONS; files go to `folder`."""
    processor = EMULATIONS[class_name]
    np.save(folder / "inputs.npy", inputs)
    # -P: the folders beside this file, http and platform, are not the modules of those names.
    python = *processor.qemu, processor.python, "-P", __file__
    # Debian's package has none, and an emulated processor takes two seconds to compile it.
    kept = {"PYTHONPYCACHEPREFIX": str(folder.parent / "bytecode")}
    bytecode = kept if processor.packages else {"PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [*python, network, folder / "inputs.npy", folder / "embeddings.npy"],
        env={
            "PATH": os.environ["PATH"],
            "ORT_DISABLE_TELEMETRY": "1",
            **bytecode,
            **({"PYTHONPATH": str(processor.packages)} if processor.packages else {}),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    assert tuple(run.stdout.split()) == processor.features, "not the processor that was asked for"
    return np.load(folder / "embeddings.npy")


def missing(class_name: str) -> str | None:
    """Why a processor of one of the EMULATIONS cannot be emulated here, None where it can."""
    processor = EMULATIONS[class_name]
    if not shutil.which(processor.qemu[0]):
        return f"no {processor.qemu[0]}: Debian's qemu-user has it"
    if processor.packages and not processor.packages.is_dir():
        return "no ARM64 Python: scripts/arm64.sh installs it (190 MB) into .arm64"
    return None


if __name__ == "__main__":
    print(*(name for name in FEATURES if features.get(name)))
    network, inputs, out = map(Path, sys.argv[1:4])
    np.save(out, embed(network, np.load(inputs)))
