"""Builds of ONNX Runtime: all are one module, so one must be installed."""

from __future__ import annotations

from importlib import metadata

import onnxruntime
import pytest

from face_service.runtime.builds import (
    BUILDS,
    conflicting_builds,
    installed_builds,
    reinstall_command,
)
from face_service.runtime.providers import PROVIDERS


def test_this_environment_has_one_build_and_it_is_known() -> None:
    assert installed_builds() == {"onnxruntime": onnxruntime.__version__}
    owners = metadata.packages_distributions()["onnxruntime"]
    assert set(owners) <= set(BUILDS)


def test_several_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("onnxruntime", "onnxruntime-gpu"):
            return "1.31.1"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert list(installed_builds()) == ["onnxruntime", "onnxruntime-gpu"]


def test_a_stand_in_is_no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        found = {"onnxruntime": "1.20+see.onnxruntime.gpu", "onnxruntime-gpu": "1.26.0"}
        if name in found:
            return found[name]
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert installed_builds() == {"onnxruntime-gpu": "1.26.0"}


def test_one_build_is_no_clash() -> None:
    assert conflicting_builds({"onnxruntime": "1"}, "onnxruntime-gpu") is None
    assert conflicting_builds({}, "onnxruntime-gpu") is None


def test_the_package_of_every_provider_is_a_known_build() -> None:
    for provider in PROVIDERS.values():
        assert provider.package.partition("==")[0] in BUILDS


def test_where_nothing_is_installed_nothing_is_removed() -> None:
    assert reinstall_command((), "onnxruntime-gpu") == "pip install onnxruntime-gpu"
