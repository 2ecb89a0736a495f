"""Set-up of logging: one line a message on stderr, as text (console) or JSON.

Modules use the standard library's loggers; structlog formats. `extra={"fields": {…}}` adds fields
to a line, and every line logged during a request has its `request_id`.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Any, Literal

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from face_service.observability.log_handler import RateLimitedLogHandler
from face_service.observability.stderr import STDERR
from face_service.observability.tracing import add_trace_id

logger = logging.getLogger(__name__)

INDENT = "\n    "
"""Begins a continuation line; all other lines begin with their time."""


def configure_logging(level: str, form: Literal["console", "json"], file: int = STDERR) -> None:
    """Log to the file descriptor `file`, warnings and uncaught exceptions included. To be called
    once: every call starts a thread that writes (RateLimitedLogHandler).

    `level`: name of the least level that this service logs. Libraries log at that level, at INFO
    at least: at DEBUG they would log data that callers sent.
    """
    handler = RateLimitedLogHandler(file)
    handler.setFormatter(formatter(form))
    logging.basicConfig(
        level=max(logging.getLevelNamesMapping()[level], logging.INFO),
        handlers=[handler],
        force=True,
    )
    logging.getLogger("face_service").setLevel(level)
    logging.getLogger("uvicorn.error").addFilter(is_not_logged_elsewhere)
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: logger.critical(
        "The process ends: an unexpected exception", exc_info=(kind, error, trace)
    )
    threading.excepthook = lambda hook: logger.critical(
        "A thread ends: an unexpected exception", exc_info=hook.exc_value
    )


def is_not_logged_elsewhere(record: logging.LogRecord) -> bool:
    """Filter: False for uvicorn's line on invalid HTTP; `http/protocol.py` logs it with an id."""
    return record.msg != "Invalid HTTP request received."


def formatter(form: Literal["console", "json"]) -> ProcessorFormatter:
    """The formatter of log records for a LOG_FORMAT."""
    common: list[Processor] = [
        add_fields,
        structlog.contextvars.merge_contextvars,
        add_trace_id,
        structlog.processors.format_exc_info,
    ]
    if form == "console":
        return ProcessorFormatter(processors=[to_console], foreign_pre_chain=common)
    head: list[Processor] = [
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.EventRenamer("message"),
    ]
    tail: list[Processor] = [
        ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(to_json),
    ]
    return ProcessorFormatter(processors=tail, foreign_pre_chain=[*head, *common])


def add_fields(_: Any, __: str, event: EventDict) -> EventDict:
    """A processor of structlog: add the `fields` of a log record, if it has any, to its line."""
    event.update(getattr(event["_record"], "fields", {}))
    return event


def to_console(_: Any, __: str, event: EventDict) -> str:
    """`2024-01-15 10:30:45 - logger - LEVEL - message name=value …`, and a traceback below.

    Text from callers cannot imitate a log line: continuation lines are indented, and control
    characters are escaped.
    """
    record: logging.LogRecord = event.pop("_record")
    del event["_from_structlog"]
    message, trace = event.pop("event"), event.pop("exception", None)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
    fields = "".join(f" {name}={shown(value)}" for name, value in event.items())
    below = INDENT + escaped(trace) if trace else ""
    return f"{when} - {record.name} - {record.levelname} - {escaped(message)}{fields}{below}"


def escaped(text: str) -> str:
    """Text with control characters escaped and continuation lines indented."""
    if text.isprintable():
        return text
    lines = text.rstrip("\n").split("\n")
    return INDENT.join("".join(map(printable, line)) for line in lines)


def printable(character: str) -> str:
    """A character as it is if it is printable, else as Python's escape sequence."""
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def shown(value: object) -> str:
    """A value as text; in JSON quotes if it has spaces, quotes, `=` or control characters."""
    text = str(value)
    if text.isprintable() and not set(text) & set(' "='):
        return text
    return json.dumps(text)


def to_json(event: EventDict, **_: Any) -> str:
    """One line of JSON; what is not JSON is written as its repr, lone surrogates escaped."""
    try:
        return orjson.dumps(event, default=repr).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, as in the name of a broken file
        whole = {
            name: str(value).encode(errors="backslashreplace").decode()
            for name, value in event.items()
        }
        return orjson.dumps(whole).decode()
