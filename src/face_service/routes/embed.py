"""POST /embed: embeddings of aligned crops, or of faces whose places are known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import pybase64
from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter

from face_service.errors import InvalidRequest, RequestError
from face_service.face_engine import Face
from face_service.routes.admitted_route import AdmittedRoute
from face_service.routes.bodies import decode_base64, read_body, with_fields
from face_service.routes.deps import Configured, Record, Service, media_type
from face_service.routes.detect import ERRORS, FILE, record_results, serialise
from face_service.routes.forms import read_form_with_json
from face_service.routes.json_bodies import parsed, refuse_excess, validated
from face_service.schemas.embedding import EmbedOptions, EmbedRequest, EmbedResponse, KnownFaceIn
from face_service.schemas.inline import inline_schema
from face_service.serialization import render_embedding, render_model, to_json
from face_service.serving.answers import Answer, ImageAnalysis
from face_service.serving.pipeline import ALIGNED, Known

NUMBERS = 20
"""Most commas in the JSON of a known face; five landmarks have 9."""
REQUEST = TypeAdapter(EmbedRequest)
FACES = TypeAdapter(list[KnownFaceIn])

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": FILE,
                            "minItems": 1,
                            "description": "Aligned crops, 112×112 pixels.",
                        },
                        "file": {**FILE, "description": "An image, instead of `files`."},
                        "faces": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "description": "Where the faces of `file` are: an array of objects "
                            "with `landmarks` or `bbox`.",
                        },
                        **EmbedOptions.model_json_schema()["properties"],
                    },
                    "additionalProperties": False,
                }
            },
            "application/json": {"schema": inline_schema(EmbedRequest)},
        },
    }
}


@dataclass(frozen=True, slots=True)
class Given:
    """What is to be embedded: aligned crops, or the known `faces` of a single image.

    names: of the files, None where they have none. faces: None for crops. options: those that a
    JSON body has set.
    """

    images: list[bytes]
    names: list[str | None]
    faces: Sequence[KnownFaceIn] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> Known:
        """Where the faces of each image are."""
        if self.faces is None:
            return ALIGNED
        return Known([face.for_engine() for face in self.faces])


router = APIRouter(tags=["faces"], responses=ERRORS, route_class=AdmittedRoute)


@router.post("/embed", response_model=EmbedResponse, openapi_extra=BODY)
async def embed_faces(
    service: Service,
    settings: Configured,
    record: Record,
    options: Annotated[EmbedOptions, Query()],
    request: Request,
) -> Response:
    """Embed aligned crops, or the faces of an image at places that are known.

    Crops are 112×112, as `crops=true` returns them. A place is five landmarks, and nothing is
    detected; or a box, in which the detector finds the landmarks. The body is a form with the
    repeated field `files`, or with `file` and `faces`; or JSON. `results` has one entry for each
    crop or face, in order; one that cannot be embedded has an error there.
    """
    make, of_form = await read_given(request, settings.max_faces)
    started = time.perf_counter()
    given = await service.run_in_pool(make)
    del make  # and the body
    wanted = with_fields(options, of_form).model_copy(update=given.options)
    names, faces = given.names, given.faces
    info, answers = await service.analyse_many(
        given.images, wanted.for_engine(), record.times, given.known
    )
    del given
    elapsed_ms = (time.perf_counter() - started) * 1e3
    record_results(record, [one for one in answers if isinstance(one, ImageAnalysis)])
    record.set_message(__name__, f"Embedded {sum(record.faces)} faces in {elapsed_ms:.2f}ms")
    results = list(each_face(answers, names, faces))

    def render_all() -> list[bytes]:
        content = {
            "results": [render(*one, wanted, record.request_id) for one in results],
            "processing_time_ms": round(elapsed_ms, 2),
            "model": render_model(info),
            "request_id": record.request_id,
        }
        return [to_json(content)]

    return await serialise(service, record, render_all)


async def read_given(request: Request, most: int) -> tuple[Callable[[], Given], dict[str, str]]:
    """Read a body. Returns a call that parses it, to be made off the event loop, and the options of
    a form, as text. most: crops or faces that there may be. Both steps raise InvalidRequest."""
    kind = media_type(request)
    if kind == "application/json":
        return partial(given_as_json, await read_body(request), most), {}
    if kind != "multipart/form-data":
        raise InvalidRequest(
            "Send crops as the multipart/form-data field 'files', repeated; or an image as 'file' "
            "with 'faces'; or either as application/json"
        )
    form = await read_form_with_json(request, {"files": most, "file": 1}, "faces", EmbedOptions)
    crops, image = form.files["files"], form.files["file"]
    if crops and not image and form.json is None:
        names, images = zip(*crops, strict=True)
        return partial(Given, list(images), list(names)), form.options
    if image and form.json is not None and not crops:
        return partial(given_as_file, *image[0], form.json, most), form.options
    raise InvalidRequest(
        "Send aligned crops as the field 'files', repeated; or else one image as the field 'file' "
        "and its faces, as JSON, in the field 'faces'"
    )


def given_as_file(name: str | None, image: bytes, text: bytes, most: int) -> Given:
    """An image and its faces, of `text`: a JSON array of KnownFaceIn. Raises InvalidRequest."""
    refuse_excess(text, NUMBERS * most, most)
    faces = validated(FACES, parsed(text), "faces")
    refuse_count(len(faces), most)
    return Given([image], [name], faces)


def given_as_json(body: bytes, most: int) -> Given:
    """Crops, or an image and its faces. Raises InvalidRequest."""
    refuse_excess(body, NUMBERS * most, most)
    request = validated(REQUEST, parsed(body))
    options = request.model_dump(include=set(EmbedOptions.model_fields), exclude_unset=True)
    refuse_count(len(request.crops_base64 or request.faces or ()), most)
    if request.crops_base64 is not None:
        images = [
            decode_base64(text, f"crops_base64.{place}")
            for place, text in enumerate(request.crops_base64)
        ]
        return Given(images, [None] * len(images), None, options)
    image = decode_base64(request.image_base64 or "")
    return Given([image], [None], request.faces, options)


def refuse_count(count: int, most: int) -> None:
    """Raise InvalidRequest for no face, and for more than MAX_FACES."""
    if not 0 < count <= most:
        raise InvalidRequest(f"There are {count} faces to embed, 1 to {most} may be (MAX_FACES)")


def each_face(
    answers: Sequence[Answer], names: Sequence[str | None], known: Sequence[KnownFaceIn] | None
) -> Iterator[tuple[str | None, Face | RequestError]]:
    """Name and result of each crop, or of each `known` face: a Face with an embedding, or why there
    is none. Raises the error of the image itself where its faces are `known`."""
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, RequestError):
            if known is not None:
                raise answer
            yield name, answer
            continue
        places: Sequence[KnownFaceIn | None] = known or [None]
        for face, place in zip(answer.faces, places, strict=True):
            if face.embedding is not None:
                yield name, face
            elif place is not None and place.bbox is not None:
                yield name, InvalidRequest("No face was found in this box")
            else:
                yield name, InvalidRequest("The landmarks are degenerate, or outside the image")


def render(
    name: str | None, found: Face | RequestError, options: EmbedOptions, request_id: str
) -> dict[str, Any]:
    """The JSON of an EmbeddedFace, as a dict."""
    if isinstance(found, RequestError):
        error = found.body(request_id)
        return {
            "file": name,
            "status": found.status,
            "embedding": None,
            "crop": None,
            "error": error,
        }
    return {
        "file": name,
        "status": 200,
        "embedding": render_embedding(found, options.embedding_format),
        "crop": found.crop and pybase64.b64encode_as_string(found.crop),
        "error": None,
    }
