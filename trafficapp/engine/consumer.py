"""Faust's consumer, changed so that agents receive runs and the sinks' state says where to read on.

What is different from Faust 0.15.3, and why (each point is held by a contract test):

* One event carries the records of a partition that a fetch returned, up to a limit, and says how far the log was
  read for it. Faust spends about 60 us on every event before any code of ours; on a run that is nothing.
* Only what is committed is read: records of a transaction that is open wait, those of an aborted one never come.
* Positions come from the sinks. Faust resumes partitions before it seeks, clears buffers when it
  resumes, and skips the seek when the committed offset is None or 0. So our topics stay paused until
  their sinks are loaded and the consumer was sought to where they want to read on.
* Committed offsets are a report for lag monitors: what the sinks have applied.
* The changelogs of tables are not read by Faust: `trafficapp.engine.state` reads them itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

from trafficapp.batching.runs import Run
from trafficapp.batching.unpacking import DamagedLog
from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.fetching import in_runs
from trafficapp.engine.finished import FinishedTable
from trafficapp.engine.reader import RunReader
from trafficapp.engine.sink import RunSink
from trafficapp.engine.state_rows import UNTOLD, OtherLog, PartitionsChanged, SourceLog
from trafficapp.topics import how_to_begin_anew

logger = logging.getLogger(__name__)

#: Faust asks the broker to hold a fetch for 1.5 s when there is nothing, and every other request of
#: the connection waits behind it: commits, seeks, the answers of a rebalance, and new records of the
#: partitions that were being worked on when the fetch was sent. The shorter, the sooner a window is seen.
_FETCH_WAIT_MS = 40

#: How long a log may end before what was applied of it: a new leader may not know at once how far its log is committed.
_WENT_BACK_SECONDS = 10.0

#: How long an assigned partition may stay without a position while its sink is not waiting for a store.
_LOAD_SECONDS = 60.0


class RunConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that holds the aiokafka consumer."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001 - Faust has no setting for it
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - Faust reads so only when it writes transactions
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with in_runs(self.app.settings.worker.run_records):
                return await super()._fetch_records(*args, **kwargs)
        except DamagedLog as error:
            # nothing may be read behind it, as what it holds would be lost without a word
            end_process(Exit.LOG_DAMAGED, str(error))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing: `RunConsumer.check_progress` watches.

        Faust takes partitions that are paused on purpose, as those of changelogs, for stuck ones, and says so
        hundreds of times a minute.
        """


