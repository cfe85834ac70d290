"""Agents of every feed that is declared: what producers send is checked, and what was accepted is kept.

==========  ======================================================================================
role        what it does for a feed
==========  ======================================================================================
streams     writes dead letters; sends messages on by their natural key, where the feed asks for it
history     rows in Postgres
live        documents or a log in Redis
==========  ======================================================================================

All of them decide by `trafficapp.feeds.decoder` which messages are accepted, so none needs to be told by another.

Re-keying is right because (`trafficapp.engine.transactions`): each message comes into the inner topic exactly once, in
one transaction with the offset behind it; messages of one outer partition come in their order; and all of a key come
into one inner partition. Two messages of a key in different outer partitions have no order of their own: their times
decide, in every store. The inner record has the time of the outer one, by which the readers judge what is ahead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from models.cameras.detections import Rejected
from models.dead_letters import dead_letter_of, encode_dead_letter
from models.records import UNREADABLE_REASON, why_unreadable
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.kafka import aiokafka_config, partitions_of
from trafficapp.engine.state_rows import UNTOLD, SourceLog
from trafficapp.engine.telemetry import Telemetry
from trafficapp.engine.transactions import Outgoing, TransactionalSink
from trafficapp.feeds.declaration import Current, Feed, NewestLog
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.log_sink import LogSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import KafkaReadBack
from trafficapp.topics import DEAD_LETTERS

#: Makes the history sink of a feed that writes more than its rows; told when to stop waiting.
MakeSink: TypeAlias = Callable[[Settings, Callable[[], bool]], RowsSink]


class FeedIntake(TransactionalSink):
    """Checks what producers send, refuses what is wrong with a letter, and sends the rest on by its key.

    Args:
        feed: one that others send.
        settings: of the process.
        telemetry: of the process.
    """

    def __init__(self, feed: Feed[Any], settings: Settings, telemetry: Telemetry) -> None:
        super().__init__(settings, feed.topic_in(settings), feed.intake_in(settings))
        self._feed = feed
        self._decoder = FeedDecoder(feed, settings)
        self._telemetry = telemetry
        self._inner_topic = feed.kept_topic_in(settings)
        self._letter_partitions = settings.kafka.partitions
        self._counted: dict[int, Counter[str]] = {}

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
        return await super().load(partitions, log)

    def outcome(self, partition: int, records: Sequence[ConsumerRecord]) -> Iterator[Outgoing]:
        """Letters of what is refused, and what is accepted by its natural key."""
        counted = self._counted[partition] = Counter[str]()
        for record in records:
            try:
                if (reason := why_unreadable(record)) is not None:
                    raise Rejected(UNREADABLE_REASON, reason)
                accepted = self._decoder.check(record.key, record.value, record.timestamp * 1000)
            except Rejected as error:
                counted[error.reason] += 1
                letter = dead_letter_of(self.topic, partition, record, error)
                place = partition % self._letter_partitions
                yield Outgoing(DEAD_LETTERS, letter.key, encode_dead_letter(letter), place)
                continue
            counted["accepted"] += 1
            if self._feed.rekey:
                yield Outgoing(self._inner_topic, accepted.key.encode(), record.value, None, record.timestamp)

    def sent(self, partition: int) -> None:
        """Count what came of a run."""
        for outcome, count in self._counted.pop(partition, Counter()).items():
            self._telemetry.feed_messages.labels(self._feed.name, outcome).inc(count)


def register(app: TrafficApp, sinks: Mapping[str, MakeSink]) -> None:
    """Put on an application what its role does for feeds.

    Args:
        app: the application.
        sinks: history sinks of feeds that write more than their rows, by name of the feed.

    Raises:
        ValueError: two feeds would take something from each other.
    """
    refuse_clashes(app.feeds, app.settings)
    role = app.settings.worker.role
    for feed in app.feeds:
        if role == "streams" and feed.is_checked:
            check(app, feed)
        if role == "history" and feed.history is not None:
            keep_history(app, feed, sinks.get(feed.name))
        if role == "live" and feed.current is not None:
            keep_current(app, feed, feed.current)


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


def check(app: TrafficApp, feed: Feed[Any]) -> None:
    """Check what producers send."""
    sink = FeedIntake(feed, app.settings, app.telemetry)
    app.read_in_runs(sink.topic, sink, name=f"check_{_word(feed)}", partitions=feed.partitions)
    app.close_at_end(sink.close)


def keep_history(app: TrafficApp, feed: Feed[Any], make: MakeSink | None = None) -> None:
    """Keep rows in Postgres."""
    name = f"history_{_word(feed)}"

    def should_stop() -> bool:
        return bool(app.should_stop)

    sink = RowsSink(feed, app.settings, should_stop) if make is None else make(app.settings, should_stop)
    app.read_in_runs(sink.topic, sink, name=name, partitions=feed.partitions)
    app.telemetry.watch_sink(name, sink.is_waiting)
    app.close_at_end(sink.close)


def keep_current(app: TrafficApp, feed: Feed[Any], current: Current | NewestLog) -> None:
    """Keep what is current in Redis."""
    name, settings = f"live_{_word(feed)}", app.settings
    client = connect(settings.redis.url.get_secret_value())
    sink = (DocumentsSink if isinstance(current, Current) else LogSink)(
        feed,
        settings,
        client,
        KafkaReadBack(feed.kept_topic_in(settings), aiokafka_config(settings), current.reaches_back_seconds),
        app.telemetry.sink_rows.labels(name).inc,
        on_dropped=lambda reason: app.telemetry.events_dropped.labels(reason).inc(),
    )
    app.read_in_runs(sink.topic, sink, name=name, partitions=feed.partitions)
    app.telemetry.watch_sink(name, sink.is_waiting)
    app.close_at_end(client.aclose)


def _word(feed: Feed[Any]) -> str:
    return feed.name.replace("-", "_")
