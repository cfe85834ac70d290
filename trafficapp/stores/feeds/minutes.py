"""How many messages came into a topic in each minute: what Kafka knows, written into Postgres.

Nobody has to count: the offsets at the beginnings of two minutes tell how many records lie between. So the figures are
right whoever was restarted, and whoever was away makes up for it, as far as the topics reach back. Minutes are those
of records: the broker's clock, or the producer's where it tells another time. Where records go back in time they
count for a neighbouring minute; none is lost, and none counts twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from models.timestamps import epoch_us
from trafficapp.engine.kafka import aiokafka_config, groupless_consumer
from trafficapp.settings import Settings

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

MINUTE_MS = 60_000
#: So many minutes are written at a time, and so many of before when nothing is known.
_MINUTES_AT_ONCE = 60
_FIRST_MINUTES = 60
#: Minutes are looked at once more so much later: a record may have been on its way.
_AGAIN_MINUTES = 2
_REACHES_BACK_MINUTES = 7 * 24 * 60

_NEWEST = "SELECT max(minute) FROM feed_minutes WHERE topic = ANY($1::text[])"
_PUT = """
    INSERT INTO feed_minutes (topic, minute, messages)
    SELECT topic, to_timestamp(minute_s), messages
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS found (topic, minute_s, messages)
    ON CONFLICT (topic, minute) DO UPDATE SET messages = EXCLUDED.messages
    WHERE feed_minutes.messages <> EXCLUDED.messages
"""


class FeedMinutes:
    """Writes down the minutes of topics.

    Args:
        settings: where Kafka is.
        topics: that come in.
    """

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings, self._topics = settings, list(topics)
        #: Begin of the minute to look at next, milliseconds.
        self._next_ms: int | None = None

    async def look(self, pool: Pool, now: float | None = None) -> int:
        """Write down what is not written yet, and the newest minutes anew; repeats change nothing.

        Args:
            pool: of `trafficapp.stores.postgres.connection.create_pool`.
            now: epoch seconds; now unless given.

        Returns:
            how many minutes were looked at.

        Raises:
            KafkaError, OSError: the broker does not answer.
        """
        this_ms = int((time.time() if now is None else now) * 1000) // MINUTE_MS * MINUTE_MS
        if self._next_ms is None:
            newest: datetime | None = await pool.fetchval(_NEWEST, self._topics)
            back = _FIRST_MINUTES * MINUTE_MS
            if newest is not None:
                known_ms = epoch_us(newest) // 1000 - _AGAIN_MINUTES * MINUTE_MS
                back = min(max(this_ms - known_ms, 0), _REACHES_BACK_MINUTES * MINUTE_MS)
            self._next_ms = this_ms - back
        looked, first_ms = 0, min(self._next_ms, this_ms)
        async with groupless_consumer(self._settings) as consumer:
            places = await self._places()
            # the minute that goes on is written as far as it is known
            while first_ms <= this_ms:
                behind_ms = min(first_ms + _MINUTES_AT_ONCE * MINUTE_MS, this_ms + MINUTE_MS)
                rows = await self._counted(consumer, places, first_ms, behind_ms)
                await pool.execute(_PUT, *([list(column) for column in zip(*rows, strict=True)] or [[], [], []]))
                looked += (behind_ms - first_ms) // MINUTE_MS
                first_ms = behind_ms
                self._next_ms = max(self._next_ms, behind_ms - (_AGAIN_MINUTES + 1) * MINUTE_MS)
        return looked

    async def _places(self) -> list[TopicPartition]:
        client = AIOKafkaAdminClient(**aiokafka_config(self._settings))
        try:
            await client.start()
            described = await client.describe_topics(self._topics)
        finally:
            await client.close()
        return [TopicPartition(one["topic"], part["partition"]) for one in described for part in one["partitions"]]

    async def _counted(
        self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], first_ms: int, behind_ms: int
    ) -> list[tuple[str, int, int]]:
        """Topic, epoch seconds and messages of each minute that has some."""
        found = []
        before = await _offsets_at(consumer, places, first_ms)
        for begin_ms in range(first_ms, behind_ms, MINUTE_MS):
            after = await _offsets_at(consumer, places, begin_ms + MINUTE_MS)
            counts = dict.fromkeys(self._topics, 0)
            for place in places:
                counts[place.topic] += max(after[place] - before[place], 0)
            found += [(topic, begin_ms // 1000, count) for topic, count in counts.items() if count]
            # where times go back, records count for the minute before
            before = {place: max(after[place], before[place]) for place in places}
        return found


async def _offsets_at(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], time_ms: int
) -> dict[TopicPartition, int]:
    """The offset of the first record of each partition at a time or later; that behind all where there is none."""
    if not places:
        return {}
    found = await consumer.offsets_for_times(dict.fromkeys(places, time_ms))
    missing = [place for place in places if found.get(place) is None]
    ends = await consumer.end_offsets(missing) if missing else {}
    return {place: ends[place] if (known := found.get(place)) is None else known.offset for place in places}


def since_of(now: datetime, minutes: int) -> datetime:
    """Begin of the whole minutes before a time."""
    this_s = int(now.timestamp()) // 60 * 60
    return datetime.fromtimestamp(this_s - minutes * 60, UTC)
