"""Offers of another protocol, which are ignored (RFC 9110, 7.8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

OFFERS = frozenset({b"upgrade", b"http2-settings"})
"""Headers that offer another protocol, and the options of `Connection` that go with them."""


def head_without_offer(parser: Any, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Request line and headers that `parser` (httptools) has read, without OFFERS.

    `headers`: names in lower case.
    """
    lines = [b"%b %b HTTP/%b" % (parser.get_method(), url, parser.get_http_version().encode())]
    for name, value in headers:
        if name == b"connection":
            options = [option.strip() for option in value.split(b",")]
            value = b", ".join(option for option in options if option.lower() not in OFFERS)
        if name not in OFFERS:
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])
