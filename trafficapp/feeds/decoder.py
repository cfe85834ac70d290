"""Reads messages of a feed and says of each what is wrong with it.

Whether a message is accepted follows from its record alone, never from a clock of ours or from what came before: the
agent that writes dead letters, the sinks and ``trafficapp feeds check`` all decide alike, today and in a replay.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Struct, structs

from models.cameras.detections import Rejected, event_time_us
from models.form import read_form
from models.records import MALFORMED
from models.timestamps import epoch_us, rfc3339
from trafficapp.analytics.local_hours import time_zone
from trafficapp.feeds.declaration import Feed, Message
from trafficapp.settings import Settings

#: Characters of a natural key, which names keys and rows.
LONGEST_KEY = 256

_Read = TypeVar("_Read", bound=Struct)


class Accepted(NamedTuple):
    """A message that was accepted, a `Feed`'s shape.

    Attributes:
        key: the natural key.
        time_us: when it happened, microseconds since the epoch.
    """

    message: Any
    key: str
    time_us: int


class FeedDecoder(Generic[Message]):
    """Decides which messages of a feed are accepted.

    Args:
        feed: the declaration.
        settings: those that topics and checks depend on.

    Raises:
        UnknownZone: the feed's zone is none.
    """

    def __init__(self, feed: Feed[Message], settings: Settings) -> None:
        self.feed = feed
        self.zone = time_zone(feed.zone)
        self._decode = msgspec.json.Decoder(feed.shape).decode
        self._checks = feed.checks(settings) if feed.checks is not None else None
        self._future_us = None if feed.future_seconds is None else round(feed.future_seconds * 1e6)
        #: Whether a record must have the natural key: else it may stand in the partition of another one.
        self._is_keyed = not feed.rekey and not feed.is_ours

    def check(self, key: bytes | None, value: bytes | None, record_us: int) -> Accepted:
        """Read a record as producers send it.

        Args:
            key: of the record.
            value: of the record.
            record_us: the record's own time, microseconds since the epoch.

        Raises:
            Rejected: the message cannot be read, or cannot be true; with the reason for the dead letter.
        """
        if self._checks is not None:
            checked = self._checks(key, value, record_us)
            return Accepted(checked.message, getattr(checked.message, self.feed.key), checked.time_us)
        accepted = self.read(value)
        if self._is_keyed and key != accepted.key.encode():
            raise Rejected("key_mismatch", f"the record key is not the {self.feed.key} {accepted.key!r}")
        if self._future_us is not None and accepted.time_us - record_us > self._future_us:
            raise Rejected(
                "future",
                f"{self.feed.time} {rfc3339(accepted.time_us)} is more than {self._future_us / 1e6:g} s ahead of the "
                f"record's {rfc3339(record_us)}",
            )
        return accepted

    def read(self, value: bytes | None) -> Accepted:
        """Read a message without its record.

        Raises:
            Rejected: likewise.
        """
        message = self._read_ours(value) if self.feed.is_ours else self._read_form(value)
        key = getattr(message, self.feed.key)
        if not 0 < len(key) <= LONGEST_KEY:
            raise Rejected("invalid_field", f"{self.feed.key}: 1 to {LONGEST_KEY} characters are taken, not {len(key)}")
        return Accepted(message, key, self._time_us(getattr(message, self.feed.time)))

    def document(self, accepted: Accepted) -> bytes:
        """A message as it is shown: its time in UTC."""
        return msgspec.json.encode(at_time(self.feed, accepted.message, accepted.time_us))

    def _read_form(self, value: bytes | None) -> Message:
        return read_form(value, self.feed.shape, self._decode, texts=(self.feed.key,))

    def _read_ours(self, value: bytes | None) -> Message:
        """What we send has exactly the form that we give it."""
        try:
            return self._decode(value or b"")
        except MALFORMED as error:
            raise Rejected("unreadable", str(error)) from None

    def _time_us(self, told: str | float) -> int:
        try:
            # what is ours was judged when it was sent
            return epoch_us(told, self.zone) if self.feed.is_ours else event_time_us(told, self.zone)
        except (ValueError, OverflowError):
            raise Rejected(
                "invalid_timestamp",
                f"{self.feed.time} {str(told)[:64]!r} is neither ISO 8601 nor epoch seconds or milliseconds",
            ) from None


def at_time(feed: Feed[_Read], message: _Read, time_us: int) -> _Read:
    """A message with another time."""
    return structs.replace(message, **{feed.time: rfc3339(time_us)})


def sample_of(feed: Feed[_Read], now: datetime) -> tuple[bytes, bytes]:
    """A valid message as of a time: record key and value."""
    message = at_time(feed, feed.sample, epoch_us(now))
    return getattr(message, feed.key).encode(), msgspec.json.encode(message)
