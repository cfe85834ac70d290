"""Unpacking the compressed records of a batch, never to more than a limit.

A batch of a megabyte can hold gigabytes of zeros. Each codec stops at the limit; none allocates beyond it first. And
none copies many bytes at once: a copy of 40 MiB stops all threads of the process for 60 ms.
"""

from __future__ import annotations

import io
import mmap
import threading
import zlib
from collections.abc import Callable
from typing import Final, TypeAlias

import cramjam

#: Of the attributes of a batch.
CODEC_MASK: Final = 0x07
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4

#: A batch that unpacks to more is not read. No honest one comes near: a broker takes a megabyte, packed.
UNPACKED_BYTES = 64 << 20

#: Most batches unpack into this much, which every thread that unpacks keeps at hand.
_AT_HAND_BYTES = 4 << 20

#: So much is copied at once.
PIECE_BYTES = 1 << 20

_GZIP_WBITS = 31
_GZIP_MAGIC = b"\x1f\x8b"
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16

#: What cramjam says when there is less room than comes out.
_NO_ROOM = "whole buffer"


_UnpackInto: TypeAlias = Callable[[bytes | memoryview, memoryview], int]


class Undecompressable(Exception):
    """Compressed records that cannot be unpacked; the message says why, for a person."""


class _AtHand(threading.local):
    """Room to unpack into, of one thread."""

    def __init__(self) -> None:
        self.room = memoryview(bytearray(_AT_HAND_BYTES))


_at_hand = _AtHand()


def decompress(
    codec: int, data: bytes | memoryview, limit: int = UNPACKED_BYTES, before: bytes = b""
) -> bytes | memoryview:
    """Unpack the compressed part of a batch.

    Args:
        codec: as the attributes of the batch say.
        data: what stands behind its header.
        limit: how many bytes may come out.
        before: stands before them in what is returned, so that nobody need copy them to put it there.

    Raises:
        Undecompressable: more would come out, or it is not what the codec writes.
    """
    unpack = _UNPACKERS.get(codec)
    if unpack is None:
        raise Undecompressable(f"there is no codec {codec}")
    try:
        return unpack(data, limit, before)
    except (zlib.error, cramjam.DecompressionError, ValueError) as error:
        raise Undecompressable(f"it is not what {_NAMES[codec]} writes: {error}") from None


def _too_large(limit: int) -> Undecompressable:
    return Undecompressable(f"it unpacks to more than {limit:,} bytes")


def _gzip(data: bytes | memoryview, limit: int, before: bytes) -> bytes:
    unpacked = io.BytesIO()
    unpacked.write(before)
    room = limit
    rest = bytes(data)
    while True:
        member = zlib.decompressobj(_GZIP_WBITS)
        # the end of a member may be all that is left when its last byte is out
        while not member.eof:
            # one byte more shows that there is more
            piece = member.decompress(rest, min(room + 1, PIECE_BYTES))
            rest = member.unconsumed_tail
            room -= unpacked.write(piece)
            if room < 0:
                raise _too_large(limit)
            if not piece and not rest and not member.eof:
                raise ValueError("it ends too early")
        rest = member.unused_data.lstrip(b"\x00")
        if not rest.startswith(_GZIP_MAGIC):
            # what follows and is no member is ignored, as the broker does
            return unpacked.getvalue()


def _snappy(data: bytes | memoryview, limit: int, before: bytes) -> bytes | memoryview:
    if bytes(data[: len(_XERIAL_MAGIC)]) != _XERIAL_MAGIC:
        return _snappy_block(data, limit, limit, before)
    unpacked = io.BytesIO()
    unpacked.write(before)
    room, at = limit, _XERIAL_HEADER_BYTES
    while at < len(data):
        if bytes(data[at : at + len(_XERIAL_MAGIC)]) == _XERIAL_MAGIC:
            # streams may be strung together
            at += _XERIAL_HEADER_BYTES
            continue
        size = int.from_bytes(data[at : at + 4], signed=True)
        block = data[at + 4 : at + 4 + size] if size > 0 else b""
        if len(block) != size or not size:
            raise ValueError(f"a block of {size} bytes is not there")
        room -= unpacked.write(_snappy_block(block, room, limit, b""))
        at += 4 + size
    return unpacked.getvalue()


def _snappy_block(block: bytes | memoryview, room: int, limit: int, before: bytes) -> bytes | memoryview:
    # the length stands at the beginning, and the library holds on to it
    size = cramjam.snappy.decompress_raw_len(block)
    if size > room:
        raise _too_large(limit)
    return _into(_room(size, before), block, before, cramjam.snappy.decompress_raw_into)


def _bounded(unpack_into: _UnpackInto) -> Callable[[bytes | memoryview, int, bytes], bytes | memoryview]:
    """A codec that says how much comes out only once it is out: it gets room of a size that is given."""

    def unpack(data: bytes | memoryview, limit: int, before: bytes) -> bytes | memoryview:
        for size in sorted({min(limit, _AT_HAND_BYTES - len(before)), limit}):
            try:
                return _into(_room(size, before), data, before, unpack_into)
            except cramjam.DecompressionError as error:
                if _NO_ROOM not in str(error):
                    raise
        raise _too_large(limit)

    return unpack


def _room(size: int, before: bytes) -> memoryview:
    """Room for so many bytes and what stands before them."""
    needed = len(before) + size
    if needed <= _AT_HAND_BYTES:
        return _at_hand.room[:needed]
    # pages of a mapping are not there before they are written to
    return memoryview(mmap.mmap(-1, needed))


def _into(room: memoryview, data: bytes | memoryview, before: bytes, unpack_into: _UnpackInto) -> bytes | memoryview:
    begin = len(before)
    room[:begin] = before
    unpacked = room[: begin + unpack_into(data, room[begin:])]
    # what is at hand is needed again
    return bytes(unpacked) if room.obj is _at_hand.room.obj else unpacked


_NAMES = {GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4", ZSTD: "zstd"}
_UNPACKERS: dict[int, Callable[[bytes | memoryview, int, bytes], bytes | memoryview]] = {
    GZIP: _gzip,
    SNAPPY: _snappy,
    LZ4: _bounded(cramjam.lz4.decompress_into),
    ZSTD: _bounded(cramjam.zstd.decompress_into),
}
