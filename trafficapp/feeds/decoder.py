"""Reads messages of a feed and says of each what is wrong with it.

Whether a message is accepted follows from its record alone, never from a clock of ours or from what came before: the
agent that writes dead letters, the sinks and ``trafficapp feeds check`` all decide alike, today and in a replay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct, structs

from models.cameras.detections import MAX_MESSAGE_BYTES, Rejected, event_time_us, is_event_time
from models.form import read_form
from models.records import MALFORMED
from models.text_numbers import number, whole_number
from models.timestamps import epoch_us, rfc3339
from trafficapp.analytics.local_hours import time_zone
from trafficapp.feeds.declaration import Checked, Feed, Message, NewestLog
from trafficapp.feeds.fitting import always_fits
from trafficapp.feeds.places import check_place
from trafficapp.feeds.shapes import narrowed, number_fields
from trafficapp.settings import Settings

#: Characters of a natural key, which names keys and rows.
LONGEST_KEY = 256

#: A document may be so many times longer than its message was: ``1e15`` is written in full.
_MOST_TIMES_LONGER = 8

#: What rules, fields and conversions raise on values that nobody thought of.
FAULTS = (*MALFORMED, AttributeError, LookupError, ArithmeticError)

_Read = TypeVar("_Read", bound=Struct)


class Accepted(Struct, gc=False):
    """A message that was accepted, a `Feed`'s shape.

    Attributes:
        key: the natural key.
        time_us: when it happened, microseconds since the epoch.
        row: of the feed's table, where it was looked at already.
    """

    message: Any
    key: str
    time_us: int
    row: tuple[Any, ...] | None = None


class FeedDecoder(Generic[Message]):
    """Decides which messages of a feed are accepted.

    Args:
        feed: the declaration.
        settings: those that topics and checks depend on.
        with_rows: whether rows of the feed's table are wanted. Else one is made only where it may turn out that the
            table cannot hold a message.
        fields: of messages of ours only these are read, beside the key and the time; None reads them whole.

    Raises:
        UnknownZone: the feed's zone is none.
    """

    def __init__(
        self, feed: Feed[Message], settings: Settings, *, with_rows: bool = True, fields: Collection[str] | None = None
    ) -> None:
        self.feed = feed
        self._is_ours = feed.is_ours
        self.zone = time_zone(feed.zone_in(settings))
        shape: type[Any] = feed.shape
        if fields is not None and feed.is_ours:
            shape = narrowed(shape, {*fields, feed.key, *(() if feed.time is None else (feed.time,))})
        self._decode = msgspec.json.Decoder(shape).decode
        #: Found once: it is asked of each message.
        self._texts = (feed.key_name,)
        self._checks = feed.checks(settings) if feed.checks is not None else None
        ahead = feed.future_seconds_in(settings)
        self.future_us = None if ahead is None else round(ahead * 1e6)
        self._row = _row_maker(feed, self.zone)
        self._needs_no_row = not with_rows and always_fits(feed)
        #: Whether no store looks at more than what was looked at already.
        self._is_kept_whole = feed.current is None and (self._row is None or self._needs_no_row)
        self._numbers = number_fields(feed.shape)
        #: Whether a record must have the natural key: else it may stand in the partition of another one.
        self._is_keyed = not feed.takes_any_key and not feed.is_ours
        self._place = None if feed.is_ours else feed.place
        self._bounds = settings.city.bounds

    def check(self, key: bytes | None, value: bytes | None, record_us: int) -> Accepted:
        """Read a record as producers send it.

        Args:
            key: of the record.
            value: of the record.
            record_us: the record's own time, microseconds since the epoch.

        Raises:
            Rejected: the message cannot be read, or cannot be true; with the reason for the dead letter.
        """
        if self._is_ours:
            # whatever else is raised is a fault of ours, and no message's
            accepted = self._read_ours(value, record_us)
            return accepted if self.future_us is None else self._not_ahead(accepted, record_us)
        try:
            if self._checks is not None:
                accepted = self._by_rules(self._checks(key, value, record_us))
            else:
                accepted = self._by_fields(key, value, record_us)
            return self._keepable(accepted, len(value or b""), record_us)
        except FAULTS as error:
            # one message stops no others, whatever is odd about it
            raise Rejected("invalid_field", f"{type(error).__name__}: {error}") from None

    def _by_rules(self, checked: Checked) -> Accepted:
        key = getattr(checked.message, self.feed.key)
        return Accepted(checked.message, self._known_key(key), checked.time_us)

    def _by_fields(self, key: bytes | None, value: bytes | None, record_us: int) -> Accepted:
        accepted = self._told_by(self._read_form(value), record_us)
        if self._place is not None and (place := self._place(accepted.message)) is not None:
            check_place(*place, self._bounds)
        if self._is_keyed and key != accepted.key.encode():
            raise Rejected("key_mismatch", f"the record key is not the {self.feed.key} {accepted.key!r}")
        return accepted if self.future_us is None else self._not_ahead(accepted, record_us)

    def _not_ahead(self, accepted: Accepted, record_us: int) -> Accepted:
        if self.future_us is not None and accepted.time_us - record_us > self.future_us:
            raise Rejected(
                "future",
                f"{self.feed.time} {rfc3339(accepted.time_us)} is more than {self.future_us / 1e6:g} s ahead of the "
                f"record's {rfc3339(record_us)}",
            )
        return accepted

    def read(self, value: bytes | None, record_us: int = 0) -> Accepted:
        """Read a message without its record.

        Args:
            value: of the record.
            record_us: the time of a message that tells none, microseconds since the epoch.

        Raises:
            Rejected: likewise.
        """
        return (
            self._read_ours(value, record_us) if self.feed.is_ours else self._told_by(self._read_form(value), record_us)
        )

    def _told_by(self, message: Message, record_us: int) -> Accepted:
        feed = self.feed
        key = self._known_key(getattr(message, feed.key))
        time_us = record_us if feed.time is None else self._time_us(getattr(message, feed.time))
        return Accepted(message, key, time_us)

    def document(self, accepted: Accepted) -> bytes:
        """A message as it is shown: its time in UTC."""
        return msgspec.json.encode(at_time(self.feed, accepted.message, accepted.time_us))

    def _known_key(self, key: str) -> str:
        if not 0 < len(key) <= LONGEST_KEY:
            raise Rejected("invalid_field", f"{self.feed.key}: 1 to {LONGEST_KEY} characters are taken, not {len(key)}")
        return key

    def _keepable(self, accepted: Accepted, size: int, record_us: int) -> Accepted:
        """A message that every store can keep, with its row.

        Raises:
            Rejected: one cannot.
        """
        if self._is_kept_whole and is_event_time(record_us):
            return accepted
        current, message = self.feed.current, accepted.message
        if isinstance(current, NewestLog):
            event_id_of(current, message)
        elif current is not None and current.sent is not None and (sent := getattr(message, current.sent)):
            self._time_us(sent, current.sent)
        if current is not None and size > MAX_MESSAGE_BYTES // _MOST_TIMES_LONGER:
            shown = len(self.document(accepted))
            if shown > MAX_MESSAGE_BYTES:
                raise Rejected("too_large", f"in full it has {shown:,} bytes, and {MAX_MESSAGE_BYTES:,} are read")
        if self._row is None or (self._needs_no_row and is_event_time(record_us)):
            return accepted
        try:
            # the time was read already, unless rules of the feed's own say it
            time_us = accepted.time_us if self._checks is None else None
            return Accepted(message, accepted.key, accepted.time_us, self._row(message, record_us, time_us))
        except MALFORMED as error:
            raise Rejected("invalid_field", f"the table cannot hold {error}") from None

    def _read_form(self, value: bytes | None) -> Message:
        return read_form(value, self.feed.shape, self._decode, self._texts, self._forgive)

    def _forgive(self, message: dict[str, Any]) -> None:
        """Numbers that are written as text are numbers; what is none stays as it is, and is refused."""
        if self.feed.forgive is not None:
            self.feed.forgive(message)
        for name, is_whole in self._numbers.items():
            with suppress(ValueError):
                if (told := message.get(name)) is not None:
                    message[name] = (whole_number if is_whole else number)(told)

    def _read_ours(self, value: bytes | None, record_us: int) -> Accepted:
        """What we send has exactly the form that we give it."""
        try:
            message = self._decode(value or b"")
        except MALFORMED as error:
            raise Rejected("unreadable", str(error)) from None
        return self._told_by(message, record_us)

    def _time_us(self, told: Any, field: str | None = None) -> int:
        if told is None:
            raise Rejected("missing_field", f"{field or self.feed.time} says no time")
        try:
            # what is ours was judged when it was sent
            return epoch_us(told, self.zone) if self.feed.is_ours else event_time_us(told, self.zone)
        except (ValueError, OverflowError, TypeError):
            raise Rejected(
                "invalid_timestamp",
                f"{field or self.feed.time} {str(told)[:64]!r} is neither ISO 8601 nor epoch seconds or milliseconds",
            ) from None


def event_id_of(log: NewestLog, message: Any) -> str:
    """The id of a message, which names a key.

    Raises:
        Rejected: it cannot.
    """
    event_id: str = getattr(message, log.id)
    if not 0 < len(event_id) <= LONGEST_KEY:
        raise Rejected("invalid_field", f"{log.id}: 1 to {LONGEST_KEY} characters are taken, not {len(event_id)}")
    return event_id


def _row_maker(feed: Feed[Any], zone: tzinfo) -> Callable[[Any, int, int | None], tuple[Any, ...]] | None:
    """What makes rows, for a feed with a table."""
    if feed.history is None:
        return None
    # with a client, which those who only read declarations do without
    from trafficapp.stores.feeds.table import RowMaker

    return RowMaker(feed, feed.history, zone).row


def at_time(feed: Feed[_Read], message: _Read, time_us: int) -> _Read:
    """A message with another time, if it tells one."""
    if feed.time is None:
        return message
    return structs.replace(message, **{feed.time: rfc3339(time_us)})


def sample_of(feed: Feed[_Read], now: datetime) -> tuple[bytes, bytes]:
    """A valid message as of a time: record key and value."""
    message = at_time(feed, feed.sample, epoch_us(now))
    return getattr(message, feed.key).encode(), msgspec.json.encode(message)
