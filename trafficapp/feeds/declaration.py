"""What is said of a feed, once: a frozen `Feed`. Nothing here reads or writes anything.

What follows from a declaration:

* ``topic``, ``partitions``, ``retention_hours``: the declared topic, `trafficapp.topics.topics_of`.
* ``shape``, ``key``, ``time``, ``zone``, ``future_seconds``: the decoder, `trafficapp.feeds.decoder`; what it refuses
  becomes a dead letter with the reason.
* ``rekey``: an inner topic with one order per key, whatever partitioner the producers use, `agents.feeds`.
* ``sends``: what goes on to rules that know what came before, `trafficapp.feeds.rules`, or to a feed of ours.
* ``place``: where it happened; what is outside the city's bounds is refused.
* ``history``: rows in Postgres, `trafficapp.stores.feeds.rows_sink`, and how long
  they stay.
* ``current``: documents or a log in Redis, `trafficapp.stores.feeds`.
* ``path``: a list and a socket, `web.feeds`.
* all of it: the channel in the AsyncAPI document and the line of ``trafficapp feeds``.

A feed is switched on by standing in `trafficapp.feeds.declared.FEEDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, get_args

from msgspec import Struct

from trafficapp.feeds.rules import Rules
from trafficapp.feeds.shapes import check_shape, check_time, written_name
from trafficapp.settings import Settings

Message = TypeVar("Message", bound=Struct)

#: A number, or where the settings have it.
Number: TypeAlias = float | Callable[[Settings], float]

#: What a column may be, as Postgres names it.
COLUMN_TYPES = frozenset(
    {
        *("text", "timestamptz", "double precision", "integer", "bigint"),
        *("boolean", "uuid", "jsonb", "double precision[]"),
    }
)


#: In place of a field's name: a column that has the time of the record, by the broker's clock.
RECORD_TIME = "record time"


class Checked(Protocol):
    """A message that was read and checked: what rules of a feed's own say of it."""

    @property
    def message(self) -> Any:
        """The message."""
        ...

    @property
    def time_us(self) -> int:
        """When it happened, microseconds since the epoch."""
        ...


#: Reads key, value and time of a record (microseconds since the epoch).
#: Raises `models.cameras.detections.Rejected`.
Check: TypeAlias = Callable[[bytes | None, bytes | None, int], Checked]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a history table.

    Attributes:
        type: as Postgres names it: ``text``, ``timestamptz``, ``double precision``, ``integer``, ``bigint``,
            ``boolean``, ``uuid``, ``jsonb`` or ``double precision[]``.
        of: name of the field that it is filled from, where that is another than the column's; or `RECORD_TIME`.
    """

    type: str
    of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Rows in Postgres.

    Attributes:
        table: its name; a migration makes it.
        columns: by name.
        key: names of the columns that no two rows have alike: the natural key, and for a table that keeps every
            message the time. A repeat changes nothing. Neither these nor the two below may be null.
        newest_by: the column that says which row of a key is newer: only the newest is kept, and of two with the same
            time the one that came later. None keeps the first row of a key and changes none: rows are appended.
        partitioned_by: the column by whose UTC days the table is cut, or by whose months where the feed has no guard of
            the future and may tell any time; None when it is not.
        days: how long rows are kept.
    """

    table: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    newest_by: str | None = None
    partitioned_by: str | None = None
    days: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The newest document of each key in Redis.

    The newer one is that with the later time; of two with the same time the one that came later.

    Attributes:
        document: key of a document, with ``{key}`` for the natural key, such as ``road:{key}:current``.
        listed: sorted set of natural keys, scored by the time of the newest document in epoch seconds.
        seconds: how long a document is kept after it was sent.
        channel: on which documents are told that are newer than what was there, as arrays of some of them; None when
            nobody is told.
        sent: name of the field that says when it was sent, RFC 3339; None where the record's own time says so.
        as_of: given the settings, what turns a document into what it is at a time, aware; for those that say how old
            they are.
    """

    document: str
    listed: str
    seconds: int
    channel: str | None = None
    sent: str | None = None
    as_of: Callable[[Settings], Callable[[bytes, datetime], bytes]] | None = None

    @property
    def reaches_back_seconds(self) -> float:
        """How far back an empty server is filled."""
        return float(self.seconds)

    @property
    def put_at(self) -> str:
        """Sorted set of natural keys of a feed that others send, scored by when a document was put, in epoch seconds.

        By it keys are unlisted: the times of documents are those of the producers' clocks.
        """
        return f"{self.listed}:put"

    def key_of(self, key: str) -> str:
        """Key of the document of a natural key."""
        return self.document.replace("{key}", key)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestLog:
    """The newest messages in Redis, whatever their keys, each once.

    Attributes:
        list: the newest records, the newest first.
        known: key that says that a message is known, with ``{id}`` for its id.
        id: name of the field with the id: a repeat has the same.
        kept: messages in the list.
        known_seconds: how long a repeat is known as one.
        channel: on which records are told.
        news_seconds: what happened longer ago goes into the list, but is not told.
    """

    list: str
    known: str
    id: str
    kept: int
    known_seconds: int
    channel: str
    news_seconds: float

    @property
    def reaches_back_seconds(self) -> float:
        """How far back an empty server is filled."""
        return float(self.known_seconds)

    def known_key(self, event_id: str) -> str:
        """Key that says that a message is known."""
        return self.known.replace("{id}", event_id)


class Origin(Struct, frozen=True, gc=False):
    """Where a message stands in its topic, and the broker's time of its record, microseconds since the epoch."""

    partition: int
    offset: int
    record_us: int


