"""Client: calls that block, sent by threads."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from . import calls
from .calls import Call, GroupOptions, KnownFace, Options
from .errors import ConnectionFailed, TimedOut
from .groups import Embedded, Grouping
from .images import Image
from .many import Attempted, in_threads
from .results import Batch, Comparison, Detection, Floats
from .retry import Attempts, Config, Retry
from .status import Health, Models
from .wire import Answer

T = TypeVar("T")
I = TypeVar("I", bound=Image)  # noqa: E741

BASE_URL = "http://localhost:8100"
TIMEOUT_S = 35.0
"""A little over the default of the service's REQUEST_TIMEOUT_S, 30: so its 504 comes first."""
DEADLINE_S = 120.0


class Client:
    """Calls a face service; may be shared by threads.

    base_url: the service's address, http:// or https://, with a path before the API's own if any.
    api_key: sent as `Authorization: Bearer …`; None: no header.
    timeout: seconds without a byte after which an attempt counts as broken.
    deadline: seconds a call may take, all attempts and pauses together. Checked between the pieces
    of a body, so that a call may take up to one `timeout` longer.
    retry: how often a call is tried, and the pauses; None for the defaults of `Retry`.
    http: an httpx client of your own, for a proxy, certificates or connection limits; it stays
    open when this one is closed.

    Raises ValueError for a base_url or api_key that could never be sent. Every method but
    `detect_all` and `close` takes `request_id`, the id under which the service logs the call (a new
    one where it is left out; letters, digits and `._:-`, at most 128; ValueError for what no header
    can carry). All raise the errors of `face_service_client.errors`, and OSError and TypeError for
    images that cannot be read here. 429, 500, 504, broken connections and timeouts are tried again;
    while no connection can be made, or a 502 or 503 says that the service is away, it is waited for
    until `deadline`. Anything else is raised at once.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT_S,
        deadline: float = DEADLINE_S,
        retry: Retry | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._config = Config(base_url, api_key, timeout, deadline, retry or Retry())
        self._http = http or httpx.Client()
        self._http_is_ours = http is None

    def detect(
        self, image: Image, *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Detection:
        """Every face of an image. The options are those of `Options`."""
        return self._run(calls.detect(image, options), request_id)

    def detect_batch(
        self, images: Iterable[Image], *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Batch:
        """Every face of several images, in one request.

        One result for each, in order: its faces or an error of its own, which is not raised.
        The service takes 32 images at once unless its MAX_BATCH_FILES says otherwise.
        """
        return self._run(calls.detect_batch(images, options), request_id)

    def extract_embedding(
        self, image: Image, *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Detection:
        """The same as `detect` through JSON.

        A str is the image itself, as base64 or as a data: URL, not a path; anything else is encoded
        while it is sent. For an image that is not base64 yet, `detect` sends a quarter less.
        """
        return self._run(calls.extract_embedding(image, options), request_id)

    def compare(
        self, a: Image, b: Image, *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Comparison:
        """Compare every face of image `a` with every face of image `b`. The faces of the result
        have embeddings only with `embeddings=True`."""
        return self._run(calls.compare(a, b, options), request_id)

    def detect_all(
        self, images: Iterable[I], *, parallel: int = 4, **options: Unpack[Options]
    ) -> Iterator[Attempted[I, Detection]]:
        """Every face of many images, `parallel` at a time: an answer for each, in their order.

        Images are taken as they are needed, and at most twice `parallel` are held. One that the
        service cannot read, or that was given up after all attempts, has its error in its place.
        Unauthorized is raised, which ends the iteration; so are the OSError or TypeError of an
        image, such as a missing file, and ValueError for a `parallel` below 1.
        """

        def one(image: I) -> Detection:
            return self._run(calls.detect(image, options), None)

        return in_threads(images, one, parallel)

    def embed(
        self, crops: Iterable[Image], *, crop: bool = False, request_id: str | None = None
    ) -> Embedded:
        """The embeddings of aligned crops, 112×112 pixels, as `detect` returns them with
        `crops=True`. crop: return what was embedded as well."""
        return self._run(calls.embed(crops, crop), request_id)

    def embed_faces(
        self,
        image: Image,
        faces: Iterable[KnownFace],
        *,
        crop: bool = False,
        request_id: str | None = None,
    ) -> Embedded:
        """The embeddings of known faces of an image, in their order. The detector runs only for
        faces of which no landmarks are given. crop: return what was embedded as well. Raises
        TypeError for what is no KnownFace."""
        return self._run(calls.embed_faces(image, faces, crop), request_id)

    def group(
        self,
        embeddings: Floats | Sequence[Floats],
        *,
        times: Sequence[float | None] | Floats | None = None,
        boxes: Sequence[object] | Floats | None = None,
        quality: Sequence[float | None] | Floats | None = None,
        sources: Sequence[str | None] | None = None,
        request_id: str | None = None,
        **options: Unpack[GroupOptions],
    ) -> Grouping:
        """Which faces are one person's, from their embeddings, float32 (n, dimension).

        Of each face, None where it is not known: times: seconds within the source. boxes: x1, y1,
        x2, y2 in pixels of the frame. quality: `quality.score`. sources: which video it is from.
        Faces with a time become tracks first. The result names faces by their places, from 0.
        Raises ValueError for another shape, or where these are not n.
        """
        known = {"time": times, "bbox": boxes, "quality": quality, "source": sources}
        return self._run(calls.group(embeddings, known, options), request_id)

    def models(self, *, request_id: str | None = None) -> Models:
        """The loaded pack and the known ones: licences, thresholds, files."""
        return self._run(calls.models(), request_id)

    def health(self, *, request_id: str | None = None) -> Health:
        """The state of the service now, healthy or not. Sent once, never tried again."""
        return self._run(calls.health(), request_id)

    def ready(self, *, request_id: str | None = None) -> bool:
        """Whether a request would be answered now; False also where the service cannot be reached
        or does not answer in time. Sent once, never tried again."""
        try:
            return self._run(calls.ready(), request_id)
        except (ConnectionFailed, TimedOut):
            return False

    def close(self) -> None:
        """Close the connections; those of an `http` that was given stay open."""
        if self._http_is_ours:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, call: Call[T], request_id: str | None) -> T:
        attempts = Attempts(call, self._config, request_id or uuid.uuid4().hex)
        while not attempts.done:
            time.sleep(attempts.pause)
            try:
                answer = self._exchange(attempts)
            except httpx.RequestError as error:
                attempts.broke(error)
            else:
                attempts.answered(answer)
        return attempts.result

    def _exchange(self, attempts: Attempts[T]) -> Answer:
        body = attempts.call.body
        content = attempts.within(body.pieces()) if body else None
        request = self._http.build_request(**attempts.request(), content=content)
        response = self._http.send(request, stream=True)
        try:
            received = b"".join(attempts.within(response.iter_bytes()))
        finally:
            response.close()
        return Answer(response.status_code, response.headers, received)