class RunConsumer(driver.Consumer):
    """Consumer that delivers runs of the topics in `readers`; records of other topics are not delivered."""

    #: One reader for each topic that is read in runs; the application sets them before it starts.
    readers: dict[str, RunReader]
    stall_seconds: float = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.readers = dict(self.app.run_readers)
        self.stall_seconds = self.app.settings.worker.exit_on_stall_seconds
        self._held: frozenset[TP] = frozenset()
        self._epoch = 0
        self._ready = False
        self._flowing = asyncio.Event()
        self._taking_over: asyncio.Task[None] | None = None
        self._behind: dict[TP, tuple[int, float]] = {}
        self._went_back: dict[TP, float] = {}
        self._complete_at = time.monotonic()
        for topic, reader in self.readers.items():
            reader.bind(self._seek_back_for(topic))

    # ------------------------------------------------------------------ hooks of Faust

    def _new_consumer_thread(self) -> RunConsumerThread:
        return RunConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Give everything up before anything else happens."""
        self._give_up()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Pause the changelogs, which nobody reads here, and let Faust go on."""
        self._give_up()
        changelogs = [TopicPartition(*tp) for tp in assigned if tp.topic not in self.readers]
        if changelogs:
            self._thread._consumer.pause(*changelogs)  # noqa: SLF001 - else they are prefetched
        await super().on_partitions_assigned(assigned, generation_id)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Hold our topics back until their positions are known."""
        ours = frozenset(tp for tp in tps if tp.topic in self.readers)
        if ours:
            self._held = ours

    def resume_flow(self) -> None:
        """Faust has cleared the buffers: what is delivered from here on stays."""
        super().resume_flow()
        self._flowing.set()

    def stop_flow(self) -> None:
        """Nothing is delivered until `resume_flow`."""
        super().stop_flow()
        self._flowing.clear()

    async def perform_seek(self) -> None:
        """Faust is done with its part of a rebalance; take the partitions over in the background."""
        if self._taking_over is not None:
            self._taking_over.cancel()
        self._taking_over = asyncio.create_task(self._take_over(self._epoch), name="take over partitions")

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Deliver what a fetch returned, in runs."""
        fetched, _ = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if fetched is None or self.should_stop or not self.flow_active:
            return
        for tp, runs in fetched.items():
            reader = self.readers.get(tp.topic)
            if reader is None:
                continue
            for run in runs:
                if not self.flow_active or generation != self.app.consumer_generation_id:
                    return
                run.epoch, run.partition = reader.epoch, tp.partition
                # otherwise Faust drops what lies before the last delivered offset after a seek back
                self._read_offset[tp] = None
                yield tp, _message(tp, run, generation)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self.readers:
            await super()._add_gap(tp, offset_from, offset_to)

    def _new_offset(self, tp: TP) -> int | None:
        reader = self.readers.get(tp.topic)
        if reader is None:
            offset: int | None = super()._new_offset(tp)
            return offset
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return reader.next_offset(tp.partition) if self._ready else None

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # a commit while the group joins makes aiokafka join again, and so on for ever
        return bool(await super()._commit(offsets)) if self._ready else False

    # ------------------------------------------------------------------ taking over and giving up

    def _give_up(self) -> None:
        self.app.on_partitions_given_up()
        self._epoch += 1
        self._ready = False
        self._held = frozenset()
        self._buffered_partitions.clear()
        if self._taking_over is not None:
            self._taking_over.cancel()
            self._taking_over = None
        for reader in self.readers.values():
            reader.release()

    async def _take_over(self, epoch: int) -> None:
        began = time.monotonic()
        try:
            assigned: dict[str, list[int]] = {}
            for tp in self.assignment():
                if tp.topic in self.readers:
                    assigned.setdefault(tp.topic, []).append(tp.partition)
            logs = await self.app.logs_of(assigned)
            results = await asyncio.gather(
                *(self._starts(topic, partitions, logs.get(topic)) for topic, partitions in assigned.items())
            )
            starts = {tp: offset for part in results for tp, offset in part.items()}
            await self._flowing.wait()
            if epoch != self._epoch:
                return
            if starts:
                await self._thread.seek_wait(starts)
            if epoch != self._epoch:
                return
            for topic, partitions in assigned.items():
                self.readers[topic].own({p: starts[TP(topic, p)] for p in partitions})
            for tp in starts:
                # an entry makes Faust commit the partition even when nothing arrives any more
                self._acked[tp].clear()
            self._ready = True
            super().resume_partitions(self._held | starts.keys())
            self.app.on_partitions_loaded(
                {topic: sorted(partitions) for topic, partitions in assigned.items()},
                time.monotonic() - began,
            )
        except asyncio.CancelledError:
            raise
        except BaseException:
            logger.exception("taking over partitions failed")
            end_process(Exit.NOT_LOADED, "taking over partitions failed")

    async def _starts(self, topic: str, partitions: list[int], log: SourceLog | None) -> dict[TP, int]:
        """Where to read a topic on, no earlier than its first record that still exists."""
        reader = self.readers[topic]
        try:
            wanted = await reader.load(partitions, log or UNTOLD)
        except OtherLog as error:
            _refuse(topic, error)
        tps = [TP(topic, p) for p in partitions]
        earliest = await self._thread.earliest_offsets(*tps)
        ends = await self._thread.highwaters(*tps)
        if any(wanted[tp.partition] > ends.get(tp, 0) for tp in tps):
            # these are where the first open transaction begins; what was read before may lie beyond it
            ends = {TP(topic, p): end for p, end in (await self.app.ends_of(topic, partitions)).items()}
        starts = {}
        for tp in tps:
            partition = tp.partition
            first = earliest.get(tp, 0)
            if wanted[partition] > ends.get(tp, 0):
                # new records would stand at offsets that count as applied, and be skipped without a word
                end_process(
                    Exit.LOG_WENT_BACK,
                    f"{topic}-{partition} ends at {ends.get(tp, 0)}, before {wanted[partition]} where {reader.sink!r} "
                    f"is: the topic was made anew or lost records. {how_to_begin_anew(topic)}",
                )
            if 0 < wanted[partition] < first:
                self.app.lost(topic, partition, wanted[partition], first - 1)
            starts[tp] = max(wanted[partition], first)
        return starts

    def _seek_back_for(self, topic: str) -> Any:
        async def seek_back(partition: int, offset: int) -> None:
            try:
                await self._thread.seek_wait({TP(topic, partition): offset})
            except (KafkaError, RuntimeError, AssertionError) as error:
                logger.warning("%s-%d: could not seek back: %r", topic, partition, error)

        return seek_back

    # ------------------------------------------------------------------ watching

    def check_progress(self) -> None:
        """End the process when a partition has records but makes no progress.

        Called now and then by the application. Faust may abort a take-over without a word, and a
        consumer may stop to fetch; a new process does better than waiting.
        """
        now = time.monotonic()
        behind: dict[TP, tuple[int, float]] = {}
        went_back: dict[TP, float] = {}
        for tp, due, end, sink in self._owned():
            highwater = self.highwater(tp)
            if highwater is not None and highwater < due:
                went_back[tp] = self._went_back.get(tp, now)
                if now - went_back[tp] > _WENT_BACK_SECONDS:
                    end_process(
                        Exit.LOG_WENT_BACK,
                        f"{tp.topic}-{tp.partition} ends before {due}, which is due: the topic was made anew or lost "
                        f"records. {how_to_begin_anew(tp.topic)}",
                    )
            if end <= due or sink.is_waiting():
                continue
            before = self._behind.get(tp)
            behind[tp] = before if before is not None and before[0] == due else (due, now)
            waited = now - behind[tp][1]
            if waited > self.stall_seconds:
                end_process(Exit.STALLED, f"{tp.topic}-{tp.partition} at {due} of {end} for {waited:.0f} s")
        self._behind, self._went_back = behind, went_back
        self._check_take_over(now)

    def _owned(self) -> Iterator[tuple[TP, int, int, RunSink]]:
        """Partitions that are ours with the record that is due, the end of what may be read, and the sink."""
        for topic, reader in self.readers.items():
            for partition in reader.partitions:
                tp = TP(topic, partition)
                due, end = reader.next_offset(partition), self.readable_end(tp)
                if due is not None and end is not None:
                    yield tp, due, end, reader.sink

    def readable_end(self, tp: TP) -> int | None:
        """The offset behind the last record that may be read: where the first open transaction begins, else the end.

        None before the first fetch.
        """
        consumer = self._thread._consumer  # noqa: SLF001 - Faust tells the end of the log only
        stable: int | None = consumer.last_stable_offset(TopicPartition(*tp))
        if stable is None or stable < 0:
            end: int | None = self.highwater(tp)
            return end
        return stable

    def _check_take_over(self, now: float) -> None:
        """End the process when partitions were assigned long ago and are not ours yet."""
        missing = [
            tp
            for tp in self.assignment()
            if tp.topic in self.readers and tp.partition not in self.readers[tp.topic].partitions
        ]
        if not missing or any(reader.sink.is_waiting() for reader in self.readers.values()):
            self._complete_at = now
        elif now - self._complete_at > _LOAD_SECONDS:
            end_process(Exit.NOT_LOADED, f"{sorted(missing)} not taken over for {_LOAD_SECONDS:.0f} s")

    def lag(self) -> dict[tuple[str, int], int]:
        """Records behind the end of what may be read, by topic and partition."""
        return {(tp.topic, tp.partition): max(end - due, 0) for tp, due, end, _ in self._owned()}


