"""What can be asked of the service, as data: no socket, no clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypedDict, TypeVar

from . import bodies, results, wire
from .bodies import Body
from .images import AsyncImage, source_of
from .wire import Answer

T = TypeVar("T")


class Options(TypedDict, total=False):
    """What may be asked of every image; the service's own default for what is left out.

    min_score: least detection score, 0 to 1. max_faces: the best so many. min_face_size: least
    shorter side of a face's box inside the image, in pixels. embeddings, attributes, landmarks,
    quality: whether they are computed and returned.
    """

    min_score: float
    max_faces: int | None
    min_face_size: float
    embeddings: bool
    attributes: bool
    landmarks: bool
    quality: bool


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and how its answer is read.

    accepted: statuses whose answer `parse` reads; any other is an error. retried: whether it is
    tried again; not for one who asks how things are right now.
    """

    method: str
    path: str
    parse: Callable[[Answer], T]
    query: Mapping[str, str] | None = None
    body: Body | None = None
    accepted: frozenset[int] = frozenset({200})
    retried: bool = True


def detect(image: AsyncImage, options: Options) -> Call[results.Detection]:
    """POST /detect."""
    body = bodies.form([("file", source_of(image))])
    return Call("POST", "/detect", wire.detection, query_of(options), body)


def detect_batch(images: Iterable[AsyncImage], options: Options) -> Call[results.Batch]:
    """POST /detect/batch. Raises TypeError for one image."""
    if isinstance(images, (str, bytes)):
        raise TypeError("detect_batch takes several images; for one there is detect")
    body = bodies.form([("files", source_of(image)) for image in images])
    return Call("POST", "/detect/batch", wire.batch, query_of(options), body)


def extract_embedding(image: AsyncImage, options: Options) -> Call[results.Detection]:
    """POST /extract-embedding. A str is base64 or a `data:` URL."""
    body = bodies.json_image(image if isinstance(image, str) else source_of(image))
    return Call("POST", "/extract-embedding", wire.detection, query_of(options), body)


def compare(a: AsyncImage, b: AsyncImage, options: Options) -> Call[results.Comparison]:
    """POST /compare, without embeddings unless they are asked for."""
    body = bodies.form([("file_a", source_of(a)), ("file_b", source_of(b))])
    query = query_of({"embeddings": False, **options})
    return Call("POST", "/compare", wire.comparison, query, body)


def models() -> Call[results.Models]:
    """GET /models."""
    return Call("GET", "/models", wire.models)


def health() -> Call[results.Health]:
    """GET /health; a 503 is read as well."""
    return Call("GET", "/health", wire.health, accepted=frozenset({200, 503}), retried=False)


def ready() -> Call[bool]:
    """GET /health/ready: True for 200, False for 503."""

    def is_ready(answer: Answer) -> bool:
        return answer.status == 200

    return Call("GET", "/health/ready", is_ready, accepted=frozenset({200, 503}), retried=False)


def query_of(options: Options) -> dict[str, str]:
    """Options as query parameters. Embeddings go over the wire as base64: half the bytes."""
    given = {name: value for name, value in options.items() if value is not None}
    embeddings = given.pop("embeddings", True)
    query = {name: json.dumps(value) for name, value in given.items()}
    return {"embedding_format": "base64" if embeddings else "none", **query}
