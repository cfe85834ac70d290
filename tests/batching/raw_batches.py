"""Record batches made byte by byte, for what no well-meant producer sends, and the request that carries them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import cramjam
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import lz4_encode
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
CODECS = {"none": 0, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}

#: Bits of the attributes.
STAMPED, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20

#: From the attributes to the number of records; the checksum covers these and what follows.
_CHECKED = struct.Struct(">hiqqqhii")
_BEFORE = struct.Struct(">qiibI")


@dataclass(frozen=True)
class Raw:
    """A record as bytes; names of headers are bytes here.

    Attributes:
        offset_delta: None for its place in the batch.
        body: all of the record behind its length, instead of what the other fields would give.
    """

    value: bytes | None = b"v"
    key: bytes | None = b"k"
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    timestamp_delta: int = 0
    offset_delta: int | None = None
    body: bytes | None = None


def varint(number: int) -> bytes:
    """A number in Kafka's variable form."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number & ~0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def record_bytes(record: Raw, place: int) -> bytes:
    """A record with its length before it."""
    delta = place if record.offset_delta is None else record.offset_delta
    body = record.body
    if body is None:
        body = b"\x00" + varint(record.timestamp_delta) + varint(delta) + _field(record.key) + _field(record.value)
        body += varint(len(record.headers))
        body += b"".join(_field(name) + _field(value) for name, value in record.headers)
    return varint(len(body)) + body


def compressed(payload: bytes, codec: int) -> bytes:
    """The records of a batch as a producer compresses them."""
    if codec == GZIP:
        return gzip.compress(payload)
    if codec == SNAPPY:
        return bytes(cramjam.snappy.compress_raw(payload))
    if codec == LZ4:
        return lz4_encode(payload)
    if codec == ZSTD:
        return bytes(cramjam.zstd.compress(payload))
    return payload


def batch_bytes(
    records: Sequence[Raw],
    *,
    base_offset: int = 0,
    codec: int = 0,
    attributes: int = 0,
    first_timestamp: int = 1_767_225_600_000,
    count: int | None = None,
    last_offset_delta: int | None = None,
    payload: bytes | None = None,
    producer_id: int = -1,
) -> bytes:
    """A batch of version 2 with a right checksum; ``payload`` is what stands behind the header, if not the records."""
    plain = b"".join(record_bytes(record, place) for place, record in enumerate(records))
    behind = compressed(plain, codec) if payload is None else payload
    number = len(records) if count is None else count
    last = number - 1 if last_offset_delta is None else last_offset_delta
    newest = first_timestamp + max((record.timestamp_delta for record in records), default=0)
    checked = _CHECKED.pack(codec | attributes, last, first_timestamp, newest, producer_id, -1, -1, number) + behind
    return _BEFORE.pack(base_offset, len(checked) + 9, -1, 2, calc_crc32c(checked)) + checked


def marker_bytes(offset: int, producer_id: int, *, commits: bool = True) -> bytes:
    """The marker that a broker writes at the end of a transaction."""
    marker = Raw(struct.pack(">hi", 0, 0), struct.pack(">hh", 0, int(commits)))
    return batch_bytes([marker], base_offset=offset, attributes=TRANSACTIONAL | CONTROL, producer_id=producer_id)


async def produce_bytes(bootstrap_servers: str, topic: str, partition: int, batch: bytes) -> int:
    """Send one batch as it is.

    Returns:
        the offset of its first record.

    Raises:
        KafkaError: the broker does not take it.
    """
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await client.bootstrap()
    try:
        await client.fetch_all_metadata()
        (node,) = {one.nodeId for one in client.cluster.brokers()}
        request = ProduceRequest(
            transactional_id=None, required_acks=-1, timeout=10_000, topics=[(topic, [(partition, batch)])]
        )
        answer = await client.send(node, request)
        (_, [(_, code, offset, *_)]) = answer.topics[0]
        if code:
            raise for_code(code)(f"{topic}-{partition}")
        return int(offset)
    finally:
        await client.close()
