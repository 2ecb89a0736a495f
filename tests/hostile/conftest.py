"""Pictures for every test of hostile input."""

from __future__ import annotations

import numpy as np
import pytest

from tests.images import encode


@pytest.fixture(scope="module")
def small() -> bytes:
    return encode(np.zeros((64, 64, 3), np.uint8), "JPEG")
