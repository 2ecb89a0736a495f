"""Does a quantised recogniser compute one space on every kind of processor?

    scripts/arm64.sh                                              # ARM64 for QEMU; once
    .venv/bin/python -m benchmarks.studies.processors [PACK]      # starter if left out

The recogniser of PACK in int8, calibrated on six faces of Solvay 1927, by the kernels of each
emulated processor: mean and least cosine of the faces' embeddings to those of this processor, to
exact arithmetic, and of fp32 to this processor's fp32.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from face_service.packs.entries import Role
from face_service.packs.store import resolve
from face_service.runtime.processor import processor
from tests import references
from tests.kernels import EMULATIONS, Floats, embed, emulated, missing

BRIGHTER = np.float32(1 + 1e-7)
"""The next number after 1: how near to itself is a network of which nothing but that differs?"""


def agreement(one: Floats, other: Floats) -> str:
    cosines = (one * other).sum(axis=1)
    return f"{cosines.mean():.4f}, {cosines.min():.4f}"


def main() -> None:
    pack = resolve(sys.argv[1] if sys.argv[1:] else "starter", references.ROOT / "models")
    model = pack.models[Role.RECOGNITION]
    known = next(references.FOLDER.glob("*.npz"))
    inputs = references.inputs_of(model, references.read(known)["landmarks"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        int8, fp32 = references.quantised(model, inputs, folder), model.path.absolute()
        here, exact, plain = (
            embed(int8, inputs),
            embed(int8, inputs, exact=True),
            embed(fp32, inputs),
        )
        print(f"| {pack.name}, recogniser | against this processor | against exact | fp32 |")
        print("|---|---|---|---|")
        print(f"| {processor().class_name}, this one | 1 | {agreement(here, exact)} | 1 |")
        inner = folder / "brighter"
        inner.mkdir()
        other = embed(references.quantised(model, inputs * BRIGHTER, inner), inputs)
        print(f"| the same, calibrated on inputs × (1 + 1e-7) | {agreement(other, here)} | | |")
        for name in EMULATIONS:
            if reason := missing(name):
                print(reason, file=sys.stderr)
                continue
            found = emulated(name, int8, inputs, folder)
            floats = agreement(emulated(name, fp32, inputs, folder), plain)
            cells = agreement(found, here), agreement(found, exact), floats
            print(f"| {name}, emulated | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
