"""Whether a video is interlaced: its frames consist of two fields, taken at different moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from .decoding import decode, packets_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter import Graph
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PLACES = (0.2, 0.5, 0.8)
"""Where frames of a long video are looked at, as shares of its length."""
FRAMES = 12
"""How many are looked at in each place."""
LONG_S = 15.0
"""A shorter video is looked at from its beginning."""
FEWEST, SHARE = 8, 0.3
"""How many frames must look like two fields for a video to count as interlaced, and their share of
those that `idet` can tell. Of interlaced video most do, of telecine two of five, and of a camera
that tilts some do as well (benchmarks/studies/fields.py)."""
CONSISTENT = 4
"""How many times as often one order of fields must be seen as the other: in interlaced video it
does not change, while what only looks like fields (drawings, running text) shows both."""
FIELD_ORDERS = (2, 3, 4, 5)
"""FFmpeg's AV_FIELD_…: what a file or a codec marks as interlaced; 0 is unknown, 1 progressive."""


class Fields(StrEnum):
    """How a video is interlaced. NONE: it is progressive. MARKED: its file or its frames are marked
    as interlaced. TOP, BOTTOM: they are not, and the field of the upper or the lower lines is the
    first. The values of these two are those of yadif's `parity`."""

    NONE = "none"
    MARKED = "marked"
    TOP = "tff"
    BOTTOM = "bff"


class Shape(NamedTuple):
    """Size, in pixels, and pixel format of the frames that a filter graph is built for."""

    width: int
    height: int
    format: str

    @classmethod
    def of(cls, frame: VideoFrame) -> Shape:
        """That of a frame."""
        return cls(frame.width, frame.height, frame.format.name)


def graph_of(frame: VideoFrame, *filters: tuple[str, str]) -> Graph:
    """A graph of FFmpeg's filters, one behind the other, for frames of this one's shape. filters:
    names and arguments."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 1000),
    )
    nodes = [graph.add(name, arguments) for name, arguments in filters]
    graph.link_nodes(source, *nodes, graph.add("buffersink")).configure()
    return graph


def find_fields(container: InputContainer, stream: VideoStream) -> Fields:
    """How the video is interlaced: by the marks of the file and of frames, and without any by what
    frames look like, for much material is not marked, or lost its marks when it was converted.

    Without marks only motion shows it: a video that stands still at all PLACES counts as
    progressive. Reads on in the file, and does not return to the beginning.
    """
    if stream.codec_context.field_order in FIELD_ORDERS:
        return Fields.MARKED
    seen = seen_in(container, stream)
    if seen["marked"]:
        return Fields.MARKED
    less, more = sorted((seen["tff"], seen["bff"]))
    two = less + more
    if two < FEWEST or two < SHARE * (two + seen["progressive"]) or more < CONSISTENT * less:
        return Fields.NONE
    return Fields.TOP if seen["tff"] == more else Fields.BOTTOM


def seen_in(container: InputContainer, stream: VideoStream) -> Counter[str]:
    """The counts of `look` for a video: at all PLACES together, or from the beginning if it is no
    longer than LONG_S. The container is to be at its beginning."""
    duration = (container.duration or 0) / 1e6
    if duration <= LONG_S:
        return look(container, stream, FRAMES * len(PLACES))
    seen: Counter[str] = Counter()
    for place in PLACES:
        seek(container, (container.start_time or 0) / 1e6 + place * duration)
        seen += look(container, stream, FRAMES)
    return seen


def seek(container: InputContainer, seconds: float) -> None:
    """Go to the keyframe before a time, in seconds on the file's own clock (see `start_time`). Does
    nothing where the file cannot be searched or has no times."""
    import av

    if container.start_time is None:  # a bare stream: a search would end at its end
        return
    with suppress(av.FFmpegError):
        container.seek(int(seconds * 1e6), backward=True)


def look(container: InputContainer, stream: VideoStream, frames: int) -> Counter[str]:
    """How many of the next `frames` frames FFmpeg's `idet` takes for `tff`, `bff` or `progressive`,
    and how many are `marked` as interlaced; fewer frames where the video ends or changes its shape.
    Each frame is judged by itself: with idet's memory of earlier frames, one that looks interlaced
    by chance would decide for all that follow."""
    seen: Counter[str] = Counter()
    graph: Graph | None = None
    shape: Shape | None = None
    for frame in islice(decoded(container, stream), frames):
        seen["marked"] += frame.interlaced_frame
        if graph is None:
            graph, shape = graph_of(frame, ("idet", "")), Shape.of(frame)
        if Shape.of(frame) != shape:
            break
        graph.vpush(frame)
        for told in pulled(graph):
            seen[told.metadata.get("lavfi.idet.single.current_frame", "")] += 1
    stream.codec_context.flush_buffers()
    return seen


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames from here on."""
    for packet in packets_of(container, stream):
        yield from decode(stream.codec_context, packet)
    yield from decode(stream.codec_context, None)


def pulled(graph: Graph) -> Iterator[VideoFrame]:
    """The frames that a graph has ready."""
    import av

    with suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            yield graph.vpull()
