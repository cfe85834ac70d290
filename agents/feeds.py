"""Agents of every feed that is declared: what producers send is checked, and what was accepted is kept.

==========  ======================================================================================
role        what it does for a feed
==========  ======================================================================================
feeds       writes dead letters; sends messages on by their natural key, to rules, or to another feed
history     rows in Postgres
live        documents or a log in Redis
clickhouse  rows in ClickHouse, where the settings have one
==========  ======================================================================================

A role loads the sinks that it has, and no others.

All of them decide by `trafficapp.feeds.decoder` which messages are accepted, so none needs to be told by another.

Re-keying is right because (`trafficapp.engine.transactions`): each message comes into the inner topic exactly once, in
one transaction with the offset behind it; messages of one outer partition come in their order; and all of a key come
into one inner partition. Two messages of a key in different outer partitions have no order of their own: their times
decide, in every store. The inner record has the time of the outer one, by which the readers judge what is ahead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from msgspec import Struct

from models.cameras.detections import TICK_HEADER, Rejected
from models.dead_letters import dead_letter_of, encode_dead_letter
from models.records import UNREADABLE_REASON, why_unreadable
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.kafka import aiokafka_config, partitions_of
from trafficapp.engine.state_rows import UNTOLD, SourceLog
from trafficapp.engine.telemetry import Telemetry
from trafficapp.engine.transactions import Outgoing, TransactionalSink
from trafficapp.feeds.clock import Tick, encode_tick
from trafficapp.feeds.declaration import Convert, Current, Feed, NewestLog, Origin
from trafficapp.feeds.decoder import FAULTS, Accepted, FeedDecoder
from trafficapp.feeds.minutes import IntakeMinutes
from trafficapp.feeds.once import OnceDecoder
from trafficapp.feeds.shapes import written_names
from trafficapp.privacy.letters import Discretion
from trafficapp.privacy.pseudonyms import hashing, pseudonyms_of
from trafficapp.settings import Settings, SettingsError
from trafficapp.topics import DEAD_LETTERS, feed_minutes

if TYPE_CHECKING:
    from trafficapp.stores.feeds.redis_sink import FeedRedisSink
    from trafficapp.stores.feeds.rows_sink import RowsSink

_encode = msgspec.json.Encoder().encode


class FeedIntake(TransactionalSink):
    """Checks what producers send, refuses what is wrong with a letter, and sends the rest on by its key.

    Args:
        feed: one that others send.
        settings: of the process.
        telemetry: of the process.

    Attributes:
        next_offset: how far a partition was read, None while it is not ours.
    """

    next_offset: Callable[[int], int | None]

    def __init__(self, feed: Feed[Any], settings: Settings, telemetry: Telemetry) -> None:
        super().__init__(settings, feed.topic_in(settings), feed.intake_in(settings))
        self._feed = feed
        self._decoder = FeedDecoder(feed, settings, with_rows=False)
        self._telemetry = telemetry
        self._inner_topic = feed.kept_topic_in(settings)
        self._sends = feed.sends
        self._convert: Convert | None = None
        self._discretion: Discretion | None = None
        self._hash: Callable[[Any, int], Any] | None = None
        if feed.personal and (pseudonyms := pseudonyms_of(settings)) is not None:
            times = () if feed.time_name is None else (feed.time_name,)
            self._discretion = Discretion(pseudonyms, feed.personal, written_names(feed.shape), times)
            self._hash = hashing(feed, pseudonyms)
        self._topic_of: Callable[[Struct], str] = lambda _: self._inner_topic
        if feed.sends is not None:
            self._convert, self._topic_of = feed.sends.messages(settings), feed.sends.topic_in(settings)
        rules = [] if feed.sends is None else feed.sends.rules_in(settings)
        #: Of rules that are told the time, and how often the most eager of them are.
        self._timed = {one.topic_in(settings): one.tick_seconds for one in rules if one.tick_seconds is not None}
        self._minutes: IntakeMinutes | None = None if feed.is_ours else IntakeMinutes(feed.name, self.topic)
        self._minutes_topic = feed_minutes(settings)
        self._letter_partitions = settings.kafka.partitions
        self._log_partitions = feed.partitions_in(settings)
        self._counted: dict[int, Counter[str]] = {}
        #: By partition: a time, and the offset up to which everything had come by then.
        self._due: dict[int, tuple[int, int]] = {}

    @property
    def tick_seconds(self) -> float | None:
        """How often whoever reads what is sent on is told the time; None when nobody is."""
        return min(self._timed.values(), default=None)

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Take over partitions, and ask how many the topic of letters has: it may not be made as the settings say."""
        while True:
            try:
                found = await partitions_of(self._settings, DEAD_LETTERS)
                break
            except (KafkaError, OSError) as error:
                self._outage.met(error)
                await self._outage.pause()
        self._letter_partitions = len(found) or self._letter_partitions
        self._log_partitions = log.partitions or self._log_partitions
        return await super().load(partitions, log)

    def outcome(self, partition: int, records: Sequence[ConsumerRecord]) -> Iterator[Outgoing]:
        """Letters of what is refused, and what is accepted by its natural key."""
        counted = self._counted[partition] = Counter[str]()
        check, is_sent_on, minutes = self._decoder.check, self._feed.takes_any_key, self._minutes
        for record in records:
            try:
                if record.headers and (reason := why_unreadable(record)) is not None:
                    raise Rejected(UNREADABLE_REASON, reason)
                accepted = check(record.key, record.value, record.timestamp * 1000)
                sent_on = self._sent_on(accepted, partition, record) if is_sent_on else ()
            except Rejected as error:
                counted[error.reason] += 1
                letter = dead_letter_of(self.topic, partition, record, error)
                if self._discretion is not None:
                    letter = self._discretion.apply(letter, record)
                place = partition % self._letter_partitions
                yield Outgoing(DEAD_LETTERS, letter.key, encode_dead_letter(letter), place)
            else:
                yield from sent_on
                if minutes is not None:
                    over = minutes.add(partition, accepted.key, accepted.time_us, record.timestamp * 1000)
                    if over is not None:
                        yield Outgoing(self._minutes_topic, over.feed_minute.encode(), _encode(over))
        if accepted_count := len(records) - counted.total():
            counted["accepted"] = accepted_count

    def _sent_on(self, accepted: Accepted, partition: int, record: ConsumerRecord) -> Sequence[Outgoing]:
        """What goes on of a message."""
        time_ms, topic_of = record.timestamp, self._topic_of
        if self._sends is None or self._convert is None:
            return (Outgoing(self._inner_topic, accepted.key.encode(), record.value, None, time_ms),)
        try:
            message = accepted.message
            if self._hash is not None:
                message = self._hash(message, accepted.time_us)
            if self._sends.with_origin:
                origin = Origin(partition, record.offset, time_ms * 1000)
                sent_on = self._convert(message, accepted.time_us, origin)
            else:
                sent_on = self._convert(message, accepted.time_us)
            return [Outgoing(topic_of(one), key.encode(), _encode(one), None, time_ms) for key, one in sent_on]
        except FAULTS as error:
            # one message stops no others, whatever is odd about it
            raise Rejected("invalid_field", f"{type(error).__name__}: {error}") from None

    def release(self, partitions: Collection[int]) -> None:
        """Forget partitions."""
        super().release(partitions)
        for number in partitions:
            self._due.pop(number, None)
            if self._minutes is not None:
                self._minutes.release(number)

    def partitions_without_tick(self) -> list[int]:
        """Ours, but for those of which a time is known at which all that had come is not read yet."""
        return [number for number in self._owned if number not in self._due]

    async def send_ticks(self, now_us: int, ends: Mapping[int, int], next_offset: Callable[[int], int | None]) -> None:
        """Tell the time of partitions that were read up to it.

        Args:
            now_us: microseconds since the epoch.
            ends: offsets behind all that had come by then.
            next_offset: how far a partition is.
        """
        self._due |= {number: (now_us, end) for number, end in ends.items() if number in self._owned}
        inner = [
            (topic, place)
            for topic in (self._timed if self._due else ())
            for place in range(len(await partitions_of(self._settings, topic)))
        ]
        for number, (time_us, end) in list(self._due.items()):
            if (next_offset(number) or 0) < end:
                continue
            self._due.pop(number, None)
            value = encode_tick(Tick(self._feed.name, number, self._log_partitions, time_us))
            ticks = [
                Outgoing(topic, None, value, place, time_us // 1000, ((TICK_HEADER, b""),)) for topic, place in inner
            ]
            await self.send_apart(number, ticks)

    def sent(self, partition: int) -> None:
        """Count what came of a run."""
        for outcome, count in self._counted.pop(partition, Counter()).items():
            self._telemetry.feed_messages.labels(self._feed.name, outcome).inc(count)


def register(app: TrafficApp) -> None:
    """Put on an application what its role does for feeds.

    Args:
        app: the application.

    Raises:
        ValueError: two feeds would take something from each other.
    """
    refuse_clashes(app.feeds, app.settings)
    roles = app.roles
    for feed in app.feeds:
        sinks: list[RowsSink | FeedRedisSink[Any, Any]] = []
        if "history" in roles and feed.history is not None:
            sinks.append(keep_history(app, feed))
        if "live" in roles and feed.current is not None:
            sinks.append(keep_current(app, feed, feed.current))
        read_by_one_decoder(feed, app.settings, sinks)
    if "clickhouse" in roles:
        for feed in feeds_of_clickhouse(app):
            keep_in_clickhouse(app, feed)


def read_by_one_decoder(
    feed: Feed[Any], settings: Settings, sinks: Sequence[RowsSink | FeedRedisSink[Any, Any]]
) -> None:
    """Have the sinks of a feed read its messages once, and of what is ours no more than they need."""
    if not sinks or (len(sinks) == 1 and not feed.is_ours):
        return
    needed = [sink.needed() for sink in sinks]
    fields = None if None in needed else {field for one in needed for field in one or ()}
    kind: type[FeedDecoder[Any]] = FeedDecoder if len(sinks) == 1 else OnceDecoder
    decoder = kind(feed, settings, fields=fields)
    for sink in sinks:
        sink.read_by(decoder)


def refuse_clashes(feeds: Iterable[Feed[Any]], settings: Settings) -> None:
    """Refuse feeds that have something in common that only one can have.

    Two of one topic would be read by one reader, and two of one name would shut each other out as producers.

    Raises:
        ValueError: with both feeds and what they have in common.
    """
    owners: dict[tuple[str, str], Feed[Any]] = {}
    for feed in feeds:
        topics = {feed.topic_in(settings), feed.kept_topic_in(settings)}
        # agents are named by the word
        for what in (("name", _word(feed)), *(("topic", topic) for topic in topics)):
            other = owners.get(what)
            if other is not None:
                raise ValueError(f"the feeds {other.name} and {feed.name} have the same {what[0]} {what[1]}")
            owners[what] = feed


def check(app: TrafficApp) -> list[FeedIntake]:
    """Check what producers send, in the role ``feeds``."""
    found = []
    for feed in app.feeds:
        if feed.is_checked:
            sink = FeedIntake(feed, app.settings, app.telemetry)
            partitions = feed.partitions_in(app.settings)
            reader = app.read_in_runs(sink.topic, sink, name=f"check_{_word(feed)}", partitions=partitions)
            sink.next_offset = reader.next_offset
            app.close_at_end(sink.close)
            found.append(sink)
    return found


def keep_history(app: TrafficApp, feed: Feed[Any]) -> RowsSink:
    """Keep rows in Postgres."""
    from trafficapp.history_sinks import history_sink

    name = f"history_{_word(feed)}"
    sink = history_sink(feed, app.settings, lambda: bool(app.should_stop))
    app.read_in_runs(sink.topic, sink, name=name, partitions=feed.partitions_in(app.settings))
    app.telemetry.watch_sink(name, sink.is_waiting)
    app.close_at_end(sink.close)
    return sink


def keep_current(app: TrafficApp, feed: Feed[Any], current: Current | NewestLog) -> FeedRedisSink[Any, Any]:
    """Keep what is current in Redis."""
    from trafficapp.stores.feeds.documents_sink import DocumentsSink
    from trafficapp.stores.feeds.log_sink import LogSink
    from trafficapp.stores.redis.connection import connect
    from trafficapp.stores.redis.read_back import KafkaReadBack

    name, settings = f"live_{_word(feed)}", app.settings
    client = connect(settings.redis.url.get_secret_value())
    sink: FeedRedisSink[Any, Any] = (DocumentsSink if isinstance(current, Current) else LogSink)(
        feed,
        settings,
        client,
        KafkaReadBack(feed.kept_topic_in(settings), aiokafka_config(settings), current.reaches_back_seconds),
        app.telemetry.sink_rows.labels(name).inc,
        on_dropped=lambda reason: app.telemetry.events_dropped.labels(reason).inc(),
    )
    sink.withheld = app.withheld_messages.get(feed.name, sink.withheld)
    app.read_in_runs(sink.topic, sink, name=name, partitions=feed.partitions_in(app.settings))
    app.telemetry.watch_sink(name, sink.is_waiting)
    app.close_at_end(client.aclose)
    return sink


def feeds_of_clickhouse(app: TrafficApp) -> list[Feed[Any]]:
    """The feeds that are kept in ClickHouse; none where there is none.

    Raises:
        SettingsError: the settings name a feed that cannot be kept there.
    """
    if app.settings.clickhouse.url is None:
        return []
    from trafficapp.stores.clickhouse.tables import kept_feeds

    try:
        return kept_feeds(app.feeds, app.settings)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def keep_in_clickhouse(app: TrafficApp, feed: Feed[Any]) -> None:
    """Keep rows in ClickHouse."""
    from trafficapp.stores.clickhouse.sink import ClickHouseSink

    name = f"clickhouse_{_word(feed)}"
    sink = ClickHouseSink(feed, app.settings, lambda: bool(app.should_stop))
    app.read_in_runs(sink.topic, sink, name=name, partitions=feed.partitions_in(app.settings))
    app.telemetry.watch_sink(name, sink.is_waiting)
    app.close_at_end(sink.close)


def _word(feed: Feed[Any]) -> str:
    return feed.name.replace("-", "_")
