"""The log: one line a message on stderr, for people (console) or for programs (json).

Modules log with the standard library's loggers; structlog formats. A record may carry `fields`
(`extra={"fields": {…}}`), which every line shows in its way, and every line logged during a
request shows its `request_id`.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Any

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from face_service.config import LogFormat
from face_service.observability.log_handler import RateLimitedLogHandler
from face_service.observability.stderr import STDERR
from face_service.observability.tracing import add_trace_id

logger = logging.getLogger(__name__)

INDENT = "\n    "
"""Begins what belongs to the line above it; a line of the log itself begins with its time."""


def configure_logging(level: str, form: LogFormat, file: int = STDERR) -> None:
    """Log to `file`, a descriptor: this service from `level` on, its libraries from INFO on at
    the earliest. At DEBUG, libraries write down what they read.
    """
    scribe = RateLimitedLogHandler(file)
    scribe.setFormatter(formatter(form))
    logging.basicConfig(
        level=max(logging.getLevelNamesMapping()[level], logging.INFO),
        handlers=[scribe],
        force=True,
    )
    logging.getLogger("face_service").setLevel(level)
    logging.getLogger("uvicorn.error").addFilter(is_news)
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: logger.critical(
        "The process ends: nobody expected this", exc_info=(kind, error, trace)
    )
    threading.excepthook = lambda hook: logger.critical(
        "A thread ends: nobody expected this", exc_info=hook.exc_value
    )


def is_news(record: logging.LogRecord) -> bool:
    """False for what `server.py` logs itself, with an id, when it answers."""
    return record.msg != "Invalid HTTP request received."


def formatter(form: LogFormat) -> ProcessorFormatter:
    """What makes a line of a record."""
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
    """What a record carries beside its words."""
    event.update(getattr(event["_record"], "fields", {}))
    return event


def to_console(_: Any, __: str, event: EventDict) -> str:
    """`2024-01-15 10:30:45 - logger - LEVEL - words name=value …`, a traceback below it.

    Nothing that was sent can look like another line: what follows a line break is indented, and
    control characters are written out.
    """
    record: logging.LogRecord = event.pop("_record")
    del event["_from_structlog"]
    words, trace = event.pop("event"), event.pop("exception", None)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
    fields = "".join(f" {name}={shown(value)}" for name, value in event.items())
    below = INDENT + escaped(trace) if trace else ""
    return f"{when} - {record.name} - {record.levelname} - {escaped(words)}{fields}{below}"


def escaped(text: str) -> str:
    """Text without control characters, its line breaks indented."""
    if text.isprintable():
        return text
    lines = text.rstrip("\n").split("\n")
    return INDENT.join("".join(map(printable, line)) for line in lines)


def printable(character: str) -> str:
    """A character, or its escape."""
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def shown(value: object) -> str:
    """A value that cannot be mistaken for two."""
    text = str(value)
    if text.isprintable() and not set(text) & set(' "='):
        return text
    return json.dumps(text)


def to_json(event: EventDict, **_: Any) -> str:
    """JSON in UTF-8, whatever stands in the event."""
    try:
        return orjson.dumps(event, default=repr).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, as in the name of a broken file
        whole = {
            name: str(value).encode(errors="backslashreplace").decode()
            for name, value in event.items()
        }
        return orjson.dumps(whole).decode()
