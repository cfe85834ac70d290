"""What of a minute of a feed was in time and what was repeated, counted by whoever checks its messages.

How many messages came and were refused is told by Kafka itself, for good (`trafficapp.stores.feeds.minutes`). What
only who reads a message can tell is counted here: of a minute in which a process died, the part that the next one read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from models.quality.feeds import FeedMinute
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339

MINUTE_US = 60 * MICROSECONDS_PER_SECOND
#: Who comes later after the event is not in time.
TIMELY_US = MINUTE_US
#: So many messages of a minute are known; what is repeated beyond them is not seen.
_MOST_KNOWN = 100_000


@dataclass(slots=True)
class _Minute:
    """A minute that is being counted."""

    number: int
    messages: int = 0
    timely: int = 0
    late_us: int = 0
    repeated: int = 0


@dataclass(slots=True)
class _Partition:
    minute: _Minute
    known: set[int] = field(default_factory=set)
    known_before: set[int] = field(default_factory=set)


class IntakeMinutes:
    """Counts accepted messages of a feed by partition and minute of their records.

    Args:
        feed: its name.
        topic: that producers write.
    """

    def __init__(self, feed: str, topic: str) -> None:
        self._feed, self._topic = feed, topic
        self._partitions: dict[int, _Partition] = {}

    def add(self, partition: int, key: str, time_us: int, record_us: int) -> FeedMinute | None:
        """Take a message in; the minute before, when it is the first of a new one.

        Args:
            partition: of the record.
            key: natural key.
            time_us: when it happened, microseconds since the epoch.
            record_us: time of its record, likewise.
        """
        number = record_us // MINUTE_US
        one = self._partitions.get(partition)
        if one is None:
            one = self._partitions[partition] = _Partition(_Minute(number))
        found = None
        # records of one partition may go back by a little: they count where they come
        if number > one.minute.number:
            found = self._told(partition, one.minute)
            one.known_before = one.known if number == one.minute.number + 1 else set()
            one.known, one.minute = set(), _Minute(number)
        minute, late_us = one.minute, record_us - time_us
        minute.messages += 1
        minute.timely += late_us <= TIMELY_US
        minute.late_us += max(late_us, 0)
        mark = hash((key, time_us))
        if mark in one.known or mark in one.known_before:
            minute.repeated += 1
        elif len(one.known) < _MOST_KNOWN:
            one.known.add(mark)
        return found

    def release(self, partition: int) -> None:
        """Forget a partition."""
        self._partitions.pop(partition, None)

    def _told(self, partition: int, minute: _Minute) -> FeedMinute:
        begin = rfc3339(minute.number * MINUTE_US)
        return FeedMinute(
            feed_minute=f"{self._feed}/{partition}/{begin}",
            feed=self._feed,
            topic=self._topic,
            partition=partition,
            minute=begin,
            messages=minute.messages,
            timely=minute.timely,
            late_us=minute.late_us,
            repeated=minute.repeated,
        )
