"""Dead letters by topic, minute and reason in Postgres, each once.

A letter that is sent again after a crash is of a message that one was counted of before: letters of a partition come
in the order of its messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from models.dead_letters import decode_dead_letter
from models.timestamps import epoch_us
from trafficapp.feeds.minutes import MINUTE_US
from trafficapp.settings import Settings
from trafficapp.stores.postgres.retention import KeptTable
from trafficapp.stores.postgres.rows import StoredTime, storable
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters, postgres_time
from trafficapp.stores.record_rows import RecordRows
from trafficapp.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection

_KNOWN = """
    SELECT topic, partition, letter_offset, letter_us FROM feed_letters
    WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::int[])) FOR UPDATE
"""
_KNOW = """
    INSERT INTO feed_letters (topic, partition, letter_offset, letter_us)
    SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
    ON CONFLICT (topic, partition) DO UPDATE
    SET letter_offset = EXCLUDED.letter_offset, letter_us = EXCLUDED.letter_us
"""
_COUNT = """
    INSERT INTO feed_refusals (topic, minute, reason, messages, parts)
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[], $5::bigint[]) AS s (t, m, r, n, p)
    ORDER BY t, m, r
    ON CONFLICT (topic, minute, reason) DO UPDATE
    SET messages = feed_refusals.messages + EXCLUDED.messages, parts = feed_refusals.parts + EXCLUDED.parts
"""


#: What is usual is told by a week.
_KEPT = timedelta(days=30)
KEPT_MINUTES = [
    KeptTable("feed_minutes", _KEPT, ("topic", "minute"), "minute"),
    KeptTable("feed_refusals", _KEPT, ("topic", "minute", "reason"), "minute"),
]


class Letter(NamedTuple):
    """What is counted of a dead letter."""

    topic: str
    partition: int
    offset: int
    record_us: int
    reason: str
    reasons: dict[str, int]


class RefusedSink(HistorySink[list[Letter]]):
    """Counts the letters of ``traffic.dead-letters``.

    Args:
        settings: where Postgres is.
        should_stop: asked while Postgres is away; True gives up waiting.
    """

    name = "feed_refusals"

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        super().__init__(settings.postgres, DEAD_LETTERS, should_stop)

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[list[Letter], SinkCounters]:
        """Read letters."""
        counters = SinkCounters()
        return [letter for _, letter in _LETTERS.of(records, counters)], counters

    async def ensure_partitions(self, connection: Connection, batch: list[Letter]) -> None:
        """Nothing: the tables have no partitions."""

    async def write(self, connection: Connection, batch: list[Letter], counters: SinkCounters, isolating: bool) -> None:
        """Count the letters that are new."""
        places = sorted({(one.topic, one.partition) for one in batch})
        if not places:
            return
        rows = await connection.fetch(_KNOWN, *map(list, zip(*places, strict=True)))
        known = {(row[0], row[1]): (row[2], row[3]) for row in rows}
        messages, parts = Counter[tuple[str, int, str]](), Counter[tuple[str, int, str]]()
        for one in batch:
            offset, record_us = known.get((one.topic, one.partition), (-1, -1))
            # of a topic that was made anew the offsets begin again, but not the times
            if one.offset <= offset and one.record_us <= record_us:
                counters.repeated += 1
                continue
            known[one.topic, one.partition] = one.offset, one.record_us
            minute_us = one.record_us // MINUTE_US * MINUTE_US
            messages[one.topic, minute_us, one.reason] += 1
            for reason, count in one.reasons.items():
                parts[one.topic, minute_us, reason] += count
            counters.rows += 1
        keys = sorted({*messages, *parts})
        if not keys:
            return
        minutes: list[StoredTime] = [postgres_time(minute_us) for _, minute_us, _ in keys]
        await connection.execute(
            _COUNT,
            [topic for topic, _, _ in keys],
            minutes,
            [reason for *_, reason in keys],
            [messages[key] for key in keys],
            [parts[key] for key in keys],
        )
        newest = sorted((*place, *known[place]) for place in places if place in known)
        await connection.execute(_KNOW, *map(list, zip(*newest, strict=True)))


def _letter(record: ConsumerRecord) -> Letter:
    letter = decode_dead_letter(record.value or b"")
    reasons = letter.reasons or {letter.reason: letter.events}
    record_us = epoch_us(letter.timestamp)
    postgres_time(record_us)
    told = {storable(reason): count for reason, count in reasons.items()}
    return Letter(storable(letter.topic), letter.partition, letter.offset, record_us, storable(letter.reason), told)


_LETTERS = RecordRows(DEAD_LETTERS, "dead letter", _letter)
