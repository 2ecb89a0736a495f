"""Packets of a stream, and the frames in them. Damaged ones are left out."""

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

    Where a stream appears midway, as in recordings of television, PyAV 18.1 may raise an IndexError
    after the last packet, as it looks the stream up in a list of those at the beginning; that ends
    the packets too.
    """
    import av

    with suppress(av.error.InvalidDataError, IndexError):
        for packet in container.demux(stream):
            if packet.size:  # the last one is empty, and only marks the end
                yield packet


def decode(context: VideoCodecContext, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """The frames that the decoder gives for a packet, perhaps none; for None, at the end, those
    that it still holds. An empty list for damaged data."""
    import av

    try:
        return context.decode(packet)
    except (av.error.InvalidDataError, av.error.EOFError):
        return []
