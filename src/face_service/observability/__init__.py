"""Logs, metrics and traces, and the record of a request that they are made from."""

import sys
from typing import cast

# structlog draws tracebacks with rich where it finds it, and typer brings it: a seventh of what a
# start imports, for what no line of this log has. None there means "not installed".
_modules = cast("dict[str, object]", sys.modules)
_absent = _modules.setdefault("rich", None) is None

import structlog  # noqa: E402, F401

if _absent:
    del _modules["rich"]
