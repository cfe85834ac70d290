"""Sends what `tests.verification.hostile_plan` makes: ``python -m tests.verification.hostile_load``; its own process.

The last line of its output is JSON: how many records went which way, and where those stand that nobody can read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from confluent_kafka import Producer

from tests.batching.raw_batches import CODECS as CODEC_NUMBERS
from tests.batching.raw_batches import Raw, batch_bytes, produce_bytes
from tests.verification.hostile_plan import ABORTED, CODECS, COMMITTED, RAW, Plan, Sending
from tests.verification.priority import set_niceness
from trafficapp.topics import EVENTS_RAW

PARTITIONS = 8
_LARGEST_BYTES = 80_000_000
_NICENESS = 19
_BAD_HEADERS = ((b"\xff\xfe", b""),)


def partition_of(key: bytes | None) -> int:
    """Where clients put a key."""
    return (murmur2(key or b"") & 0x7FFFFFFF) % PARTITIONS


@dataclass
class Load:
    """The producers of a run."""

    servers: str
    seed: int
    sent: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[int, int]] = field(default_factory=list)

    async def send(self, sendings: Sequence[Sending], began: float) -> None:
        """Send everything at its moment; returns when all of it is acknowledged."""
        async with asyncio.TaskGroup() as tasks:
            for codec in CODECS:
                tasks.create_task(self._by_aiokafka(codec, _of(sendings, f"aiokafka {codec}"), began))
                own = _of(sendings, f"confluent {codec}")
                tasks.create_task(asyncio.to_thread(self._by_confluent, codec, own, began))
            transactions = [one for one in sendings if one.way in (COMMITTED, ABORTED)]
            for number in range(2):
                own = transactions[number::2]
                tasks.create_task(asyncio.to_thread(self._in_transactions, number, own, began))
            tasks.create_task(self._raw(_of(sendings, RAW), began))

    async def _by_aiokafka(self, codec: str, sendings: Sequence[Sending], began: float) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.servers,
            compression_type=None if codec == "none" else codec,
            linger_ms=20,
            max_request_size=_LARGEST_BYTES,
            request_timeout_ms=60_000,
        )
        async with producer:
            waiting = []
            for one in sendings:
                await asyncio.sleep(max(began + one.at_seconds - time.monotonic(), 0))
                key = one.key
                headers = list(one.headers)
                waiting.append(await producer.send(EVENTS_RAW, one.value, key, one.partition, headers=headers))
                self.sent[one.way] += 1
            await asyncio.gather(*waiting)

    def _by_confluent(self, codec: str, sendings: Sequence[Sending], began: float) -> None:
        producer = Producer({**self._options(), "compression.type": codec, "linger.ms": 20})
        for one in sendings:
            _wait(producer, began + one.at_seconds)
            _produce(producer, one)
            self.sent[one.way] += 1
        _flush(producer)

    def _in_transactions(self, number: int, sendings: Sequence[Sending], began: float) -> None:
        """Many small transactions, and now and then one that stays open for a while."""
        chance = random.Random(self.seed + number)
        producer = Producer({**self._options(), "transactional.id": f"hostile-{number}", "linger.ms": 0})
        producer.init_transactions(30)
        rest = list(sendings)
        while rest:
            way = rest[0].way
            size = chance.randint(1, 4)
            group = [one for one in rest[: 2 * size] if one.way == way][:size]
            for one in group:
                rest.remove(one)
            _wait(producer, began + group[0].at_seconds)
            producer.begin_transaction()
            for one in group:
                _produce(producer, one)
                self.sent[one.way] += 1
            _flush(producer)
            if chance.random() < 0.01:
                time.sleep(chance.uniform(1, 4))
            if way == COMMITTED:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)

    async def _raw(self, sendings: Sequence[Sending], began: float) -> None:
        """Batches made byte by byte, some of whose records cannot be read."""
        chance = random.Random(self.seed)
        rest = list(sendings)
        while rest:
            size = chance.randint(1, 12)
            group, rest = rest[:size], rest[size:]
            await asyncio.sleep(max(began + group[0].at_seconds - time.monotonic(), 0))
            codec = chance.choice(CODECS)
            for partition in sorted({partition_of(one.key) for one in group}):
                own = [one for one in group if partition_of(one.key) == partition]
                raw = [Raw(one.value, one.key, _BAD_HEADERS if one.is_unreadable else ()) for one in own]
                now_ms = int(time.time() * 1000)
                batch = batch_bytes(raw, codec=CODEC_NUMBERS[codec], first_timestamp=now_ms)
                base = await produce_bytes(self.servers, EVENTS_RAW, partition, batch)
                self.sent[RAW] += len(own)
                self.unreadable += [(partition, base + at) for at, one in enumerate(own) if one.is_unreadable]

    def _options(self) -> dict[str, object]:
        return {
            "bootstrap.servers": self.servers,
            "partitioner": "murmur2_random",
            "message.max.bytes": _LARGEST_BYTES,
            "queue.buffering.max.kbytes": 1 << 20,
        }


def _of(sendings: Sequence[Sending], way: str) -> list[Sending]:
    return [one for one in sendings if one.way == way]


def _wait(producer: Producer, moment: float) -> None:
    producer.poll(0)
    while (left := moment - time.monotonic()) > 0:
        producer.poll(min(left, 0.2))


def _produce(producer: Producer, one: Sending) -> None:
    partitions = range(PARTITIONS) if one.partition == -1 else [one.partition]
    for partition in partitions:
        place = {} if partition is None else {"partition": partition}
        producer.produce(EVENTS_RAW, one.value, one.key, headers=list(one.headers), on_delivery=_acknowledged, **place)


def _acknowledged(error: object, message: object) -> None:
    if error is not None:
        raise RuntimeError(f"not acknowledged: {error}")


def _flush(producer: Producer) -> None:
    if producer.flush(60):
        raise RuntimeError("not everything was acknowledged")


def main() -> None:
    """Send."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    # producers are other machines; here they must not take the workers' cores from them
    set_niceness(_NICENESS)
    lead_seconds = 20.0  # making it all takes a while
    plan = Plan(options.seed, round((time.time() + lead_seconds) * 1000) * 1000, options.seconds)
    began = plan.begin_us / 1e6 - time.time() + time.monotonic()
    load = Load(options.bootstrap_servers, options.seed)
    asyncio.run(load.send(plan.sendings, began))
    print(json.dumps({"sent": load.sent, "unreadable": load.unreadable, "begin_us": plan.begin_us}), flush=True)


if __name__ == "__main__":
    main()
