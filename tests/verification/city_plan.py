"""What all feeds of a city send in a seeded run, and what of it must be accepted: plain Python, nothing of ours."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

from confluent_kafka import Producer

from tests.verification.log import LogRecord

#: South, west, north, east.
BOUNDS = (44.40, 11.20, 44.60, 11.50)
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
#: An hour that the zone of naive times is ahead of UTC, all year long.
ZONE, ZONE_OFFSET = "Asia/Jakarta", timezone(timedelta(hours=7))
DIRTY = 0.08
REPEATED = 0.04

_MS = 1_000
#: How often whoever is dirty is dirty in a way that is no JSON.
_NO_JSON: tuple[tuple[bytes | None, str], ...] = (
    (b"not json {", "not_json"),
    (b'{"device_id": "cut', "not_json"),
    (b"", "empty"),
    (None, "empty"),
    (b"[1, 2]", "invalid_field"),
)


class Sent(NamedTuple):
    """A message on its way."""

    topic: str
    key: bytes | None
    value: bytes | None


class Meant(NamedTuple):
    """What must become of a message: the reason of its letter, or the plain values that it says."""

    reason: str | None
    says: Mapping[str, Any]


class Plan:
    """Messages and what is meant by them; a value is remembered by topic and bytes."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.meant: dict[tuple[str, bytes], Meant] = {}
        self._again: list[Sent] = []

    def new_id(self) -> str:
        """A random id that follows from the seed."""
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def key(self, natural: str) -> bytes | None:
        """As producers have it: none, at random, or the right one."""
        return self.chance.choice((None, self.new_id().encode(), natural.encode()))

    def time(self, time_us: int) -> str | int:
        """A time in one of the forms, whole milliseconds."""
        form = self.chance.randrange(4)
        if form == 0:
            return time_us // _MS
        at = datetime.fromtimestamp(time_us / 1e6, UTC)
        if form == 1:
            return at.astimezone(ZONE_OFFSET).replace(tzinfo=None).isoformat(timespec="milliseconds")
        if form == 2:
            return at.astimezone(timezone(timedelta(hours=-3, minutes=-30))).isoformat(timespec="milliseconds")
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def clean(self, topic: str, natural: str, message: Mapping[str, Any], says: Mapping[str, Any]) -> list[Sent]:
        """A message that must be accepted, now and then another one that was sent before as well."""
        sent = self._put(topic, self.key(natural), json.dumps(message).encode(), Meant(None, says))
        found = [sent]
        if self.chance.random() < REPEATED:
            self._again.append(sent)
        if self._again and self.chance.random() < REPEATED:
            found.append(self._again.pop(self.chance.randrange(len(self._again))))
        return found

    def dirty(self, topic: str, natural: str, message: Mapping[str, Any], spoilt: Iterable[Spoilt]) -> list[Sent]:
        """One that must be refused: by one of the ways of its feed, or one that all have."""
        ways = list(spoilt)
        number = self.chance.randrange(len(ways) + 2)
        if number >= len(ways):
            value, reason = self.chance.choice(_NO_JSON)
        else:
            change, reason = ways[number]
            changed = dict(message)
            change(changed)
            value = json.dumps(changed).encode()
        return [self._put(topic, self.key(natural), value, Meant(reason, {}))]

    def is_dirty(self) -> bool:
        """Whether the next one shall be."""
        return self.chance.random() < DIRTY

    def what_of(self, topic: str, record: LogRecord) -> Meant:
        """What is meant by a record that was read back."""
        return self.meant[topic, record.value or b""]

    def _put(self, topic: str, key: bytes | None, value: bytes | None, meant: Meant) -> Sent:
        self.meant[topic, value or b""] = meant
        return Sent(topic, key, value)


#: Changes a message so that it must be refused, and for which reason.
Spoilt = tuple[Callable[[dict[str, Any]], object], str]


def without(field: str, reason: str = "missing_field") -> Spoilt:
    """A field is missing."""
    return lambda message: message.pop(field), reason


def with_(field: str, value: Any, reason: str = "invalid_field") -> Spoilt:
    """A field has another value."""
    return lambda message: message.__setitem__(field, value), reason


class Senders:
    """Plain librdkafka clients at their default settings, one for each codec."""

    def __init__(self, bootstrap_servers: str, chance: random.Random) -> None:
        self._chance = chance
        self._producers = [
            Producer({"bootstrap.servers": bootstrap_servers, "compression.type": codec, "log_level": 0})
            for codec in CODECS
        ]
        self.acknowledged = self.failed = 0

    def send(self, sent: Sent) -> None:
        """Hand a message to one of them."""
        producer = self._chance.choice(self._producers)
        producer.produce(sent.topic, sent.value, sent.key, on_delivery=self._delivered)
        producer.poll(0)

    def flush(self, timeout_seconds: float) -> int:
        """Wait until all is acknowledged; how many are not."""
        return sum(producer.flush(timeout_seconds) for producer in self._producers)

    def _delivered(self, error: object, _: object) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.failed += 1
