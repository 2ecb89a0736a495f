"""Packets of a stream, and the frames in them. What is damaged is passed over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream, up to where the file is too damaged to find more.

    Where a stream turned up on the way, as in recordings of television, PyAV 18.1 may look for it
    behind the last packet, in a list of those from the beginning: an IndexError.
    """
    import av

    with suppress(av.error.InvalidDataError, IndexError):
        for packet in container.demux(stream):
            if packet.size:  # the last has none, and only says that it is the last
                yield packet


def decode(context: VideoCodecContext, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """Frames that come out where a packet goes in, or all that are left for None."""
    import av

    try:
        return context.decode(packet)
    except (av.error.InvalidDataError, av.error.EOFError):
        return []
