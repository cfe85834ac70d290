"""Unpacking what producers compress, and no more than a limit of it."""

from __future__ import annotations

import contextlib
import gzip
import random
import tracemalloc

import cramjam
import pytest
from aiokafka import codec as aiokafka_codec

from trafficapp.batching.codecs import GZIP, LZ4, SNAPPY, ZSTD, Undecompressable, decompress

PLAIN = b"".join(b'{"camera_id": "cam_%d", "frame_id": %d}' % (number % 7, number) for number in range(3000))

#: By what each library writes: a codec and its bytes.
WRITTEN = {
    "gzip": (GZIP, gzip.compress(PLAIN)),
    "gzip in two members": (GZIP, gzip.compress(PLAIN[:1000]) + gzip.compress(PLAIN[1000:]) + b"\x00" * 5),
    "gzip with something behind it": (GZIP, gzip.compress(PLAIN) + b"something"),
    "raw snappy": (SNAPPY, bytes(cramjam.snappy.compress_raw(PLAIN))),
    "xerial snappy": (SNAPPY, aiokafka_codec.snappy_encode(PLAIN, xerial_blocksize=4096)),
    "xerial snappy, strung together": (
        SNAPPY,
        aiokafka_codec.snappy_encode(PLAIN[:5000]) + aiokafka_codec.snappy_encode(PLAIN[5000:]),
    ),
    "lz4": (LZ4, aiokafka_codec.lz4_encode(PLAIN)),
    "lz4 in two frames": (LZ4, aiokafka_codec.lz4_encode(PLAIN[:99]) + aiokafka_codec.lz4_encode(PLAIN[99:])),
    "zstd": (ZSTD, aiokafka_codec.zstd_encode(PLAIN)),
    "zstd in two frames": (ZSTD, aiokafka_codec.zstd_encode(PLAIN[:99]) + aiokafka_codec.zstd_encode(PLAIN[99:])),
}
written = pytest.mark.parametrize(("codec", "data"), WRITTEN.values(), ids=list(WRITTEN))


@written
def test_what_was_compressed_comes_out(codec: int, data: bytes) -> None:
    assert decompress(codec, data) == PLAIN
    assert decompress(codec, memoryview(b"header" + data)[6:]) == PLAIN


@written
def test_it_comes_out_behind_what_is_to_stand_before_it(codec: int, data: bytes) -> None:
    assert decompress(codec, data, len(PLAIN), b"header") == b"header" + PLAIN


@written
def test_the_limit_is_the_last_size_that_comes_out(codec: int, data: bytes) -> None:
    assert decompress(codec, data, len(PLAIN)) == PLAIN
    for limit in (len(PLAIN) - 1, len(PLAIN) // 2, 10):
        with pytest.raises(Undecompressable, match=f"unpacks to more than {limit:,} bytes"):
            decompress(codec, data, limit)


@written
def test_what_is_cut_off_or_overwritten_is_told(codec: int, data: bytes) -> None:
    for broken in (
        b"",
        data[: len(data) // 2],
        b"\x00" * 40,
        b"not compressed at all",
        data[:30] + bytes(max(len(data) - 30, 0)),
    ):
        with pytest.raises(Undecompressable):
            decompress(codec, broken)


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_any_bytes_are_unpacked_or_refused(codec: int) -> None:
    chance = random.Random(5)
    valid = next(data for kind, data in WRITTEN.values() if kind == codec)
    for _ in range(300):
        data = bytearray(valid[: chance.randrange(len(valid))])
        for _ in range(chance.randrange(1, 4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(Undecompressable):
            decompress(codec, bytes(data), 1 << 20)


def test_an_unknown_codec_is_told() -> None:
    with pytest.raises(Undecompressable, match="no codec 5"):
        decompress(5, b"x")


@pytest.mark.parametrize(
    ("codec", "data"),
    [(GZIP, gzip.compress(bytes(6 << 20))), (SNAPPY, bytes(cramjam.snappy.compress_raw(bytes(6 << 20))))],
)
def test_no_more_memory_is_taken_than_the_limit(codec: int, data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Undecompressable):
            decompress(codec, data, 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()


def test_what_is_larger_than_the_room_at_hand_comes_out_too() -> None:
    plain = random.Random(3).randbytes(1 << 20) * 6
    for codec, encode in ((LZ4, aiokafka_codec.lz4_encode), (ZSTD, aiokafka_codec.zstd_encode)):
        data = encode(plain)
        assert decompress(codec, data) == plain
        with pytest.raises(Undecompressable, match="more than"):
            decompress(codec, data, 5 << 20)
        assert decompress(codec, data, len(plain), b"header") == b"header" + plain


def test_what_is_large_is_there_once_only() -> None:
    plain = random.Random(3).randbytes(1 << 14) * 800
    for codec, data in (
        (GZIP, gzip.compress(plain)),
        (SNAPPY, bytes(cramjam.snappy.compress_raw(plain))),
        (SNAPPY, aiokafka_codec.snappy_encode(plain)),
        (LZ4, aiokafka_codec.lz4_encode(plain)),
        (ZSTD, aiokafka_codec.zstd_encode(plain)),
    ):
        tracemalloc.start()
        try:
            decompress(codec, data, before=b"header")
            assert tracemalloc.get_traced_memory()[1] < 1.3 * len(plain)
        finally:
            tracemalloc.stop()
