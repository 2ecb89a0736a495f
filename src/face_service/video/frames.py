"""Frames of a video, one of each interval, with their true times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from face_service.errors import ImageTooLarge, InvalidImage
from face_service.runtime.threads import available_cpus
from face_service.vision.blob import Image

from .decoding import decode, packets_of
from .fields import Fields, find_fields, seek
from .opening import opened
from .packets import Needed, Times
from .pixels import Deinterlacer, Pixels

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

T = TypeVar("T")
MAX_PIXELS = 50_000_000
"""Most pixels of a frame, where a caller sets no other limit."""
FEW_CPUS = 4
"""Up to so many processors, frames are decoded one after the other: side by side they take more CPU
time where two processors share a core, and hardly less time (docs/decisions/0029-frames.md)."""
EARLIER_S = 0.5
"""How long before the first interval the file is searched for a keyframe: times are rounded."""


class Frame(NamedTuple):
    """ms: when it is shown, in milliseconds since the beginning of the video; above that of the
    frame before. image: uint8 [height, width, 3], BGR, upright."""

    ms: int
    image: Image


def frames(
    path: Path, every: int = 1000, first: int = 0, max_pixels: int = MAX_PIXELS
) -> Iterator[Frame]:
    """The first frame of each interval of `every` milliseconds that is decoded, in order; every
    frame if it is 0. first: the interval to begin with, from 0; not used if `every` is 0.

    Frames that no other frame needs are not decoded, nor what lies between two frames that are
    wanted if a keyframe is near the second one: a keyframe in the first quarter of an interval
    stands for its first frame. Of an interlaced video everything is decoded, for a frame is
    deinterlaced by its neighbours. A damaged part costs only its own frames.

    Raises, once it is iterated over, InvalidRequest without PyAV and where the file cannot be read,
    InvalidImage for what is no video or, with `first` 0, has no frame at all that can be decoded,
    ImageTooLarge for frames of more than `max_pixels`.
    """
    with opened(path) as (container, stream):
        check_size(stream.width, stream.height, max_pixels)
        fields = find_fields(container, stream)
    with opened(path) as (container, stream):
        pixels = Pixels(float(stream.sample_aspect_ratio or 1))
        shown = -1
        for ms, frame in Source(container, stream, fields, every, first).wanted():
            check_size(frame.width, frame.height, max_pixels)
            shown = max(shown + 1, ms)  # no two frames have one time
            yield Frame(shown, pixels.of(frame))
    if shown < 0 and first == 0:
        raise InvalidImage("The video has no frame that can be decoded")


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises ImageTooLarge for frames of more than `max_pixels`."""
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"The video has {width}x{height} pixels, more than the limit of {max_pixels}"
        )


class Clock:
    """Times of frames, in milliseconds since the beginning of the file. ordered: False where the
    file has times of decoding only."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._start = (container.start_time or 0) / 1e3
        self._unit = 1000 * float(stream.time_base or 0)
        self._step = 1000 / float(stream.guessed_rate or 25)
        # An AVI has the times of decoding only (findings/pyav-avi-times.sh).
        self.ordered = container.format.name != "avi"
        self._last = -self._step

    def of_packet(self, packet: Packet[VideoStream]) -> Times | None:
        """When the packet's frame is shown and decoded; None where the file does not say both."""
        if packet.pts is None or packet.dts is None or not self.ordered:
            return None
        return Times(self._ms(packet.pts), self._ms(packet.dts))

    def of_frame(self, frame: VideoFrame) -> int:
        """When the next frame is shown, from 0 on; where the file does not say, a frame's length
        after the last. To be called for each frame in order."""
        times = (frame.pts, frame.dts) if self.ordered else (frame.dts,)
        time = next((one for one in times if one is not None), None)
        self._last = self._last + self._step if time is None else self._ms(time)
        return max(0, round(self._last))

    def _ms(self, time: int) -> int:
        return round(time * self._unit - self._start)


class Source:
    """The frames of a stream that is at its beginning. fields: how it is interlaced. every, first:
    see `frames`."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, fields: Fields, every: int, first: int
    ) -> None:
        self._container = container
        self._stream = stream
        self._fields = fields
        self._every = every
        self._first = first
        self._clock = Clock(container, stream)

    def wanted(self) -> Iterator[tuple[int, VideoFrame]]:
        """The time in milliseconds and the first frame of each interval, deinterlaced."""
        if self._first and self._every:
            start = (self._container.start_time or 0) / 1e6
            seek(self._container, start + self._first * self._every / 1000 - EARLIER_S)
        timed = ((self._clock.of_frame(frame), frame) for frame in self._decoded())
        last = self._first - 1
        deinterlacer = None if self._fields is Fields.NONE else Deinterlacer(self._fields)
        before = None
        for (ms, frame), after in with_next(timed):
            if not self._every or ms // self._every > last:
                last = ms // max(1, self._every)
                if deinterlacer:
                    frame = deinterlacer.of(before, frame, after and after[1])
                yield ms, frame
            before = frame

    def _decoded(self) -> Iterator[VideoFrame]:
        """The frames that are decoded, in the order in which they are shown."""
        context = self._stream.codec_context
        context.thread_type = "SLICE" if available_cpus() <= FEW_CPUS else "AUTO"
        all_packets = packets_of(self._container, self._stream)
        packets: Iterable[Packet[VideoStream] | None] = all_packets
        if self._every and self._fields is Fields.NONE and self._clock.ordered:
            context.skip_frame = "NONREF"
            packets = Needed(self._clock.of_packet, self._every, self._first).of(all_packets)
        for packet in packets:
            if packet and not self._clock.of_packet(packet):  # its time is counted: skip no frame
                context.skip_frame = "DEFAULT"
            yield from decode(context, packet)
            if packet is None:
                context.flush_buffers()
        yield from decode(context, None)


def with_next(items: Iterable[T]) -> Iterator[tuple[T, T | None]]:
    """Each item and the one behind it, None behind the last."""
    last: list[T] = []
    for item in items:
        if last:
            yield last.pop(), item
        last.append(item)
    for item in last:
        yield item, None
