"""What `face-service compare` does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import orjson

from face_service.cli.analysis import analyse_files, started
from face_service.cli.detection import place
from face_service.cli.files import File
from face_service.config import Settings
from face_service.errors import FaceServiceError
from face_service.schemas import CompareOptions
from face_service.serialization import comparison_fields
from face_service.serving.answers import ImageAnalysis
from face_service.serving.comparison import Comparison, Verdict, compare

STATUSES: Mapping[Verdict, int] = MappingProxyType({"same_person": 0, "different_people": 1})
"""The exit status of a verdict; 2 for one that does not decide."""


def run(settings: Settings, paths: tuple[Path, Path], options: CompareOptions, json: bool) -> int:
    """Compare two images and print the verdict, or with `json` an object with the fields of POST
    /compare. Returns the exit status.

    Raises FaceServiceError if one of them cannot be read, and StartupError as `started` does.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    files = [File(path, True, Path(path.name)) for path in paths]
    a, b = asyncio.run(analyse(settings, files, options))
    names = files[0].name, files[1].name
    found = compare(a.faces, b.faces, a.info, names)
    if json:
        fields = comparison_fields((a, b), found, options)
        content = {"file_a": names[0], "file_b": names[1], **fields}
        print(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY).decode())
    else:
        print(as_text(names, (a, b), found))
    return STATUSES.get(found.verdict, 2)


async def analyse(
    settings: Settings, files: Sequence[File], options: CompareOptions
) -> list[ImageAnalysis]:
    """The faces of each file. Raises FaceServiceError for the first that has an error."""
    found = []
    async with started(settings) as service:
        async for file, answer in analyse_files(service, files, options.for_engine(), settings):
            if not isinstance(answer, ImageAnalysis):
                raise FaceServiceError(f"{file.name}: {answer}")
            found.append(answer)
    return found


def as_text(
    names: tuple[str, str], analyses: tuple[ImageAnalysis, ImageAnalysis], found: Comparison
) -> str:
    """The verdict in a sentence, and the faces that decided it, a line each."""
    lines = [found.detail]
    # A pair that is not reliable may be more similar than the one that decided.
    decisive = (pair for pair in found.pairs if pair.reliable or found.verdict not in STATUSES)
    if pair := next(decisive, found.best):
        for name, analysis, index in zip(names, analyses, (pair.a, pair.b), strict=True):
            count, face = len(analysis.faces), analysis.faces[index]
            lines.append(f"  {name}: face {index + 1} of {count}, {place(face, analysis)}")
    return "\n".join(lines)
