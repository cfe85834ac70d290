"""The Faust application itself: agents that read runs, and when it starts, looks at its topics and ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faust
from faust.types.tables import TableManagerT
from faust.types.web import Web
from mode import ServiceT

from models.records import UNREADABLE_REASON
from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.state_rows import OtherLog, SourceLog
from trafficapp.settings import Settings, SettingsError, roles_together
from trafficapp.worker_logs import logging_config

# Faust makes the application for each of its commands, and most of those are not to pay for what only a worker needs:
# clients of Kafka, counters, readers. So whatever uses these imports them itself.
if TYPE_CHECKING:
    from models.alarms import Withheld
    from models.alerts import AlertEvent
    from models.cameras.window_rows import WindowRow
    from trafficapp.batching.runs import Run
    from trafficapp.engine.consumer import RunTransport
    from trafficapp.engine.kafka_topics import TopicAdmin
    from trafficapp.engine.outbox import Outbox
    from trafficapp.engine.reader import RunReader
    from trafficapp.engine.sharing.reader import SharedReader
    from trafficapp.engine.sink import RunSink
    from trafficapp.engine.stateful import StatefulSink
    from trafficapp.engine.telemetry import Telemetry
    from trafficapp.feeds.declaration import Feed

logger = logging.getLogger(__name__)

#: Long enough for a broker to be restarted; the clients wait it out.
_PRODUCER_TIMEOUT_SECONDS = 1200.0

#: How long a worker that is asked to stop waits for Kafka.
_FLUSH_SECONDS = 5.0

_GC_THRESHOLD = 50_000

#: How long a thread that computes keeps the interpreter from the event loop, which asks for it anew at each call of the
#: system: several times for one answer, and with Python's 5 ms it may wait so long each time.
_SWITCH_SECONDS = 0.0005

#: Runs that may wait in an agent's buffer.
_BUFFERED_RUNS = 8
_FETCH_BYTES = 1 << 20


class TrafficApp(faust.App):
    """A Faust application whose agents read runs and whose sinks say where to read on.

    Args:
        settings: the settings of this process.
        feeds: those that are switched on.
        declare: puts on the application what a worker needs of it; see `declare`.

    Attributes:
        settings: the settings of this process.
        feeds: those that are switched on.
        roles: those that this process has; several in the role ``site``.
        run_readers: reader of each topic that is read in runs.
        readings: by the name of each agent that reads runs, its topic and its sink.
        local_current: rows of a camera's newest window from the local tables, where the role has them.
        withheld_alert: why people are not to be told of a step of an alert; None tells it.
        withheld_messages: by feed: a message marked with why people are not to be told of it; None tells it.
    """

    def __init__(
        self,
        settings: Settings,
        feeds: Sequence[Feed[Any]] = (),
        declare: Callable[[TrafficApp], None] | None = None,
    ) -> None:
        self.settings = settings
        self.feeds = feeds
        self._declare = declare
        self._is_declared = False
        self.roles = roles_together(settings.worker.role)
        self.run_readers: dict[str, RunReader | SharedReader] = {}
        self.readings: dict[str, tuple[str, RunSink]] = {}
        self.local_current: Callable[[str | None], list[WindowRow]] | None = None
        self.withheld_alert: Callable[[AlertEvent], Withheld | None] = lambda _: None
        self.withheld_messages: dict[str, Callable[[Any], Any]] = {}
        self._logs: dict[str, SourceLog] = {}
        self._loaded = False
        self._flushing: list[Callable[[], Awaitable[None]]] = []
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._served_by: Callable[[], None] | None = None
        super().__init__(**_faust_configuration(settings))

    @cached_property
    def telemetry(self) -> Telemetry:
        """Counters of this process."""
        from trafficapp.engine.telemetry import Telemetry

        return Telemetry(self.settings.worker.role, self.settings.app_id)

    @cached_property
    def outbox(self) -> Outbox:
        """Its producer."""
        from trafficapp.engine.outbox import Outbox

        return Outbox(self.settings)

    @cached_property
    def topic_admin(self) -> TopicAdmin:
        """What looks at its topics and changes them."""
        from trafficapp.engine.kafka_topics import TopicAdmin

        return TopicAdmin(self.settings)

    # ------------------------------------------------------------------ declaring

    def declare(self) -> None:
        """Have agents, tables and views put on the application, once: before it starts, or when they are looked at."""
        if self._is_declared:
            return
        from trafficapp.engine.consumer import RunTableManager

        self._is_declared = True
        self.conf.TableManager = RunTableManager
        if self._declare is not None:
            self._declare(self)

    @property
    def tables(self) -> TableManagerT:
        """The tables; commands of Faust ask for them, too."""
        self.declare()
        return super().tables

    def on_init_dependencies(self) -> Iterable[ServiceT]:
        """What is started with the application."""
        self.declare()
        dependencies: Iterable[ServiceT] = super().on_init_dependencies()
        return dependencies

    def read_in_runs(self, topic: str, sink: RunSink, name: str, partitions: int | None = None) -> RunReader:
        """Put an agent on a topic that hands its runs to a sink; ``partitions`` is that of `declared_topics`.

        Where a process has several roles, sinks of different ones may have the same topic: it is read once for them.

        Returns:
            what knows how far the sink is.

        Raises:
            ValueError: the topic has an agent of this role already.
        """
        from trafficapp.engine.kafka import log_start
        from trafficapp.engine.ownership import refuse_shorter_log
        from trafficapp.engine.reader import RunReader
        from trafficapp.engine.sharing.catching_up import runs_from
        from trafficapp.engine.sharing.reader import SharedReader

        async def look(partition: int) -> int:
            return await log_start(self.settings, topic, partition)

        async def check_ends(wanted: Mapping[int, int], sink: object) -> None:
            refuse_shorter_log(topic, wanted, await self.ends_of(topic, list(wanted)), [sink])

        is_alone = len(self.roles) == 1
        if is_alone and topic in self.run_readers:
            raise ValueError(f"{name} cannot read {topic}: another agent of the same role reads it")
        self.readings[name] = topic, sink
        part = RunReader(topic, sink, look, self)
        known = self.run_readers.get(topic)
        if isinstance(known, SharedReader):
            known.add(part)
            return part
        reader: RunReader | SharedReader = part
        if not is_alone:
            reader = SharedReader(topic, partial(runs_from, self.settings, topic), check_ends)
            reader.add(part)
        self.run_readers[topic] = reader
        channel = self.topic(
            topic,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            partitions=partitions or self.settings.kafka.partitions,
            internal=True,
        )

        async def read(stream: faust.StreamT[Run]) -> None:
            async for run in stream:
                await reader.submit(run)

        read.__doc__ = sink.__doc__
        read.__qualname__ = name
        self.agent(channel, name=name)(read)
        return part

    def serve_with(self, put_views_on: Callable[[], None]) -> None:
        """Have views put on the web server when a worker makes it, which is once."""
        self._served_by = put_views_on

    def worker_init_post_autodiscover(self) -> None:
        """Faust makes the web server here, for its commands as well; a worker makes it when it starts."""
        self.on_worker_init.send()

    def _new_web(self) -> Web:
        # a worker of Faust asks for the server before it starts the application
        self.declare()
        # where Faust keeps it, since those who put views on it ask the application for it
        web = self.__dict__["web"] = super()._new_web()
        if self._served_by is not None:
            self._served_by()
        return web

    def declare_state_table(
        self, name: str, purpose: str, rows: MutableMapping[bytes, bytes], partitions: int | None = None
    ) -> None:
        """Declare a table whose rows one of our own readers keeps and whose changelog it writes."""
        table = self.Table(
            name,
            key_type=bytes,
            value_type=bytes,
            partitions=partitions or self.settings.kafka.partitions,
            help=purpose,
        )
        table.data.data = rows

    def keep_state(self, sink: StatefulSink[Any]) -> None:
        """Have the state of a sink written soon after its runs, and at the end."""
        from trafficapp.engine.stateful import STATE_SECONDS

        self.flush_at_end(sink.flush)

        @self.timer(interval=STATE_SECONDS / 2)
        async def write_pending_state() -> None:
            await sink.write_pending_state()

    # ------------------------------------------------------------------ running

    @property
    def loaded(self) -> bool:
        """Whether this process has taken over the partitions it was assigned."""
        return self._loaded

    def on_partitions_given_up(self) -> None:
        """Called by the consumer when partitions are shared out anew: nothing is ours until it is read."""
        self._loaded = False
        self.telemetry.recovering.set(1)

    def on_partitions_loaded(self, partitions: dict[str, list[int]], seconds: float) -> None:
        """Called by the consumer when the partitions it was assigned are ours and read."""
        self._loaded = True
        self.telemetry.recovering.set(0)
        logger.info("took over %s in %.2f s", partitions, seconds)

    def lost(self, topic: str, partition: int, first: int, last: int) -> None:
        """Called when records were deleted before they were read: told and counted, since nothing brings them back."""
        self.telemetry.records_lost.labels(topic).inc(last - first + 1)
        logger.error(
            "%s-%d: records %d to %d were deleted by the topic's retention before they were read",
            topic,
            partition,
            first,
            last,
        )

    def left_out(self, topic: str, partition: int, count: int, offset: int, reason: str) -> None:
        """Called when records cannot be read that nobody makes a dead letter of."""
        self.telemetry.events_dropped.labels(UNREADABLE_REASON).inc(count)
        logger.error(
            "%s-%d: left out %d records that cannot be read, the first at offset %d: %s",
            topic,
            partition,
            count,
            offset,
            reason,
        )

    async def logs_of(self, topics: Collection[str]) -> dict[str, SourceLog]:
        """Called when partitions are taken over: which logs their topics are; waits for the broker."""
        from trafficapp.engine.kafka_topics import logs_of

        logs = await logs_of(self.topic_admin, topics)
        self._compare(logs)
        # one that does not exist just now is compared when it is there again
        self._logs |= logs
        await self._check_partitions()
        return logs

    async def ends_of(self, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """The offset after the last record of each partition, committed or not."""
        from trafficapp.engine.kafka import end_offsets

        return await end_offsets(self.settings, topic, partitions)

    async def look_at_topics(self) -> None:
        """End the process when a topic was made anew, or partitions were added to it, while it is read.

        While the broker is away nothing is looked at: who reads tells the outage.
        """
        from confluent_kafka import KafkaException

        try:
            if not await asyncio.to_thread(self.topic_admin.answers):
                return
        except KafkaException as error:
            logger.warning("looking at the topics failed: %s", error)
            return
        await self._check_partitions()
        try:
            logs = await asyncio.to_thread(self.topic_admin.logs, list(self._logs))
        except KafkaException as error:
            logger.warning("looking at the topics failed: %s", error)
            return
        self._compare(logs)

    def _compare(self, logs: Mapping[str, SourceLog]) -> None:
        """End the process when topics are other ones than those that it has read: the next one sees what can go on."""
        for topic, log in logs.items():
            known = self._logs.get(topic, log)
            if known.id and log.id and known.id != log.id:
                end_process(Exit.LOG_WENT_BACK, f"{topic} was made anew while it was read")

    async def _check_partitions(self) -> None:
        from confluent_kafka import KafkaException

        try:
            await asyncio.to_thread(self.topic_admin.check_partitions, list(self._logs))
        except (OtherLog, SettingsError) as error:
            end_process(Exit.PARTITIONS_CHANGED, str(error))
        except KafkaException as error:
            logger.warning("looking at the topics failed: %s", error)

    async def on_first_start(self) -> None:
        """Wait for the broker and create the topics before anything consumes them."""
        from trafficapp.engine.kafka import create_topics, wait_for_kafka
        from trafficapp.engine.metrics_port import serve_metrics
        from trafficapp.topics import declared_topics

        # it tells every failed try of an outage; we tell the outage
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        self.telemetry.recovering.set(1)
        if close_port := serve_metrics(self.settings.web, self.telemetry):
            self.close_at_end(close_port)
        await wait_for_kafka(self.settings, lambda: self.should_stop)
        if self.should_stop:
            return
        topics = declared_topics(self.settings, self.feeds)
        created = await create_topics(self.settings, topics)
        if created:
            logger.info("created topics %s", ", ".join(created))
        for change in await asyncio.to_thread(self.topic_admin.bring_up, topics):
            logger.warning("changed a topic: %s", change)
        try:
            await asyncio.to_thread(self.topic_admin.check_partitions)
        except OtherLog as error:
            raise SettingsError(str(error)) from None
        await self.outbox.start()
        # every record of a fetch is an object that lives for a moment; looking for cycles among them costs
        # two fifths of the throughput, and what is there by now stays for good
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 20)
        sys.setswitchinterval(_SWITCH_SECONDS)
        await asyncio.to_thread(Path(self.conf.datadir).mkdir, parents=True, exist_ok=True)
        await super().on_first_start()

    def flush_at_end(self, flush: Callable[[], Awaitable[None]]) -> None:
        """Have something written while the clients still work, so that the next owner repeats nothing."""
        self._flushing.append(flush)

    def close_at_end(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have something closed after everything else has stopped."""
        self._closing.append(close)

    async def on_stop(self) -> None:
        """Write what is left, give up the partitions and close what is open."""
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                for flush in self._flushing:
                    await flush()
        except TimeoutError:
            logger.warning("Kafka takes no state now; the next owner repeats the last half second")
        for reader in self.run_readers.values():
            reader.release()
        await super().on_stop()
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self.outbox.stop()
        except TimeoutError:
            logger.warning("Kafka does not answer; what was being sent will be sent by the next owner")
        for close in self._closing:
            await close()

    def _new_transport(self) -> RunTransport:
        from trafficapp.engine.consumer import RunTransport

        return RunTransport(self.conf.broker_consumer, self)

    def watch(self) -> None:
        """Look for partitions that make no progress and publish the lag."""
        from trafficapp.engine.consumer import RunConsumer

        consumer = self.consumer
        if not isinstance(consumer, RunConsumer):
            return
        consumer.check_progress()
        self.telemetry.kafka_consumer_lag.clear()
        for (topic, partition), lag in consumer.lag().items():
            self.telemetry.kafka_consumer_lag.labels(topic, str(partition)).set(lag)


