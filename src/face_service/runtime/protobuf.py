"""Protocol Buffers' wire format, as far as an ONNX file needs it: no weights are copied to read
one.

https://protobuf.dev/programming-guides/encoding: a message is a row of fields, each a key
(number << 3 | wire type) and its content.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

Buffer = bytes | memoryview | mmap.mmap


class Field(NamedTuple):
    """A field of a message. `number` is its name in the schema."""

    number: int
    start: int  # where the content starts; for a varint, its value
    end: int  # where it ends; for a varint, -1
    first: int  # where the whole field starts, its key included
    last: int  # where it ends


def fields(data: Buffer, position: int, end: int) -> Iterator[Field]:
    """The fields of the message at `data[position:end]`, in order, but not those inside them.

    The iterator raises ValueError or IndexError for what is not a whole message.
    """
    while position < end:
        start = position
        key, position = varint(data, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, position = varint(data, position)
            field = Field(number, value, -1, start, position)
        else:
            if wire_type == 2:
                size, position = varint(data, position)
            elif wire_type in (1, 5):
                size = 8 if wire_type == 1 else 4
            else:
                raise ValueError(f"wire type {wire_type} at byte {position}")
            field = Field(number, position, position + size, start, position + size)
            position += size
        if position > end or number == 0:
            raise ValueError(f"a field ends at byte {position}, its message at byte {end}")
        yield field


def message(data: Buffer, field: Field) -> Iterator[Field]:
    """The fields of the message that is the content of `field`; see `fields`. Raises ValueError
    where `field` is a number."""
    if field.end < 0:
        raise ValueError(f"field {field.number} is a number where a message should be")
    return fields(data, field.start, field.end)


def find(data: Buffer, parent: Field, number: int) -> Field | None:
    """The first field of that number in the message `parent`; None if there is none. Raises
    ValueError where `parent` is a number, and as `fields` does."""
    return next((field for field in message(data, parent) if field.number == number), None)


def text(data: Buffer, parent: Field, number: int) -> str:
    """The first string field of that number in the message `parent`; empty if there is none. Raises
    as `find`, and ValueError for what is not UTF-8."""
    field = find(data, parent, number)
    return bytes(data[field.start : field.end]).decode() if field else ""


def numbers(data: Buffer, parent: Field, number: int) -> tuple[int, ...]:
    """The values of a field of type int32 or int64, repeated or not, packed or not; empty if it is
    not there. Raises as `find`."""
    found: list[int] = []
    for field in message(data, parent):
        if field.number != number:
            continue
        if field.end < 0:
            found.append(field.start)
        position = field.start
        while position < field.end:
            value, position = varint(data, position)
            found.append(value)
    return tuple(value - 2**64 if value >= 2**63 else value for value in found)


def varint(data: Buffer, position: int) -> tuple[int, int]:
    """The number at `position`, seven bits a byte, and the position after it. Raises ValueError for
    more than ten bytes, IndexError at the end of `data`."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"a number at byte {position} does not end")


def as_varint(value: int) -> bytes:
    """`value` (0 or more) as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def as_field(number: int, content: bytes | int) -> bytes:
    """A field with its key: for an int a varint, for bytes their length and the bytes."""
    if isinstance(content, int):
        return as_varint(number << 3) + as_varint(content)
    return as_varint(number << 3 | 2) + as_varint(len(content)) + content
