"""Requests and responses of Kafka, written and read whole runs of numbers at a time.

aiokafka writes and reads each field by itself, through three calls and a stream. A fetch of a city names a hundred
partitions with half a dozen numbers each, there and back, which cost the client more than all the records that come
with it. `compiled` makes of one of its schemas two functions that do the same with one `struct` for all numbers that
stand beside each other; aiokafka's own stay the measure (a test compares them).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, NamedTuple, TypeAlias

from aiokafka.protocol import types
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
)

#: Those that go all the time, or name many partitions.
QUICKENED: tuple[Any, ...] = (
    *(FetchRequest, ProduceRequest, MetadataRequest, OffsetCommitRequest),
    *(AddPartitionsToTxnRequest, AddOffsetsToTxnRequest, TxnOffsetCommitRequest, EndTxnRequest),
)

#: Appends the bytes of a value to parts.
Write: TypeAlias = Callable[[list[bytes], Any], None]
#: Reads a value of bytes at a place; with where the next one begins.
Read: TypeAlias = Callable[[bytes, int], tuple[Any, int]]
#: Reads what is so long, -1 for null, of bytes at a place; likewise.
ReadLong: TypeAlias = Callable[[bytes, int, int], tuple[Any, int]]

_NUMBERS = {types.Int8: "b", types.Int16: "h", types.Int32: "i", types.UInt32: "I", types.Int64: "q"}
_NUMBERS |= {types.Float64: "d", types.Boolean: "?"}

_int16, _int32 = struct.Struct(">h").pack, struct.Struct(">i").pack


class Compiled(NamedTuple):
    """How values of a schema are written and read."""

    write: Write
    read: Read


class _Step(NamedTuple):
    """Fields of a schema that are read by one `struct`: numbers, and the length of what stands behind them.

    Attributes:
        unpack: of the numbers and the length.
        size: bytes of both.
        tail: reads what has that length; None where nothing stands there.
    """

    unpack: Callable[[bytes, int], tuple[Any, ...]]
    size: int
    tail: ReadLong | None


class _Unknown(Exception):
    """A type that is none of those known here."""


def compiled(schema: types.Schema) -> Compiled | None:
    """What writes and reads values of a schema; None where it has a field of a type that is not known here."""
    try:
        return Compiled(_writer(schema), _reader(schema))
    except _Unknown:
        return None


def install() -> None:
    """Have those requests written so, and their responses read so; any number of times."""
    for kind in QUICKENED:
        for request in kind._CLASSES:  # noqa: SLF001 - a contract test holds it
            _quicken(request)
            _quicken(request.RESPONSE_TYPE)


def _quicken(kind: Any) -> None:
    if "is_quick" in vars(kind) or (made := compiled(kind.SCHEMA)) is None:
        return
    names, write, read = tuple(kind.SCHEMA.names), *made

    def encode(self: Any) -> bytes:
        parts: list[bytes] = []
        fields = vars(self)
        try:
            write(parts, [fields[name] for name in names])
        except struct.error as error:
            raise ValueError(str(error)) from error
        return b"".join(parts)

    def decode(cls: Any, data: BytesIO | bytes) -> Any:
        if not isinstance(data, bytes):
            data = data.read()
        try:
            values, _ = read(data, 0)
        except struct.error as error:
            raise ValueError(str(error)) from error
        return cls(*values)

    kind.encode, kind.decode, kind.is_quick = encode, classmethod(decode), True


def _writer(kind: Any) -> Write:
    if isinstance(kind, types.Schema):
        return _schema_writer(kind)
    if isinstance(kind, types.Array):
        return _array_writer(_writer(kind.array_of))
    if isinstance(kind, types.String) and kind.encoding == "utf-8":
        return _write_text
    if kind is types.Bytes:
        return _write_bytes
    if _is_number(kind):
        pack = struct.Struct(">" + _NUMBERS[kind]).pack
        return lambda parts, value: parts.append(pack(value))
    raise _Unknown(kind)


def _schema_writer(schema: types.Schema) -> Write:
    """Fields one after the other; numbers beside each other are one step."""
    fields, count = schema.fields, len(schema.fields)
    steps: list[tuple[int, int, Write]] = []
    at = 0
    while at < count:
        end = at
        while end < count and _is_number(fields[end]):
            end += 1
        if end > at:
            steps.append((at, end, _numbers_writer("".join(_NUMBERS[one] for one in fields[at:end]))))
        else:
            steps.append((at, at, _writer(fields[at])))
        at = max(end, at + 1)

    def write(parts: list[bytes], values: Sequence[Any]) -> None:
        if len(values) != count:
            raise ValueError("Item field count does not match Schema")
        for at, end, step in steps:
            step(parts, values[at:end] if end > at else values[at])

    return steps[0][2] if len(steps) == 1 and steps[0][1] == count else write


def _numbers_writer(letters: str) -> Write:
    pack, count = struct.Struct(">" + letters).pack, len(letters)

    def write(parts: list[bytes], values: Sequence[Any]) -> None:
        if len(values) != count:
            raise ValueError("Item field count does not match Schema")
        parts.append(pack(*values))

    return write


def _array_writer(write_one: Write) -> Write:
    def write(parts: list[bytes], values: Sequence[Any] | None) -> None:
        if values is None:
            parts.append(_int32(-1))
            return
        parts.append(_int32(len(values)))
        for value in values:
            write_one(parts, value)

    return write


def _write_text(parts: list[bytes], value: str | None) -> None:
    if value is None:
        parts.append(_int16(-1))
        return
    encoded = str(value).encode()
    parts += (_int16(len(encoded)), encoded)


def _write_bytes(parts: list[bytes], value: bytes | None) -> None:
    if value is None:
        parts.append(_int32(-1))
        return
    parts += (_int32(len(value)), value)


def _reader(kind: Any) -> Read:
    """Reads values of a schema as tuples; one of another type by itself."""
    is_schema = isinstance(kind, types.Schema)
    steps = [*_steps(kind.fields if is_schema else (kind,))]

    def read(data: bytes, at: int) -> tuple[Any, int]:
        values: list[Any] = []
        for unpack, size, tail in steps:
            values += unpack(data, at)
            at += size
            if tail is not None:
                # in place of the length
                values[-1], at = tail(data, at, values[-1])
        return tuple(values), at

    def read_one(data: bytes, at: int) -> tuple[Any, int]:
        values, at = read(data, at)
        return values[0], at

    return read if is_schema else read_one


def _steps(fields: Sequence[Any]) -> Iterator[_Step]:
    letters = ">"
    for kind in fields:
        if _is_number(kind):
            letters += _NUMBERS[kind]
            continue
        tail: ReadLong
        if isinstance(kind, types.Array):
            tail, letter = _array_reader(_reader(kind.array_of)), "i"
        elif isinstance(kind, types.String) and kind.encoding == "utf-8":
            tail, letter = _read_text, "h"
        elif kind is types.Bytes:
            tail, letter = _read_bytes, "i"
        else:
            raise _Unknown(kind)
        packing = struct.Struct(letters + letter)
        yield _Step(packing.unpack_from, packing.size, tail)
        letters = ">"
    if letters != ">":
        packing = struct.Struct(letters)
        yield _Step(packing.unpack_from, packing.size, None)


def _array_reader(read_one: Read) -> ReadLong:
    def read(data: bytes, at: int, length: int) -> tuple[Any, int]:
        if length <= 0:
            return None if length == -1 else [], at
        values = []
        for _ in range(length):
            value, at = read_one(data, at)
            values.append(value)
        return values, at

    return read


def _read_text(data: bytes, at: int, length: int) -> tuple[str | None, int]:
    if length < 0:
        return None, at
    return str(_piece(data, at, length), "utf-8"), at + length


def _read_bytes(data: bytes, at: int, length: int) -> tuple[bytes | None, int]:
    if length <= 0:
        return None if length else b"", at
    return _piece(data, at, length), at + length


def _piece(data: bytes, at: int, length: int) -> bytes:
    found = data[at : at + length]
    if len(found) != length:
        raise ValueError("Buffer underrun")
    return found


def _is_number(kind: Any) -> bool:
    return isinstance(kind, type) and kind in _NUMBERS
