"""The settings: what is asked for, what differs from the defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from face_service.runtime.threads import CGROUP, available_cpus

if TYPE_CHECKING:
    from face_service.config import Settings

USER_IN_URL = re.compile(r"(?<=//)[^/@\s]+@")
"""User and password of a URL, which no report shows."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings that the report shows. asked: ONNX_PROVIDERS. threads: of all networks on the
    CPU together, which at most `workers` requests share. differing: the settings that differ from
    their defaults, as they would be written; of API_KEYS only their number."""

    asked: tuple[str, ...]
    precision: str
    model: str
    cache_dir: Path
    threads: int
    workers: int
    differing: Mapping[str, str]


def configuration(model: str | None, cgroup: Path = CGROUP) -> Configuration:
    """The settings of this environment, with `model` instead of INSIGHTFACE_MODEL where it is
    given.

    Raises StartupError where one is not allowed, ImportError where a package is missing.
    """
    from face_service.config import load_settings
    from face_service.runtime.threads import most_workers

    settings = load_settings(insightface_model=model)
    threads = settings.intra_op_threads or available_cpus(cgroup)
    return Configuration(
        asked=settings.onnx_providers,
        precision=settings.precision,
        model=settings.insightface_model,
        cache_dir=settings.model_cache_dir,
        threads=threads,
        workers=most_workers(settings.workers, threads),
        differing=dict(differing(settings)),
    )


def differing(settings: Settings) -> list[tuple[str, str]]:
    """Name and value of every setting that differs from its default."""
    return [
        (name.upper(), shown(name, value))
        for name, field in type(settings).model_fields.items()
        if (value := getattr(settings, name)) != field.default
    ]


def shown(name: str, value: object) -> str:
    """A setting as it would be written, without keys and passwords."""
    if name == "api_keys" and isinstance(value, tuple):
        return f"({len(value)})"
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return USER_IN_URL.sub("…@", text)