#: Given a message that was accepted and its time, microseconds since the epoch, and its `Origin` if that is asked for:
#: what is sent on, each with its key.
Convert: TypeAlias = Callable[..., Iterable[tuple[str, Struct]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sends:
    """What of a feed goes on, in the same transaction as its letters.

    Attributes:
        to: rules that read it, or a feed of ours with the stores, or several of these, each of which gets what has its
            shape, or one of its shapes; several feeds may send to one.
        messages: given the settings, what turns a message into those that are sent on; what it refuses by raising
            `models.cameras.detections.Rejected` becomes a dead letter.
        with_origin: whether it is told the `Origin` as well.
    """

    to: Rules[Any] | Feed[Any] | tuple[Rules[Any] | Feed[Any], ...]
    messages: Callable[[Settings], Convert]
    with_origin: bool = False

    def topic_in(self, settings: Settings) -> Callable[[Struct], str]:
        """Where a message goes."""
        if not isinstance(self.to, tuple):
            topic = self.to.topic_in(settings)
            return lambda _: topic
        topics = {shape: one.topic_in(settings) for one in self.to for shape in _shapes_of(one)}
        return lambda message: topics[type(message)]

    def rules_in(self, settings: Settings) -> list[Rules[Any]]:
        """The rules among those who read it, without those that nobody wants."""
        to = self.to if isinstance(self.to, tuple) else (self.to,)
        return [one for one in to if isinstance(one, Rules) and one.is_wanted(settings)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed(Generic[Message]):
    """A feed.

    Attributes:
        name: in commands, counters and dead letters' logs, such as ``parking-bays``.
        summary: a sentence for people.
        topic: the Kafka topic, or how it is named in a city's settings.
        shape: of the value, from `models`.
        sample: a valid message; its time is replaced by that of the asker.
        key: name of the field with the natural key, a text; the record key is the same, unless ``rekey``.
        time: name of the field that says when it happened: ISO 8601, or epoch seconds or milliseconds. It takes texts
            at least, since a document has its time as RFC 3339. None where messages tell no time: that of the record
            counts, and such a feed has no stores of its own.
        zone: IANA name of the zone that times without an offset are of, or where the settings have it.
        future_seconds: a message whose time is further ahead of its record is refused; None refuses none: for producers
            whose clocks run ahead without end. What is newest is then newest by their clock. Or where the settings
            have it.
        partitions: of the topic, or where the settings have it; None is what they have for feeds of a city.
        retention_hours: of the topic; None is that of the settings.
        compacted: whether the topic keeps the newest record of each record key, however old it is, instead.
        rekey: whether producers may use any key and partitioner: messages then go on by their natural key.
        sends: what goes on to rules or to another feed; producers may then use any key and partitioner.
        place: where a message is of, (latitude, longitude) in degrees, or None; see the setting ``city.bounds``.
        forgive: mends what producers write otherwise in a message as JSON has it, such as numbers as text; it is called
            only for messages that have not the form.
        is_ours: whether this application sends it. What is ours is not refused with a letter, but told in the log.
        any_clock: of what is ours: its times are those of producers whose clocks nobody guards. Stores then believe
            them as they believe what others send.
        checks: reads and checks a message by rules of the feed's own, in place of all that follows from the fields.
        current: what Redis keeps.
        history: what Postgres keeps.
        personal: fields, as producers write them, that say which vehicle or person a message is of. They are hashed
            where ``privacy.hash_vehicle_ids`` is on, before anything is sent on, and in dead letters.
        path: of the API's list, such as ``/api/parking-bays``; the socket is at the same place below ``/ws``. None
            when the feed has views of its own, or none.
    """

    name: str
    summary: str
    topic: str | Callable[[Settings], str]
    shape: type[Message]
    sample: Message
    key: str
    time: str | None = "timestamp"
    zone: str | Callable[[Settings], str] = "UTC"
    future_seconds: float | Callable[[Settings], float | None] | None = 60.0
    partitions: int | Callable[[Settings], int] | None = None
    retention_hours: Number | None = None
    compacted: bool = False
    rekey: bool = False
    sends: Sends | None = None
    place: Callable[[Message], tuple[float, float] | None] | None = None
    forgive: Callable[[dict[str, Any]], None] | None = None
    is_ours: bool = False
    any_clock: bool = False
    checks: Callable[[Settings], Check] | None = None
    current: Current | NewestLog | None = None
    history: History | None = None
    personal: tuple[str, ...] = ()
    path: str | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, when it is declared.

        Raises:
            ValueError: with what is wrong.
        """
        fields = set(self.shape.__struct_fields__)
        if self.time is None and self.is_kept:
            raise ValueError(f"{self.name}: stores need a time of each message")
        if self.personal and self.sends is None:
            raise ValueError(f"{self.name}: only what is sent on can be hashed before it is kept")
        if self.sends is not None and self.rekey:
            raise ValueError(f"{self.name}: what is sent on is keyed anew already")
        named = {self.key, *filter(None, [self.time])}
        if self.history is not None:
            columns = self.history.columns
            sources = {column.of or name for name, column in columns.items()} - {RECORD_TIME}
            if self.time not in sources:
                raise ValueError(f"{self.name}: no column of the table has the {self.time}")
            named |= sources
            special = {*self.history.key, *filter(None, (self.history.newest_by, self.history.partitioned_by))}
            if wrong := {column.type for column in columns.values()} - COLUMN_TYPES:
                raise ValueError(f"{self.name}: a column cannot be {', '.join(sorted(wrong))}")
            if unknown := special - set(columns):
                raise ValueError(f"{self.name}: the table has no column {', '.join(sorted(unknown))}")
        if isinstance(self.current, NewestLog):
            named.add(self.current.id)
        elif self.current is not None and self.current.sent is not None:
            named.add(self.current.sent)
        if unknown := named - fields:
            raise ValueError(f"{self.name}: {self.shape.__name__} has no field {', '.join(sorted(unknown))}")
        self._check_types()

    def _check_types(self) -> None:
        """Refuse fields whose messages could not be kept, or not be read again."""
        texts, never_null = {self.key}, set[str]()
        if isinstance(self.current, NewestLog):
            texts.add(self.current.id)
        if (history := self.history) is not None:
            special = (*history.key, *filter(None, (history.newest_by, history.partitioned_by)))
            # that the time is there is looked at in every message
            never_null = {history.columns[column].of or column for column in special} - {self.time, RECORD_TIME}
        try:
            check_shape(self.shape, texts, never_null)
            if self.time is not None:
                check_time(self.sample, self.time)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    @property
    def key_name(self) -> str:
        """What producers call the natural key: the field may be renamed in its shape."""
        return written_name(self.shape, self.key)

    @property
    def time_name(self) -> str | None:
        """What producers call the time, likewise; None when they tell none."""
        return None if self.time is None else written_name(self.shape, self.time)

    @property
    def has_our_clock(self) -> bool:
        """Whether its times are about those of our clock, since we send it."""
        return self.is_ours and not self.any_clock

    @property
    def is_kept(self) -> bool:
        """Whether the stores are filled from it; what is not is read by an agent of its own."""
        return self.current is not None or self.history is not None

    @property
    def is_inner(self) -> bool:
        """Whether its topic is one that only this application reads."""
        return self.is_ours and not isinstance(self.topic, str)

    def partitions_in(self, settings: Settings) -> int:
        """How many partitions the topic has when it is made, and the one by natural key."""
        if self.partitions is None:
            return settings.city.partitions
        return self.partitions(settings) if callable(self.partitions) else self.partitions

    def zone_in(self, settings: Settings) -> str:
        """IANA name of the zone that times without an offset are of."""
        return self.zone if isinstance(self.zone, str) else self.zone(settings)

    def future_seconds_in(self, settings: Settings) -> float | None:
        """How far ahead of its record the time of a message may be; None when that does not matter."""
        return self.future_seconds(settings) if callable(self.future_seconds) else self.future_seconds

    @property
    def is_checked(self) -> bool:
        """Whether the role ``feeds`` reads it: to check what producers send, or to send on to rules what is ours."""
        return self.takes_any_key if self.is_ours else self.is_kept or self.takes_any_key

    @property
    def takes_any_key(self) -> bool:
        """Whether producers may choose keys and partitions as they like."""
        return self.rekey or self.sends is not None

    def intake_in(self, settings: Settings) -> str:
        """Name of the consumer group, and of the producers, of what checks it."""
        return f"{settings.app_id}-{self.name}-intake"

    def topic_in(self, settings: Settings) -> str:
        """Name of the topic that producers write."""
        return self.topic if isinstance(self.topic, str) else self.topic(settings)

    def kept_topic_in(self, settings: Settings) -> str:
        """Name of the topic that the stores are filled from: the one by natural key where there is one."""
        return inner_topic(settings, self.name) if self.rekey else self.topic_in(settings)


def inner_topic(settings: Settings, name: str) -> str:
    """The topic by natural key of a feed of that name."""
    return f"{settings.app_id}-{name}-by-key"


def _shapes_of(reader: Rules[Any] | Feed[Any]) -> tuple[Any, ...]:
    """The shapes of messages that somebody reads: that of a feed, those of rules."""
    return get_args(reader.shape) or (reader.shape,)


def rules_of(feeds: Iterable[Feed[Any]], settings: Settings) -> list[Rules[Any]]:
    """The rules that feeds send to in these settings, and those that these tell, each once."""
    following = [rules for feed in feeds if feed.sends is not None for rules in feed.sends.rules_in(settings)]
    found: dict[str, Rules[Any]] = {}
    while following:
        found |= {rules.name: rules for rules in following}
        following = [then for rules in following for then in rules.then(settings)]
    return list(found.values())


def number_in(number: Number, settings: Settings) -> float:
    """A number of a declaration, in these settings."""
    return number(settings) if callable(number) else number
