"""Which packets of a video are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from face_service.video import packets
from face_service.video.packets import Needed, Times

FRAME = 40


class Packet(NamedTuple):
    shown: int | None
    decoded: int | None
    is_keyframe: bool
    size: int = 1000


def times(packet: Packet) -> Times | None:
    if packet.shown is None or packet.decoded is None:
        return None
    return Times(packet.shown, packet.decoded)


def stream(frames: int, gop: int, first: int = 0) -> list[Packet]:
    """Every frame depends on the one before it."""
    return [Packet(n * FRAME, n * FRAME, n % gop == 0) for n in range(first, first + frames)]


def chosen(all_packets: list[Packet], every: int = 1000, first: int = 0) -> list[int | None]:
    needed = Needed(times, every, first).of(all_packets)
    return [None if packet is None else packet.shown for packet in needed]


def test_keyframes_that_come_as_often_as_frames_are_wanted_are_all_there_is() -> None:
    assert chosen(stream(100, gop=25)) == [0, None, 1000, None, 2000, None, 3000]
    assert chosen(stream(100, gop=1)) == [0, None, 1000, None, 2000, None, 3000]


def test_between_frames_that_depend_on_each_other_nothing_is_left_out() -> None:
    # One more than the last one wanted: that itself may be one that is not decoded.
    assert chosen(stream(100, gop=250)) == [*range(0, 3080, FRAME)]


def test_what_lies_behind_the_last_frame_wanted_before_a_keyframe_is_left_out() -> None:
    found = chosen(stream(150, gop=50))  # 0, 2000, 4000
    second, third = range(2000, 3080, FRAME), range(4000, 5080, FRAME)
    assert found == [*range(0, 1080, FRAME), None, *second, None, *third]


def test_a_keyframe_early_in_an_interval_stands_for_its_first_frame() -> None:
    found = chosen(stream(60, gop=30))  # 0, 1200
    assert found == [0, None, 1200, *range(1240, 2080, FRAME)], "1200 is near enough to 1000"
    found = chosen(stream(65, gop=35))  # 0, 1400
    assert found == [*range(0, 1080, FRAME), None, *range(1400, 2080, FRAME)], "1400 is not"


def test_frames_that_are_decoded_before_they_are_shown() -> None:
    """B-frames: of 0 3 1 2 6 4 5 the first frame behind 80 ms is shown before 3, and read after."""
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    read = [Packet(n * FRAME, (at - 2) * FRAME, n == 0) for at, n in enumerate(order)]
    found = chosen(read, every=2 * FRAME)
    assert {2 * FRAME, 4 * FRAME, 6 * FRAME, 8 * FRAME} <= set(found)
    assert None not in found


def test_an_hour_of_intervals_longer_than_between_keyframes() -> None:
    found = chosen(stream(1000, gop=50), every=10_000)
    assert found == [0, None, 10_000, None, 20_000, None, 30_000]


def test_it_begins_with_any_interval() -> None:
    assert chosen(stream(100, gop=25), first=2) == [None, 2000, None, 3000]


def test_packets_without_times_are_all_decoded() -> None:
    unknown = [Packet(None, None, n % 5 == 0, 1000) for n in range(20)]
    assert len(chosen(unknown)) == 20
    partly = [*stream(10, gop=25), Packet(None, None, False), *stream(20, gop=25, first=10)]
    assert chosen(partly)[:11] == [*range(0, 400, FRAME), None]


def test_no_more_is_held_back_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "MAX_HELD", 5000)
    read: list[Packet] = []

    def reading() -> Iterator[Packet]:
        for packet in stream(500, gop=500):
            read.append(packet)
            yield packet

    for taken, _ in enumerate(Needed(times, 60_000).of(reading())):
        assert len(read) - taken <= 6


def test_a_stream_that_begins_in_the_middle() -> None:
    found = chosen(stream(45, gop=25, first=10))  # 400 to 2160
    assert found == [400, 440, None, 1000, None, 2000]
