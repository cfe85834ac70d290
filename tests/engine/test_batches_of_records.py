"""Records are put into batches past the client's own method, and stand there as if it had put them there."""

from __future__ import annotations

import time
from typing import cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from trafficapp.engine.transactions import Outgoing, _batches_of

NOON_MS = 1_768_392_000_000


class Batches:
    """Makes batches of so many bytes, as a producer does."""

    def __init__(self, size: int) -> None:
        self.size = size

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self.size, 0, is_transactional=True)


def batches(records: list[Outgoing], size: int) -> list[BatchBuilder]:
    return list(_batches_of(cast(AIOKafkaProducer, Batches(size)), records))


def records(count: int) -> list[Outgoing]:
    made = [
        Outgoing("any", f"key-{number}".encode(), b"x" * number, 0, NOON_MS + number, (("name", b"value"),))
        for number in range(count - 2)
    ]
    return [*made, Outgoing("any", None, b"no key", 0, NOON_MS), Outgoing("any", b"forgotten", None, 0, NOON_MS)]


@pytest.mark.parametrize("size", [900_000, 2_000, 1])
def test_batches_are_those_of_the_client(size: int) -> None:
    wanted = [BatchBuilder(size, 0, is_transactional=True)]
    for one in records(100):
        told = {"timestamp": one.timestamp_ms, "key": one.key, "value": one.value, "headers": list(one.headers)}
        if wanted[-1].append(**told) is None:
            wanted.append(BatchBuilder(size, 0, is_transactional=True))
            wanted[-1].append(**told)
    found = batches(records(100), size)
    assert [batch.record_count() for batch in found] == [batch.record_count() for batch in wanted]
    assert sum(batch.record_count() for batch in found) == 100
    assert [bytes(batch._build()) for batch in found] == [bytes(batch._build()) for batch in wanted]


def test_nothing_makes_no_batch() -> None:
    assert batches([], 1000) == []


def test_a_record_without_a_time_is_of_now() -> None:
    before_ms = int(time.time() * 1000)
    told = bytes(batches([Outgoing("any", b"key", b"value")], 1000)[0]._build())
    # first and largest time of a batch, Kafka's format of version 2
    assert before_ms <= int.from_bytes(told[27:35]) <= int.from_bytes(told[35:43]) <= time.time() * 1000
