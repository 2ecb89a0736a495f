"""python ask.py urllib|http.client|httpx|close METHOD URL KEY [FILE]: the status, three times."""

import http.client
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import httpx

way, method, url, key, *files = sys.argv[1:]
body = Path(files[0]).read_bytes() if files else None
headers = {"X-API-Key": key, "Content-Type": "image/jpeg"}
if way == "urllib":
    for _ in range(3):
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()
                print(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                error.read()
                print(error.code)
elif way == "http.client":
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    for _ in range(3):
        connection.request(method, urlsplit(url).path, body, headers)
        response = connection.getresponse()
        response.read()
        print(response.status)
    connection.close()
else:
    more = {"Connection": "close"} if way == "close" else {}
    with httpx.Client(timeout=60) as client:
        for _ in range(3):
            content = body if body is not None else b""
            print(client.request(method, url, content=content, headers=headers | more).status_code)
