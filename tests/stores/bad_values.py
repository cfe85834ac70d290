"""What a value of a topic may be that it should not be: nothing, noise, and a good document with one thing changed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from aiokafka import ConsumerRecord

DEEP = 5000

#: What stands in the place of a field, whatever the field is.
_IN_PLACE: dict[str, Any] = {
    "null": None,
    "true": True,
    "nothing": "",
    "text": "text",
    "NUL": "a\x00b",
    "long text": "x" * 5000,
    "very long text": "é" * 20_000,
    "long noise": "".join(map(chr, random.Random(1).choices(range(33, 0xD000), k=6000))),
    "a list": [],
    "an object": {"a": 1},
    "zero": 0,
    "minus one": -1,
    "half": 0.5,
    "2^31": 2**31,
    "2^63": 2**63,
    "the largest": 2**63 - 1,
    "the smallest": -(2**63),
    "1e308": 1e308,
    "the year 1": "0001-01-01T00:00:00Z",
    "before the year 1": "0001-01-01T00:00:00+23:59",
    "the year 9999": "9999-12-31T23:59:59.999999Z",
    "beyond the year 9999": "9999-12-31T23:59:59-23:59",
    "the year 10000": "10000-01-01T00:00:00Z",
    "before 1970": "1969-12-31T23:59:59Z",
    "a leap second": "2026-06-30T23:59:60Z",
    "a day": "2026-01-14",
}

_NOISE: dict[str, bytes | None] = {
    "null": None,
    "nothing": b"",
    "a space": b" ",
    "JSON null": b"null",
    "a number": b"12",
    "text": b'"text"',
    "a list": b"[]",
    "an empty object": b"{}",
    "noise": bytes(range(256)),
    "no UTF-8": b'{"camera_id": "\xff\xfe"}',
    "half a surrogate": b'{"camera_id": "\\ud800"}',
    "cut off": b'{"camera_id": "cam',
    "a deep list": b"[" * DEEP + b"]" * DEEP,
    "a large number": b"1" + b"0" * 5000,
    "msgpack": b"\x93\x01\x02\x03",
}


def bad_values(good: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Names and values; many of them are no documents, some are ones that are merely strange."""
    yield from _NOISE.items()
    document = json.loads(good)
    yield "deep", good[:-1] + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}"
    yield "something behind it", good + b"x"
    for name in document:
        yield f"no {name}", json.dumps({key: value for key, value in document.items() if key != name}).encode()
        for what, value in _IN_PLACE.items():
            yield f"{name}: {what}", json.dumps(document | {name: value}).encode()
        if isinstance(document[name], list | dict):
            for what, value in _IN_PLACE.items():
                yield f"{name} of {what}", json.dumps(document | {name: [value]}).encode()
                yield f"{name} of pairs of {what}", json.dumps(document | {name: [[value, value]]}).encode()
                yield f"{name} with {what}", json.dumps(document | {name: {"a": value}}).encode()
        if isinstance(document[name], str):
            yield f"{name}: no UTF-8", good.replace(json.dumps(document[name])[1:-1].encode(), b"\xff\xfe", 1)


def records(topic: str, *values: bytes | None, first: int = 0, timestamp_ms: int = 1_768_374_000_000) -> list[Any]:
    """Kafka's records of values, with keys, times and headers of all kinds."""
    made = []
    for number, value in enumerate(values):
        key = (b"cam_1", None, b"", b"\xff\xfe", b"\x00partition-0")[number % 5]
        headers = ((), (("", None),), (("trafficapp-tick", b""),), (("a", b"\xff"), ("a", None)))[number % 4]
        time_ms = (timestamp_ms, timestamp_ms, -1, 0, -(10**12), timestamp_ms)[number % 6]
        made.append(ConsumerRecord(topic, 0, first + number, time_ms, 0, key, value, None, 0, 0, headers))
    return made
