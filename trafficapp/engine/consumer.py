"""Faust's consumer, changed so that agents receive runs and the sinks' state says where to read on.

What is different from Faust 0.15.3, and why (each point is held by a contract test):

* One event carries the records of a partition that a fetch returned, up to a limit, and says how far the log was
  read for it. Faust spends about 60 us on every event before any code of ours; on a run that is nothing.
* Only what is committed is read: records of a transaction that is open wait, those of an aborted one never come.
* Positions come from the sinks. Faust resumes partitions before it seeks, clears buffers when it
  resumes, and skips the seek when the committed offset is None or 0. So our topics stay paused until
  their sinks are loaded and the consumer was sought to where they want to read on.
* Committed offsets are a report for lag monitors: what the sinks have applied.
* The table of all offsets that Faust draws for its log at each commit is drawn when the log writes it.
* The changelogs of tables are not read by Faust: `trafficapp.engine.state` reads them itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
import types
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage
from faust.utils import terminal

from trafficapp.batching.fetching import in_runs
from trafficapp.batching.runs import Run
from trafficapp.batching.unpacking import DamagedLog
from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.finished import FinishedTable
from trafficapp.engine.ownership import Ownership, Phase, refuse_other_log, refuse_shorter_log
from trafficapp.engine.reader import RunReader
from trafficapp.engine.sharing.reader import SharedReader
from trafficapp.engine.sink import RunSink
from trafficapp.engine.state_rows import UNTOLD, OtherLog, SourceLog
from trafficapp.topics import how_to_begin_anew

logger = logging.getLogger(__name__)

#: Faust asks the broker to hold a fetch for 1.5 s when there is nothing, and every other request of
#: the connection waits behind it: commits, seeks, the answers of a rebalance, and new records of the
#: partitions that were being worked on when the fetch was sent. The shorter, the sooner a window is seen. But each
#: request names a hundred partitions, so those who need not be that quick wait longer, and rest between requests
#: while records come without a break (docs/decisions/0029).
#: A site names all partitions in each request, and has windows to tell: in between.
_FETCH_WAIT_MS, _REST_SECONDS = 40, 0.0
_SITE_FETCH_WAIT_MS, _SITE_REST_SECONDS = 100, 0.05
_LONGER_FETCH_WAIT_MS, _LONGER_REST_SECONDS = 250, 0.1
_HASTY_ROLES = frozenset({"streams", "alerts", "live"})

#: How long a log may end before what was applied of it: a new leader may not know at once how far its log is committed.
_WENT_BACK_SECONDS = 10.0

#: How long an assigned partition may stay without a position while its sink is not waiting for a store.
_LOAD_SECONDS = 60.0


_What = TypeVar("_What", bound=Hashable)


class _DrawnWhenRead:
    """A table for a log: to draw one of sixty partitions takes 2.5 ms, and hardly any log asks for it."""

    def __init__(self, rows: Any, title: str, headers: Any) -> None:
        self._told = rows, title, headers

    def __str__(self) -> str:
        rows, title, headers = self._told
        return str(terminal.logtable(rows, title=title, headers=headers))


faust_consumer.terminal = types.SimpleNamespace(logtable=_DrawnWhenRead)


class _Place(NamedTuple):
    """How far a partition is.

    Attributes:
        due: the record to be applied next.
        end: of what may be read: where the first open transaction begins, else the highwater.
        highwater: the end of all records, None while it is not known.
        sink: what applies them.
    """

    tp: TP
    due: int
    end: int
    highwater: int | None
    sink: RunSink


class _Lasting(Generic[_What]):
    """For how long something has been so without a break, as of the looks at it."""

    def __init__(self) -> None:
        self._since: dict[_What, float] = {}

    def look(self, now: float, what: Iterable[_What]) -> list[tuple[_What, float]]:
        """What is so now, with how many seconds it has been; what is not named begins anew when it is named again."""
        self._since = {one: self._since.get(one, now) for one in what}
        return [(one, now - since) for one, since in self._since.items()]


class RunConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that holds the aiokafka consumer."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = self._pace[0]  # noqa: SLF001 - Faust has no setting for it
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - Faust reads so only when it writes transactions
        return consumer

    async def on_start(self) -> None:
        """Start the consumer, and tell its fetcher to rest."""
        await super().on_start()
        self._consumer._fetcher.rest_seconds = self._pace[1]  # noqa: SLF001 - see `RestingFetcher`

    @property
    def _pace(self) -> tuple[int, float]:
        """How long a request waits, milliseconds, and how long it rests behind the one before, seconds.

        Somebody waits for what comes of a record where alerts of cameras pass.
        """
        role = self.app.settings.worker.role
        if role in _HASTY_ROLES:
            return _FETCH_WAIT_MS, _REST_SECONDS
        if role == "site":
            return _SITE_FETCH_WAIT_MS, _SITE_REST_SECONDS
        return _LONGER_FETCH_WAIT_MS, _LONGER_REST_SECONDS

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
    readers: dict[str, RunReader | SharedReader]
    stall_seconds: float = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.readers = dict(self.app.run_readers)
        self.stall_seconds = self.app.settings.worker.exit_on_stall_seconds
        self._ownership = Ownership()
        self._behind: _Lasting[tuple[TP, int]] = _Lasting()
        self._went_back: _Lasting[TP] = _Lasting()
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
        """Resume nothing: ours are resumed when they are taken over, and nobody reads the changelogs here."""

    async def perform_seek(self) -> None:
        """Faust is done with its part of a rebalance; take the partitions over in the background."""
        if self._ownership.phase is not Phase.GIVEN_UP:
            # said twice for one rebalance: what began the first time must not go on beside what begins now
            self._give_up()
        self._ownership.begin(self._take_over)

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
        return reader.next_offset(tp.partition) if self._ownership.phase is Phase.OURS else None

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # a commit while the group joins makes aiokafka join again, and so on for ever
        return bool(await super()._commit(offsets)) if self._ownership.phase is Phase.OURS else False

    # ------------------------------------------------------------------ taking over and giving up

    def _give_up(self) -> None:
        self._ownership.give_up()
        self.app.on_partitions_given_up()
        # Faust goes on with a partition that it finds there as soon as there is room, also with one that was revoked
        self._buffered_partitions.clear()
        for reader in self.readers.values():
            reader.release()

    async def _take_over(self, turn: int) -> None:
        began = time.monotonic()
        try:
            assigned = self._assigned()
            starts = await self._starts(assigned)
            if not self._ownership.is_current(turn):
                return
            # Faust has cleared the agents' buffers then: what is delivered from there on stays
            await self.can_resume_flow.wait()
            if starts and self._ownership.is_current(turn):
                await self._thread.seek_wait(starts)
            if not self._ownership.is_current(turn):
                return
            self._ownership.complete(turn)
            self._own(starts)
            partitions = {topic: sorted(partitions) for topic, partitions in assigned.items()}
            self.app.on_partitions_loaded(partitions, time.monotonic() - began)
        except asyncio.CancelledError:
            raise
        except BaseException:
            logger.exception("taking over partitions failed")
            end_process(Exit.NOT_LOADED, "taking over partitions failed")

    def _assigned(self) -> dict[str, list[int]]:
        """The partitions that are assigned, by topic, of those that are read in runs."""
        assigned: dict[str, list[int]] = {}
        for tp in self.assignment():
            if tp.topic in self.readers:
                assigned.setdefault(tp.topic, []).append(tp.partition)
        return assigned

    def _own(self, starts: Mapping[TP, int]) -> None:
        """Let partitions that the consumer was sought to be read."""
        for topic, reader in self.readers.items():
            reader.own({tp.partition: offset for tp, offset in starts.items() if tp.topic == topic})
        for tp in starts:
            # an entry makes Faust commit the partition even when nothing arrives any more
            self._acked[tp].clear()
        super().resume_partitions(starts.keys())

    async def _starts(self, assigned: Mapping[str, list[int]]) -> dict[TP, int]:
        """Where to read on; waits until all sinks know."""
        logs = await self.app.logs_of(assigned)
        found = await asyncio.gather(
            *(self._starts_of(topic, partitions, logs.get(topic, UNTOLD)) for topic, partitions in assigned.items())
        )
        return {tp: offset for part in found for tp, offset in part.items()}

    async def _starts_of(self, topic: str, partitions: list[int], log: SourceLog) -> dict[TP, int]:
        """Where to read a topic on, no earlier than its first record that still exists."""
        try:
            wanted = await self.readers[topic].load(partitions, log)
        except OtherLog as error:
            refuse_other_log(topic, error)
        tps = [TP(topic, partition) for partition in partitions]
        earliest = await self._thread.earliest_offsets(*tps)
        await self._check_ends(topic, self.readers[topic].reached(wanted))
        starts = {}
        for tp in tps:
            due, first = wanted[tp.partition], earliest.get(tp, 0)
            if 0 < due < first:
                self.app.lost(topic, tp.partition, due, first - 1)
            starts[tp] = max(due, first)
        return starts

    async def _check_ends(self, topic: str, wanted: Mapping[int, int]) -> None:
        """End the process when a log ends before what was applied of it.

        New records would stand at offsets that count as applied, and be skipped without a word.
        """
        found = await self._thread.highwaters(*(TP(topic, partition) for partition in wanted))
        ends = {partition: found.get(TP(topic, partition), 0) for partition in wanted}
        if any(wanted[partition] > end for partition, end in ends.items()):
            # these are where the first open transaction begins; what was read before may lie beyond it
            ends |= await self.app.ends_of(topic, list(wanted))
        refuse_shorter_log(topic, wanted, ends, [part.sink for part in self.readers[topic].parts])

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
        places = list(self._places())
        went_back = {one.tp: one for one in places if one.highwater is not None and one.highwater < one.due}
        for tp, seconds in self._went_back.look(now, went_back):
            if seconds > _WENT_BACK_SECONDS:
                end_process(
                    Exit.LOG_WENT_BACK,
                    f"{tp.topic}-{tp.partition} ends before {went_back[tp].due}, which is due: the topic was made anew "
                    f"or lost records. {how_to_begin_anew(tp.topic)}",
                )
        behind = {(one.tp, one.due): one for one in places if one.end > one.due and not one.sink.is_waiting()}
        for (tp, due), seconds in self._behind.look(now, behind):
            if seconds > self.stall_seconds:
                end = behind[tp, due].end
                end_process(Exit.STALLED, f"{tp.topic}-{tp.partition} at {due} of {end} for {seconds:.0f} s")
        self._check_take_over(now)

    def _places(self) -> Iterator[_Place]:
        """How far the partitions are that are ours, but for those of which that is not known yet."""
        for topic, reader in self.readers.items():
            for partition in reader.partitions:
                tp = TP(topic, partition)
                end = self.readable_end(tp)
                for part in reader.parts:
                    due = part.next_offset(partition)
                    if due is not None and end is not None:
                        yield _Place(tp, due, end, self.highwater(tp), part.sink)

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
        if not missing or any(part.sink.is_waiting() for reader in self.readers.values() for part in reader.parts):
            self._complete_at = now
        elif now - self._complete_at > _LOAD_SECONDS:
            end_process(Exit.NOT_LOADED, f"{sorted(missing)} not taken over for {_LOAD_SECONDS:.0f} s")

    def lag(self) -> dict[tuple[str, int], int]:
        """Records behind the end of what may be read, by topic and partition."""
        found: dict[tuple[str, int], int] = {}
        for one in self._places():
            place = one.tp.topic, one.tp.partition
            found[place] = max(one.end - one.due, found.get(place, 0))
        return found


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
