"""POST /group: embeddings to tracks and groups, one for each person."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from face_service.engine_info import EngineInfo
from face_service.errors import InvalidRequest
from face_service.grouping.faces import Faces
from face_service.grouping.grouping import Grouping, GroupOptions
from face_service.http.responses import ChunkedJson
from face_service.routes.admitted_route import AdmittedRoute
from face_service.routes.bodies import read_body, with_fields
from face_service.routes.deps import Configured, Record, Service, media_type
from face_service.routes.detect import ERRORS, FILE
from face_service.routes.forms import read_form_with_json
from face_service.routes.group_bodies import Described, faces_of_bytes, faces_of_json
from face_service.schemas.grouping import GroupingOptions, GroupRequest, GroupResponse, SeenFace
from face_service.schemas.inline import inline_schema
from face_service.serialization import as_base64, render_model, to_json
from face_service.thresholds import GROUP_RATE, TRACK_RATE, similarity_at

NONE = "none"
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": inline_schema(GroupRequest)},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["embeddings"],
                    "properties": {
                        "embeddings": FILE,
                        "faces": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "description": "An array with an object for each embedding: `time`, "
                            "`bbox`, `quality`, `source`, as in JSON.",
                        },
                        **GroupingOptions.model_json_schema()["properties"],
                    },
                    "additionalProperties": False,
                }
            },
            "application/octet-stream": {"schema": FILE},
        },
    }
}

router = APIRouter(tags=["faces"], responses=ERRORS, route_class=AdmittedRoute)


@router.post("/group", response_model=GroupResponse, openapi_extra=BODY)
async def group_faces(
    service: Service,
    settings: Configured,
    record: Record,
    options: Annotated[GroupingOptions, Query()],
    request: Request,
) -> Response:
    """Say which faces are one person's, from their embeddings.

    First the faces of consecutive frames of a video are joined (tracks), then the tracks of all
    videos (groups). Two faces of one source and time are never in one group. The body is JSON; or a
    form whose file `embeddings` holds float32, little-endian, one embedding after the other; or
    these numbers alone.
    """
    info = service.require_info()
    make_faces, of_form = await read_faces(request)
    started = time.perf_counter()
    with record.times.measure("parse"):
        faces, seen, given = await service.run_in_pool(
            make_faces, info.dimension, settings.max_group_faces
        )
    del make_faces  # and the body
    wanted = with_fields(options, of_form).model_copy(update=given)
    applied = options_for(info, wanted)
    found = await service.group(faces, applied, record.times)
    elapsed_ms = (time.perf_counter() - started) * 1e3
    record.pack = info.pack
    counts = f"{len(faces)} faces to {len(found.groups)} groups"
    record.set_message(__name__, f"Grouped {counts} in {elapsed_ms:.2f}ms")

    def response() -> Response:
        with record.times.measure("serialise"):
            content = {
                **render(found, faces, seen, wanted),
                "thresholds": {
                    "group_similarity": applied.group_similarity,
                    "track_similarity": applied.track_similarity,
                },
                "processing_time_ms": round(elapsed_ms, 2),
                "model": render_model(info),
                "request_id": record.request_id,
            }
            return ChunkedJson([to_json(content)])

    return await service.run_in_pool(response)


async def read_faces(request: Request) -> tuple[Callable[[int, int], Described], dict[str, str]]:
    """Read a body. Returns a call that makes faces of it, to be made off the event loop, and the
    options of a form, as text. The call takes the length of an embedding and the most faces there
    may be. Both steps raise InvalidRequest."""
    kind = media_type(request)
    if kind == "application/json":
        return partial(faces_of_json, await read_body(request)), {}
    if kind == "application/octet-stream":
        return partial(faces_of_bytes, await read_body(request), None), {}
    if kind != "multipart/form-data":
        raise InvalidRequest(
            "Send the faces as application/json, or their embeddings as the file 'embeddings' of "
            "multipart/form-data or as application/octet-stream"
        )
    form = await read_form_with_json(request, {"embeddings": 1}, "faces", GroupingOptions)
    if not form.files["embeddings"]:
        raise InvalidRequest("The form has no file field named 'embeddings'")
    ((_, embeddings),) = form.files["embeddings"]
    return partial(faces_of_bytes, embeddings, form.json), form.options


def options_for(info: EngineInfo, wanted: GroupingOptions) -> GroupOptions:
    """The options, with the pack's similarities for those left out. Raises InvalidRequest where
    `group_similarity` is left out and was not measured for the pack."""
    similarity = wanted.group_similarity
    if similarity is None:
        similarity = similarity_at(GROUP_RATE, info.operating_points, info.threshold)
    if similarity is None:
        raise InvalidRequest(
            f"group_similarity has to be given: nobody has measured {info.pack}'s "
            "(face-service evaluate measures it)"
        )
    in_place = wanted.track_similarity
    if in_place is None:
        usual = similarity_at(TRACK_RATE, info.operating_points, info.threshold)
        in_place = min(similarity, usual or similarity)
    return GroupOptions(similarity, in_place, wanted.max_gap, wanted.representatives)


def render(
    found: Grouping, faces: Faces, seen: Sequence[SeenFace], options: GroupingOptions
) -> dict[str, Any]:
    """Tracks, groups and labels of a GroupResponse; the labels as int64 [number of faces]."""
    wanted = options.embedding_format != NONE
    track_labels = np.empty(len(faces), np.int64)
    group_labels = np.empty(len(faces), np.int64)
    for number, track in enumerate(found.tracks):
        track_labels[track.faces], group_labels[track.faces] = number, track.group
    return {
        "tracks": [
            {
                "faces": track.faces,
                "group": track.group,
                "source": seen[track.faces[0]].source,
                "start": seen[track.faces[0]].time,
                "end": seen[track.faces[-1]].time,
                "best": track.best,
                "embedding": as_base64(track.embedding) if wanted else None,
            }
            for track in found.tracks
        ],
        "groups": [
            {
                "faces": one.faces,
                "tracks": one.tracks,
                "representatives": one.representatives,
                "embedding": as_base64(one.embedding) if wanted else None,
            }
            for one in found.groups
        ],
        "track_labels": track_labels,
        "group_labels": group_labels,
    }
