"""What several commands have in common."""

from __future__ import annotations

import importlib

import pytest

from face_service.cli.shared import needs_extra
from face_service.errors import StartupError


def test_a_missing_package_is_named_with_the_extra_that_brings_it() -> None:
    wanted = r"needs the extra `ray`: pip install 'face-service\[embed,ray\]' \(no_such is missing"
    with pytest.raises(StartupError, match=wanted), needs_extra("ray", "embed,ray"):
        importlib.import_module("no_such")
