"""Unpacking the compressed records of a batch, never to more than a limit.

A batch of a megabyte can hold gigabytes of zeros. Each codec stops at the limit; none allocates beyond it first.
"""

from __future__ import annotations

import mmap
import threading
import zlib
from collections.abc import Callable
from typing import Final

import cramjam

#: Of the attributes of a batch.
CODEC_MASK: Final = 0x07
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4

#: A batch that unpacks to more is not read. No honest one comes near: a broker takes a megabyte, packed.
UNPACKED_BYTES = 64 << 20

#: Most batches unpack into this much, which every thread that unpacks keeps at hand.
_AT_HAND_BYTES = 4 << 20

_GZIP_WBITS = 31
_GZIP_MAGIC = b"\x1f\x8b"
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16

#: What cramjam says when there is less room than comes out.
_NO_ROOM = "whole buffer"


class Undecompressable(Exception):
    """Compressed records that cannot be unpacked; the message says why, for a person."""


class _AtHand(threading.local):
    """Room to unpack into, of one thread."""

    def __init__(self) -> None:
        self.room = memoryview(bytearray(_AT_HAND_BYTES))


_at_hand = _AtHand()


def decompress(codec: int, data: bytes | memoryview, limit: int = UNPACKED_BYTES) -> bytes:
    """Unpack the compressed part of a batch.

    Args:
        codec: as the attributes of the batch say.
        data: what stands behind its header.
        limit: how many bytes may come out.

    Raises:
        Undecompressable: more would come out, or it is not what the codec writes.
    """
    unpack = _UNPACKERS.get(codec)
    if unpack is None:
        raise Undecompressable(f"there is no codec {codec}")
    try:
        return unpack(data, limit)
    except (zlib.error, cramjam.DecompressionError, ValueError) as error:
        raise Undecompressable(f"it is not what {_NAMES[codec]} writes: {error}") from None


def _too_large(limit: int) -> Undecompressable:
    return Undecompressable(f"it unpacks to more than {limit:,} bytes")


def _gzip(data: bytes | memoryview, limit: int) -> bytes:
    members: list[bytes] = []
    room = limit
    rest = bytes(data)
    # what follows and is none is ignored, as the broker does
    while not members or rest.startswith(_GZIP_MAGIC):
        member = zlib.decompressobj(_GZIP_WBITS)
        # one byte more shows that there is more
        unpacked = member.decompress(rest, room + 1)
        room -= len(unpacked)
        if room < 0:
            raise _too_large(limit)
        if not member.eof:
            raise ValueError("it ends too early")
        members.append(unpacked)
        rest = member.unused_data.lstrip(b"\x00")
    return members[0] if len(members) == 1 else b"".join(members)


def _snappy(data: bytes | memoryview, limit: int) -> bytes:
    if bytes(data[: len(_XERIAL_MAGIC)]) != _XERIAL_MAGIC:
        return _snappy_block(data, limit, limit)
    blocks: list[bytes] = []
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
        unpacked = _snappy_block(block, room, limit)
        blocks.append(unpacked)
        room -= len(unpacked)
        at += 4 + size
    return b"".join(blocks)


def _snappy_block(block: bytes | memoryview, room: int, limit: int) -> bytes:
    # the length stands at the beginning, and the library holds on to it
    if cramjam.snappy.decompress_raw_len(block) > room:
        raise _too_large(limit)
    return bytes(cramjam.snappy.decompress_raw(block))


def _bounded(
    unpack_into: Callable[[bytes | memoryview, memoryview | mmap.mmap], int],
) -> Callable[[bytes | memoryview, int], bytes]:
    """A codec that says how much comes out only once it is out: it gets room of a size that is given."""

    def unpack(data: bytes | memoryview, limit: int) -> bytes:
        room = _at_hand.room[:limit]
        try:
            return bytes(room[: unpack_into(data, room)])
        except cramjam.DecompressionError as error:
            if _NO_ROOM not in str(error):
                raise
        # pages of a mapping are not there before they are written to
        with mmap.mmap(-1, limit) as mapping:
            try:
                return mapping[: unpack_into(data, mapping)]
            except cramjam.DecompressionError as error:
                if _NO_ROOM in str(error):
                    raise _too_large(limit) from None
                raise

    return unpack


_NAMES = {GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4", ZSTD: "zstd"}
_UNPACKERS: dict[int, Callable[[bytes | memoryview, int], bytes]] = {
    GZIP: _gzip,
    SNAPPY: _snappy,
    LZ4: _bounded(cramjam.lz4.decompress_into),
    ZSTD: _bounded(cramjam.zstd.decompress_into),
}
