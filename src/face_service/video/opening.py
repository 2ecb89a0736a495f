"""Opening a video with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from face_service.errors import InvalidImage, InvalidRequest
from face_service.vision.kinds import HEAD, name_unread, sniff

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,h264,hevc,ivf,gif,apng,m4v,dv,rm,wtv,"
    "nut"
)
"""FFmpeg's names of the containers that are opened. No playlists: they name further files, on this
machine and elsewhere."""
NO_PYAV = (
    "Videos are read by PyAV, which is not installed. In the checkout: "
    ".venv/bin/python -m pip install -r requirements-video.lock"
)


def require_pyav() -> None:
    """Raises InvalidRequest, which says how to get it, where PyAV is not installed."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise InvalidRequest(NO_PYAV) from error


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container in a file and its first video stream, open for the length of the block.

    Raises InvalidRequest without PyAV and where the file cannot be read, InvalidImage for what is
    no video, and for errors of FFmpeg within the block.
    """
    require_pyav()
    import av

    allowed = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        # Without `file:` a name with a colon in it would be taken for an address. Metadata, such as
        # titles that old cameras wrote, may be in any encoding.
        container = av.open(f"file:{path}", container_options=allowed, metadata_errors="replace")
    except av.FFmpegError as error:
        raise InvalidImage(f"No video that FFmpeg can read: {why_not(head, error)}") from error
    except OSError as error:
        raise InvalidRequest(error.strerror or str(error)) from error
    with container:
        stream = next((each for each in container.streams.video if not is_cover(each)), None)
        if stream is None:
            raise InvalidImage("The file has no moving picture")
        if stream.codec_context is None:
            raise InvalidImage("The video is coded in a way that FFmpeg does not know")
        try:
            yield container, stream
        except av.FFmpegError as error:
            raise InvalidImage(f"The video cannot be read: {reason(error)}") from error


def why_not(head: bytes, error: Exception) -> str:
    """Why FFmpeg did not open a file that begins with the bytes `head`: what the file is, where
    that is known. For a container that is not in FORMATS, FFmpeg's own error names only an invalid
    argument."""
    import av

    picture, kind = sniff(head), name_unread(head)
    if picture:
        return f"it is a picture ({picture})"
    if kind and not kind.video:
        return f"it is {kind.name}"
    if isinstance(error, av.error.ArgumentError):
        return f"it is in none of these containers: {FORMATS}"
    return reason(error)


def is_cover(stream: VideoStream) -> bool:
    """Whether a stream is a cover picture that is attached to the file, and no moving picture."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def reason(error: Exception) -> str:
    """What FFmpeg says, without the name of the file."""
    return getattr(error, "strerror", None) or str(error)
