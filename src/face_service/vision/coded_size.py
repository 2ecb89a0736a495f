"""The size of the picture that is written in coded data (H.265, AV1) themselves: their decoder
allocates memory for it before anything compares it with the size in the file's header."""

from __future__ import annotations

import struct

from face_service.errors import InvalidImage

SPS, SEQUENCE_HEADER = 33, 1
"""NAL unit type (H.265, table 7-1), OBU type (AV1, 6.2.2)."""
FRAMES, MAX_FRAMES = (3, 6), 4
"""OBU types that begin a frame, and frames of one picture at most: one for each spatial layer."""
LONGEST = 128
"""Bytes at the beginning of a parameter set or an OBU that are read: the size is in them."""
MAX_SETS = 64
"""Arrays of parameter sets, and sets of one array, that are read of H.265; OBUs that coded data of
AV1 may have."""


class Bits:
    """Reads bits, one after the other, the highest of a byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def number(self, bits: int) -> int:
        """An unsigned number of so many bits. Raises struct.error where the data end."""
        if bits > self._left:
            raise struct.error
        self._left -= bits
        return self._value >> self._left & (1 << bits) - 1

    def exp_golomb(self) -> int:
        """An unsigned number, ue(v) of H.265, 9.2. Raises struct.error where the data end, or for
        more than 32 leading zeros."""
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
    """pic_width_in_luma_samples and pic_height_in_luma_samples of a sequence parameter set (H.265,
    7.3.2.2). Raises struct.error where the data end."""
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
    """The largest width and height of a frame by the sequence header (AV1, 5.5.1) in the coded data
    from `at` to `end`. Raises InvalidImage if it is not there, if the OBUs do not end at `end`, for
    the timing of a video and for more than MAX_FRAMES frames; struct.error where the data end."""
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
    """max_frame_width and max_frame_height. Raises InvalidImage for the timing of a video,
    struct.error where the data end."""
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
    """The same size. Raises InvalidImage if it has no pixels."""
    if not size[0] or not size[1]:
        raise InvalidImage("The HEIF header is damaged: its coded data have no size")
    return size
