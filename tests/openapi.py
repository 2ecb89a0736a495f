"""`python -m tests.openapi`: accept the OpenAPI document as it is now, into tests/openapi.json.

What callers and generated clients rely on changes only by a line in a commit that somebody reads.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from face_service.app import create_app
from face_service.config import Settings

ACCEPTED = Path(__file__).with_name("openapi.json")


def document() -> dict[str, Any]:
    """The document of a service with default settings."""
    app = create_app(Settings(_env_file=None))
    app.state.service.close()
    return app.openapi()


def as_text(document: dict[str, Any]) -> str:
    """As it is kept: a value a line, in one order."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    ACCEPTED.write_text(as_text(document()))
    sys.exit(0)
