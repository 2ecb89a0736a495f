"""python ask.py urllib|http.client|httpx|close (METHOD URL KEY FILE)...: a line for each case, the
statuses of three requests on one client. FILE is empty where there is no body."""

import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx


def statuses(way: str, method: str, url: str, key: str, file: str) -> Iterator[int]:
    body = Path(file).read_bytes() if file else None
    headers = {"X-API-Key": key, "Content-Type": "image/jpeg"}
    if way == "urllib":
        for _ in range(3):
            request = urllib.request.Request(url, body, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    answer.read()
                    yield answer.status
            except urllib.error.HTTPError as error:
                with error:
                    error.read()
                    yield error.code
    elif way == "http.client":
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        for _ in range(3):
            connection.request(method, urlsplit(url).path, body, headers)
            response = connection.getresponse()
            response.read()
            yield response.status
        connection.close()
    else:
        more = {"Connection": "close"} if way == "close" else {}
        with httpx.Client(timeout=60) as client:
            for _ in range(3):
                content = body if body is not None else b""
                yield client.request(
                    method, url, content=content, headers=headers | more
                ).status_code


_, way, *cases = sys.argv
while cases:
    print(*statuses(way, *cases[:4]))
    del cases[:4]
