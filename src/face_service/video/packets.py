"""Which packets of a video have to be decoded for one frame of each interval.

A frame can be decoded once everything since the keyframe before it has been. What lies between the
frame of one interval and the last keyframe before the next one is needed by neither: it is left
out. With a frame wanted each second and keyframes a second apart nearly everything is left out;
with keyframes ten seconds apart, only what lies between a keyframe and the last frame wanted before
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

MAX_HELD = 256_000_000
"""Bytes of packets that are held back while it is open whether they are needed."""
SLACK = 4
"""A keyframe in the first quarter (1 / SLACK) of an interval stands for its first frame."""


class Packet(Protocol):
    """An encoded frame, as PyAV's Packet. size: in bytes."""

    is_keyframe: bool
    size: int


P = TypeVar("P", bound=Packet)


class Times(NamedTuple):
    """Of a packet, in milliseconds. shown: when its frame is shown. decoded: when it is decoded; no
    frame of a later packet is shown before that."""

    shown: int
    decoded: int


class Needed(Generic[P]):
    """Chooses the packets to decode.

    times: of a packet, None where the file does not say; such a packet is always decoded. every:
    length of an interval in milliseconds, from 1 on. first: the interval to begin with.
    """

    def __init__(self, times: Callable[[P], Times | None], every: int, first: int = 0) -> None:
        self._times = times
        self._every = every
        self._start = first * every
        self._held: list[tuple[P, Times]] = []
        self._bytes = 0
        self._keyframe: int | None = None  # when the one is shown that the held ones begin with
        self._earliest: int | None = None  # frame of the interval among the held ones
        self._left_out = False

    def of(self, packets: Iterable[P]) -> Iterator[P | None]:
        """The packets to decode, in order, and None where some before the next one were left out:
        there the decoder has to give the frames that it holds, and be flushed."""
        for packet in packets:
            when = self._times(packet)
            if when is None:
                yield from self._take(len(self._held))
                yield packet
                continue
            self._hold(packet, when)
            if self._complete(when):
                yield from self._take(self._last_needed() + 1)
            elif self._bytes > MAX_HELD:
                yield from self._take(len(self._held))
        if self._earliest is not None:
            yield from self._take(len(self._held))

    @property
    def _window(self) -> int:
        """Up to when a keyframe stands for the first frame of the interval, in milliseconds."""
        return self._start + self._every // SLACK

    @property
    def _stands(self) -> bool:
        """Whether the held ones begin with a keyframe in the interval."""
        return self._keyframe is not None and self._keyframe >= self._start

    def _hold(self, packet: P, when: Times) -> None:
        if packet.is_keyframe and when.shown <= self._window and not self._stands:
            self._left_out |= bool(self._held)
            self._held.clear()
            self._bytes, self._keyframe, self._earliest = 0, when.shown, None
        self._held.append((packet, when))
        self._bytes += packet.size
        if when.shown >= self._start:
            shown = when.shown if self._earliest is None else min(when.shown, self._earliest)
            self._earliest = shown

    def _complete(self, when: Times) -> bool:
        """Whether the frame of the interval is among those held, and no keyframe will do better."""
        if self._earliest is None:
            return False
        if self._stands:
            return True
        return when.decoded > self._earliest and when.decoded >= self._window

    def _last_needed(self) -> int:
        """The place among those held behind which none is needed for this interval: that of the
        one after its frame, for this may be one that no other needs, and is not decoded."""
        if self._earliest is None or self._stands:
            return len(self._held) - 1
        earliest = self._earliest
        return next(n for n, (_, when) in enumerate(self._held) if when.decoded > earliest)

    def _take(self, number: int) -> Iterator[P | None]:
        """The first `number` of those held, to be decoded; the others may still be left out."""
        taken, self._held = self._held[:number], self._held[number:]
        if self._left_out and taken:
            yield None
            self._left_out = False
        for packet, _ in taken:
            yield packet
        if self._earliest is not None:
            self._start = (self._earliest // self._every + 1) * self._every
        self._bytes = sum(packet.size for packet, _ in self._held)
        shown = (when.shown for _, when in self._held if when.shown >= self._start)
        self._earliest, self._keyframe = min(shown, default=None), None
