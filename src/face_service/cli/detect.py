"""`face-service detect`: faces of image files, for people without a client."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import cv2
import orjson
import typer

from face_service.assembly import load_engine
from face_service.config import Settings, load_settings
from face_service.errors import FaceServiceError, RequestError
from face_service.face_engine import EngineInfo, Face, Options, clip
from face_service.verification import read_photo
from face_service.vision.blob import Image
from face_service.vision.draw import draw_face
from face_service.vision.image import decode, silence_decoders
from face_service.vision.scrfd import MIN_SCORE


def detect(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line, embeddings included.")
    ] = False,
    draw: Annotated[
        Path | None,
        typer.Option(help="Write the image with its faces drawn; a folder for several images."),
    ] = None,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Least score.")] = MIN_SCORE,
    model: Annotated[str | None, typer.Option(help="Pack or folder [INSIGHTFACE_MODEL].")] = None,
) -> None:
    """Find every face of image files: boxes, scores, age and gender.

    A file that is not an image costs only itself; the exit status is then 1.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    silence_decoders()
    settings = load_settings(insightface_model=model)
    engine = load_engine(settings)
    failed = False
    for path in images:
        try:
            image = read_image(path, settings)
            faces = engine.faces_of(image, Options(min_score, embeddings=json))
            if draw:
                save_drawing(image, faces, drawing_path(draw, path, len(images)))
        except RequestError as error:
            typer.echo(f"{error}" if str(path) in str(error) else f"{path}: {error}", err=True)
            failed = True
            continue
        typer.echo(
            as_json(path, image, faces, engine.info) if json else as_text(path, image, faces)
        )
    raise typer.Exit(1 if failed else 0)


def read_image(path: Path, settings: Settings) -> Image:
    """Read and decode a file. Raises RequestError."""
    return decode(read_photo(path), settings.max_image_pixels)


def as_text(path: Path, image: Image, faces: list[Face]) -> str:
    """A line for the image and one for each face."""
    height, width = image.shape[:2]
    lines = [f"{path}: {len(faces)} face{'s' * (len(faces) != 1)} in {width}x{height}"]
    for face in faces:
        x1, y1, x2, y2 = clip(face.bbox, width, height)
        about = f"  {face.gender}, about {face.age}" if face.gender else ""
        lines.append(
            f"  {face.score:.3f}  {x2 - x1:.0f}x{y2 - y1:.0f} at ({x1:.0f}, {y1:.0f}){about}"
        )
    return "\n".join(lines)


def as_json(path: Path, image: Image, faces: list[Face], info: EngineInfo) -> str:
    """One line of JSON, with the field names of POST /detect."""
    height, width = image.shape[:2]
    content = {
        "file": str(path),
        "image_width": width,
        "image_height": height,
        "faces": [
            {
                "bbox": clip(face.bbox, width, height),
                "det_score": face.score,
                "landmarks": face.landmarks,
                "age": face.age,
                "gender": face.gender,
                "embedding": face.embedding,
                "error": face.error,
            }
            for face in faces
        ],
        "model": {
            "pack": info.pack,
            "recogniser": info.recogniser_sha256,
            "precision": info.precision,
        },
    }
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def drawing_path(out: Path, source: Path, count: int) -> Path:
    """`out` itself for a single image; a file in the folder `out` otherwise."""
    if count == 1 and not out.is_dir():
        return out
    out.mkdir(parents=True, exist_ok=True)
    return out / f"{source.stem}.jpg"


def save_drawing(image: Image, faces: list[Face], path: Path) -> None:
    """Write the image with its faces on it; the format is that of the file's suffix."""
    drawing = image.copy()
    for face in reversed(faces):
        draw_face(drawing, face.bbox, face.landmarks, label(face))
    try:
        written = cv2.imwrite(str(path), drawing)
    except cv2.error as error:
        raise FaceServiceError(f"--draw {path}: not a name of an image file") from error
    if not written:
        raise FaceServiceError(f"--draw {path}: cannot be written")


def label(face: Face) -> str:
    """What is written above a face."""
    return f"{face.gender} {face.age}" if face.gender else f"{face.score:.2f}"
