"""insightface's FaceAnalysis in a loop: an opponent without HTTP, one process, one caller.

Runs in the environment that scripts/oracle.sh makes, started by benchmarks.opponents: an
order as JSON on stdin's first line, then numbers of seconds, each answered with a line.
The networks are those of ../shared/tools/naive_service.py, the threads ONNX Runtime's own.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import resource
import sys
import time
from typing import Any

import cv2
import numpy as np
from insightface.app import FaceAnalysis


def main() -> None:
    """Answer the lines of stdin until it ends."""
    order = json.loads(sys.stdin.readline())
    with contextlib.redirect_stdout(sys.stderr):  # it prints what it loads
        app = FaceAnalysis(
            name=order["pack"],
            root="/",
            allowed_modules=["detection", "recognition", "genderage"],
            providers=["CPUExecutionProvider"],
        )
        app.prepare(ctx_id=-1, det_size=(640, 640))
    for line in sys.stdin:
        ask = json.loads(line)
        images = [base64.b64decode(image) for image in ask["images"]]
        print(json.dumps(loop(app, images, ask["seconds"])), flush=True)


def loop(app: Any, images: list[bytes], seconds: float) -> dict[str, Any]:
    """Decode and analyse the images in turn for at least so long, and each at least once."""
    latencies, started = [], time.perf_counter()
    for turn in itertools.count():
        before = time.perf_counter()
        if before - started >= seconds and turn >= len(images):
            break
        data = np.frombuffer(images[turn % len(images)], np.uint8)
        app.get(cv2.imdecode(data, cv2.IMREAD_COLOR))
        latencies.append(time.perf_counter() - before)
    return {
        "latencies": latencies,
        "seconds": time.perf_counter() - started,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


if __name__ == "__main__":
    main()
