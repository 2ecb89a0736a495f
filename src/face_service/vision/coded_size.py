"""The size that coded data claim themselves: their decoder makes room for it before anything
compares it with the size in the file's header."""

from __future__ import annotations

import struct

from face_service.errors import InvalidImage

SPS, SEQUENCE_HEADER = 33, 1
"""NAL unit type (H.265, table 7-1), OBU type (AV1, 6.2.2)."""
FRAMES, MAX_FRAMES = (3, 6), 4
"""OBU types that begin a frame, and the spatial layers of one picture."""
LONGEST = 128
"""Bytes at the beginning of a parameter set that hold the size."""
MAX_SETS = 64
"""Of parameters, and of OBUs in front of the sequence header."""


class Bits:
    """Bits, one after the other, the highest of a byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def number(self, bits: int) -> int:
        """An unsigned number. Raises struct.error where the data end."""
        if bits > self._left:
            raise struct.error
        self._left -= bits
        return self._value >> self._left & (1 << bits) - 1

    def exp_golomb(self) -> int:
        """ue(v) of H.265, 9.2."""
        zeros = 0
        while not self.number(1):
            zeros += 1
            if zeros > 32:
                raise struct.error
        return (1 << zeros) - 1 + self.number(zeros)


def read_hevc_size(configuration: bytes) -> tuple[int, int]:
    """The largest width and height in an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15,
    8.3.3.1.2). Raises InvalidImage if it has none, struct.error and IndexError where it ends."""
    at, sizes = 23, [(0, 0)]
    for _ in range(min(configuration[22], MAX_SETS)):
        kind, count = configuration[at] & 63, int.from_bytes(configuration[at + 1 : at + 3])
        at += 3
        for _ in range(min(count, MAX_SETS)):
            (length,) = struct.unpack_from(">H", configuration, at)
            if kind == SPS:
                sizes.append(read_sps(configuration[at + 2 : at + 2 + min(length, LONGEST)]))
            at += 2 + length
    return checked(max(sizes, key=lambda size: size[0] * size[1]))


def read_sps(unit: bytes) -> tuple[int, int]:
    """pic_width_in_luma_samples and pic_height_in_luma_samples (H.265, 7.3.2.2)."""
    bits = Bits(unit.replace(b"\x00\x00\x03", b"\x00\x00"))
    bits.number(16 + 4)
    layers = bits.number(3)
    bits.number(1 + 88 + 8)
    present = [(bits.number(1), bits.number(1)) for _ in range(layers)]
    if layers:
        bits.number(2 * (8 - layers))
    for profile, level in present:
        bits.number(88 * profile + 8 * level)
    bits.exp_golomb()
    if bits.exp_golomb() == 3:  # 4:4:4
        bits.number(1)
    return bits.exp_golomb(), bits.exp_golomb()


def read_av1_size(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The largest frame of the sequence header (AV1, 5.5.1) in coded data. Raises InvalidImage if
    it is not there, or for more frames than the layers of one picture; struct.error where the data
    end."""
    size, frames = None, 0
    for _ in range(MAX_SETS):
        if at >= end:
            break
        bits = Bits(data[at : min(at + LONGEST, end)])
        bits.number(1)
        kind, extended, sized = bits.number(4), bits.number(1), bits.number(1)
        bits.number(1 + 8 * extended)
        length = 0
        for byte in range(8 * sized):
            piece = bits.number(8)
            length |= (piece & 127) << 7 * byte
            if not piece & 128:
                break
        if kind == SEQUENCE_HEADER:
            found = checked(read_sequence_header(bits))
            size = max(size or found, found, key=lambda size: size[0] * size[1])
        frames += kind in FRAMES
        at = at + 2 + extended + byte + length if sized else end
    if size is None or at != end:
        raise InvalidImage("The AVIF image is damaged: its data are not what AV1 has")
    if frames > MAX_FRAMES:
        raise InvalidImage("The AVIF image has more frames than a picture has")
    return size


def read_sequence_header(bits: Bits) -> tuple[int, int]:
    """max_frame_width and max_frame_height."""
    bits.number(3 + 1)
    if bits.number(1):  # reduced_still_picture_header
        bits.number(5)
    else:
        if bits.number(1):
            raise InvalidImage("The AVIF image has the timing of a video, which is not read")
        delays = bits.number(1)
        for _ in range(bits.number(5) + 1):
            bits.number(12)
            if bits.number(5) > 7:
                bits.number(1)
            if delays and bits.number(1):
                bits.number(4)
    wide, high = bits.number(4) + 1, bits.number(4) + 1
    return bits.number(wide) + 1, bits.number(high) + 1


def checked(size: tuple[int, int]) -> tuple[int, int]:
    """A size that has pixels."""
    if not size[0] or not size[1]:
        raise InvalidImage("The HEIF header is damaged: its coded data have no size")
    return size
