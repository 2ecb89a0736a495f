"""The settings that `face-service tune` tries, and the values of each."""

from __future__ import annotations

from collections.abc import Sequence

from face_service.runtime.providers import CPU, PROVIDERS

from .search import Accuracy, Variables


def knobs_for(
    threads: int, offered: Sequence[str], taken: Sequence[str], int8: str | None, accuracy: Accuracy
) -> list[list[Variables]]:
    """The alternatives of each setting, the most important first.

    threads: of the CPU. offered: providers of this build of ONNX Runtime. taken: those that compute
    with today's settings, preferred first. int8: the folder of a pack in int8, None where there is
    none.
    """
    fewer = sorted({max(1, threads // 2), max(1, threads // 4)} - {threads})
    known = [name for name in offered if name in PROVIDERS and name not in taken[:1]]
    knobs: list[list[Variables]] = [
        [{"ONNX_PROVIDERS": with_cpu(name)} for name in known],
        [{"WORKERS": str(n)} for n in sorted({1, *fewer} - {threads})],
        [{"INTRA_OP_THREADS": str(n)} for n in fewer],
        *by_accuracy(int8, accuracy),
    ]
    return [alternatives for alternatives in knobs if alternatives]


def with_cpu(provider: str) -> str:
    """The value of ONNX_PROVIDERS: a provider, and the CPU for what it leaves out."""
    return provider if provider == CPU else f"{provider},{CPU}"


def by_accuracy(int8: str | None, accuracy: Accuracy) -> list[list[Variables]]:
    """The alternatives that change answers as far as `accuracy` allows."""
    gate: list[Variables] = [{"DET_GATE": "on"}, {"DET_GATE": "off"}]
    precision: list[Variables] = [{"PRECISION": "bf16"}, {"PRECISION": "fp16"}]
    if int8:
        precision.append({"INSIGHTFACE_MODEL": int8, "PRECISION": "int8"})
    canvas: list[Variables] = [{"DET_SIZE": "480"}, {"DET_SIZE": "320"}]
    return {"same": [], "close": [gate], "other": [gate, precision, canvas]}[accuracy]