def _faust_configuration(settings: Settings) -> dict[str, Any]:
    kafka, worker = settings.kafka, settings.worker
    app_id = settings.app_id if worker.role == "streams" else f"{settings.app_id}-{worker.role}"
    return {
        "id": app_id,
        "broker": [f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
        "broker_credentials": _credentials(settings),
        "broker_session_timeout": kafka.session_timeout_seconds,
        "broker_heartbeat_interval": min(1.0, kafka.session_timeout_seconds / 3),
        "broker_commit_interval": 1.0,
        "broker_max_poll_records": None,
        "consumer_max_fetch_size": _FETCH_BYTES,
        "consumer_auto_offset_reset": "earliest",
        "producer_acks": -1,
        "producer_request_timeout": _PRODUCER_TIMEOUT_SECONDS,
        "stream_buffer_maxsize": _BUFFERED_RUNS,
        "stream_wait_empty": False,
        "store": "memory://",
        "table_standby_replicas": 0,
        "topic_partitions": kafka.partitions,
        "topic_replication_factor": kafka.replication_factor,
        "topic_disable_leader": True,
        # faust's own --datadir sets this variable
        "datadir": os.environ.get("F_DATADIR") or str(settings.data_dir / worker.role),
        "web_host": settings.web.host,
        "web_bind": settings.web.host,
        "web_port": settings.web.port,
        "web_tables_enabled": False,
        "worker_redirect_stdouts": False,
        "autodiscover": False,
        "logging_config": logging_config(),
        **({"Worker": "trafficapp.json_worker:JsonWorker"} if settings.logging.format == "json" else {}),
    }


def _credentials(settings: Settings) -> faust.SASLCredentials | None:
    kafka = settings.kafka
    if kafka.api_key is None or kafka.api_secret is None:
        return None
    return faust.SASLCredentials(
        username=kafka.api_key,
        password=kafka.api_secret.get_secret_value(),
        # faust turns SASL_PLAINTEXT into SASL_SSL where there is one
        ssl_context=ssl.create_default_context() if kafka.security_protocol == "SASL_SSL" else None,
        mechanism="PLAIN",
    )
