"""What `face-service detect` does: files in, text or JSON lines out."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from tqdm import tqdm

from face_service.cli.analysis import analyse_files, started
from face_service.cli.crops import write_crops
from face_service.cli.drawing import draw, drawing_paths
from face_service.cli.files import File, find_files, laid_out
from face_service.cli.lines import Lines
from face_service.cli.videos import Source, VideoFrame, is_read_as_video, is_video_file, sources
from face_service.config import Settings
from face_service.engine_info import EngineInfo
from face_service.errors import ImageTooLarge, InvalidImage, RequestError
from face_service.face_engine import Face
from face_service.schemas import DetectOptions
from face_service.serialization import NO_IMAGE, render_image, render_model
from face_service.serving.answers import Answer, ImageAnalysis
from face_service.serving.comparison import WORDS
from face_service.vision.boxes import clip

INTERRUPTED = 130
"""The exit status that shells give to what Ctrl-C ends: 128 + SIGINT."""

LOOKED_AT = (ImageAnalysis, InvalidImage, ImageTooLarge)
"""Answers that are about the image itself and are kept as a line of --out. Any other, such as a
file that could not be read or an engine that failed, is not: the next run tries the file again."""

Write = Callable[[Source, Answer], None]


@dataclass(frozen=True, slots=True)
class Output:
    """Where faces go: lines of JSON to `file` or, with `json`, to stdout; text to stdout
    otherwise. Pictures with faces drawn on them to `drawings`, aligned crops of faces below
    `crops`."""

    json: bool = False
    file: Path | None = None
    drawings: Path | None = None
    crops: Path | None = None


@dataclass(slots=True)
class Tally:
    """The counts of a run: of files and frames of videos, but for `faces`. failed: those with an
    error, in lines of an earlier run too."""

    images: int = 0
    faces: int = 0
    failed: int = 0
    no_images: int = 0  # in folders
    videos: int = 0  # in folders
    before: int = 0  # in the file of an earlier run

    def add(self, answer: Answer) -> None:
        """Count a file in."""
        if isinstance(answer, ImageAnalysis):
            self.images += 1
            self.faces += len(answer.faces)
        else:
            self.failed += 1

    def __str__(self) -> str:
        parts = [f"{counted(self.images, 'image')}, {counted(self.faces, 'face')}"]
        if self.failed:
            parts.append(f"{counted(self.failed, 'file')} with an error")
        if self.no_images:
            parts.append(f"{counted(self.no_images, 'file')} no image")
        if self.videos:
            parts.append(f"{counted(self.videos, 'video')} passed over")
        if self.before:
            parts.append(f"{counted(self.before, 'file')} done before")
        return "; ".join(parts)


def counted(number: int, noun: str) -> str:
    """A number and its noun: 1 face, 2 faces."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def run(
    settings: Settings,
    paths: Sequence[Path],
    options: DetectOptions,
    output: Output,
    every: int = 1000,
) -> int:
    """Find every face of files, and of the images in folders; of a video in one frame of each
    `every` milliseconds, 0 for every frame.

    Returns the exit status: 0, 1 where a file has an error, INTERRUPTED after Ctrl-C. Raises
    StartupError as `started` does, and FaceServiceError where `output` cannot be used or written.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    files, tally = find_files(paths), Tally()
    status = None
    try:
        asyncio.run(detect(settings, files, options, output, tally, every))
    except KeyboardInterrupt:
        status = INTERRUPTED
        kept = f": {output.file} has them, the same command goes on" if output.file else ""
        print(f"Interrupted after {counted(tally.images, 'image')}{kept}", file=sys.stderr)
    if output.file or not files or not all(file.named for file in files):
        print(tally, file=sys.stderr)
    return status or int(tally.failed > 0)


async def detect(
    settings: Settings,
    files: Sequence[File],
    options: DetectOptions,
    output: Output,
    tally: Tally,
    every: int,
) -> None:
    """The work of `run`. A file or frame is counted in `tally` once its answer is written."""
    drawings = drawing_paths(output.drawings, files) if output.drawings else {}
    crops = laid_out("--crops", output.crops, files) if output.crops else {}
    async with started(settings) as service:
        info = service.require_ready()
        with opened(output, info, options, tally) as (write, done, frames):
            rest = [file for file in files if file.name not in done]
            tally.before = len(files) - len(rest)
            pictures = sources(rest, every, frames, settings.max_image_pixels)
            analysed = analyse_files(service, pictures, options.for_engine(), settings)
            total = None if any(map(is_read_as_video, rest)) else len(files)
            async with aclosing(pictures), aclosing(analysed):
                with tqdm(initial=tally.before, total=total, unit="file", **BAR) as bar:
                    async for source, answer in analysed:
                        if isinstance(answer, ImageAnalysis) and drawings:
                            path = path_of(source, drawings)
                            await service.run_in_pool(draw, source, path, answer, settings)
                        if isinstance(answer, ImageAnalysis) and crops:
                            path = path_of(source, crops)
                            await service.run_in_pool(write_crops, path, answer)
                        if answer is not None:
                            write(source, answer)
                            tally.add(answer)
                        else:
                            pass_over(source, tally)
                        bar.update()


def pass_over(source: Source, tally: Tally) -> None:
    """Count a file that lies in a folder and is no image; if it is a video, name it on stderr."""
    if isinstance(source, VideoFrame) or not is_video_file(source.path):
        tally.no_images += 1
        return
    tally.videos += 1
    say(f"{source.name}: a video, passed over: ask for it by its name", error=True)


def path_of(source: Source, paths: Mapping[Path, Path]) -> Path:
    """Where the drawing or the crops of a file, or of a frame of it, go. paths: by file."""
    if isinstance(source, VideoFrame):
        return source.below(paths[source.file.path])
    return paths[source.path]


BAR: dict[str, Any] = {"leave": False, "disable": None, "dynamic_ncols": True}
"""Of tqdm: on a terminal only, and gone when it is full."""


@contextmanager
def opened(
    output: Output, info: EngineInfo, options: DetectOptions, tally: Tally
) -> Iterator[tuple[Write, set[str], Mapping[str, int]]]:
    """Gives a function that writes the answer for a file or frame, the names of the files that an
    earlier run has done, and the milliseconds up to which it has done videos, by name. Raises
    FaceServiceError as `Lines` does."""
    about = {"model": render_model(info), "options": options.model_dump()}

    def as_line(file: Source, answer: Answer) -> bytes:
        place = {"frame_ms": file.ms} if isinstance(file, VideoFrame) else {}
        content = {"file": file.name, **place, **as_json(answer, options), **about}
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)

    def keep(file: Source, answer: Answer) -> None:
        if isinstance(answer, LOOKED_AT):
            lines.write(as_line(file, answer))
        else:
            say_text(file, answer)

    if output.file:
        with closing(Lines(output.file, same=about)) as lines:
            tally.failed = lines.failed
            yield keep, lines.done, lines.frames
    elif output.json:
        yield lambda file, answer: say(as_line(file, answer).decode()), set(), {}
    else:
        yield say_text, set(), {}


def say(text: str, error: bool = False) -> None:
    """Print a line at once, above the progress bar if there is one."""
    stream = sys.stderr if error else sys.stdout
    tqdm.write(text, file=stream)
    stream.flush()


def say_text(file: Source, answer: Answer) -> None:
    """Print what was found, for people; an error on stderr."""
    if isinstance(answer, RequestError):
        say(f"{place_of(file)}: {answer}", error=True)
    else:
        say(as_text(place_of(file), answer))


def place_of(source: Source) -> str:
    """The name of a file, and the time of a frame."""
    return source.place if isinstance(source, VideoFrame) else source.name


def as_json(answer: Answer, options: DetectOptions) -> dict[str, Any]:
    """The fields of a result of POST /detect/batch, without `file`, `status` and the error's
    `request_id`."""
    if isinstance(answer, RequestError):
        return {**NO_IMAGE, "error": answer.fields()}
    return {**render_image(answer, options), "error": None}


def as_text(name: str, found: ImageAnalysis) -> str:
    """A line for the image and one for each face."""
    lines = [f"{name}: {counted(len(found.faces), 'face')} in {found.width}x{found.height}"]
    for face in found.faces:
        parts = [f"  {face.score:.3f}", place(face, found)]
        if face.gender:
            parts.append(f"{face.gender}, about {face.age}")
        if face.quality and face.quality.reasons:
            parts.append(" and ".join(WORDS[reason] for reason in face.quality.reasons))
        lines.append("  ".join(parts))
    return "\n".join(lines)


def place(face: Face, found: ImageAnalysis) -> str:
    """Size and top left corner of a face's box inside the image, in pixels: 87x124 at (75, 68)."""
    x1, y1, x2, y2 = clip(face.bbox, found.width, found.height)
    return f"{x2 - x1:.0f}x{y2 - y1:.0f} at ({x1:.0f}, {y1:.0f})"