def _refuse(topic: str, error: OtherLog) -> NoReturn:
    """End the process, since what is kept of a topic does not fit the topic that is there."""
    status = Exit.PARTITIONS_CHANGED if isinstance(error, PartitionsChanged) else Exit.LOG_WENT_BACK
    end_process(status, f"{topic}: {error}. {how_to_begin_anew(topic)}")


def _message(tp: TP, run: Run, generation: int) -> ConsumerMessage:
    """The Faust message whose value is a run, which may hold no record."""
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        run.end - 1,
        0.0,
        0,
        (),
        None,
        run,
        None,
        0,
        0,
        tp,
        generation_id=generation,
    )


class RunTransport(driver.Transport):
    """Kafka transport whose consumer is `RunConsumer`."""

    Consumer = RunConsumer


class _NoRecovery(Recovery):
    """Recovery that reads nothing: our tables are filled by their own readers."""

    async def _build_highwaters(self, consumer: Any, tps: set[TP], destination: Any, title: str) -> None:
        for tp in tps:
            destination[tp] = -1

    async def _build_offsets(self, consumer: Any, tps: set[TP], destination: Any, title: str) -> None:
        for tp in tps:
            destination[tp] = -1

    async def _seek_offsets(self, consumer: Any, tps: set[TP], offsets: Any, title: str) -> None:
        return None


class RunTableManager(TableManager):
    """Table manager that leaves the changelogs to the tables' own readers."""

    _recovery: Recovery | None

    @property
    def recovery(self) -> Recovery:
        """The recovery service, which has nothing to do."""
        recovery: Recovery | None = self._recovery
        if recovery is None:
            recovery = self._recovery = _NoRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return recovery

    def add(self, table: Any) -> Any:
        """Register a table; one without a changelog of its own is only listed."""
        if not isinstance(table, FinishedTable):
            return super().add(table)
        self[table.name] = table
        return table

    async def _update_channels(self) -> None:
        with_changelog = {name: table for name, table in self.items() if not isinstance(table, FinishedTable)}
        without = {name: self.pop(name) for name in list(self) if name not in with_changelog}
        await super()._update_channels()
        for name, table in without.items():
            self[name] = table
            await table.maybe_start()
