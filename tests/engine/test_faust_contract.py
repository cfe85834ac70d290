"""What `trafficapp.engine.consumer` takes from Faust's inside; an upgrade that changes it must fail here."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import inspect
from collections.abc import AsyncIterator, Callable, Collection
from types import SimpleNamespace
from typing import Any, NoReturn

import aiokafka.consumer.fetcher
import pytest
from faust.app.base import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

from tests.engine.test_reader import Sink, settled
from trafficapp.batching.fetching import RestingFetcher, RunFetchResult
from trafficapp.batching.runs import Run
from trafficapp.batching.unpacking import DamagedLog, FetchedBytes, Unpacking
from trafficapp.engine import consumer as consumer_module
from trafficapp.engine import ownership as ownership_module
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.consumer import RunConsumer, RunConsumerThread, RunTableManager, RunTransport, _NoRecovery
from trafficapp.engine.fatal import Exit
from trafficapp.engine.ownership import Phase
from trafficapp.engine.state_rows import SourceLog, TopicMadeAnew
from trafficapp.settings import load_settings

Consumer = faust_consumer.Consumer
OURS, THEIRS = TP("ours", 0), TP("theirs", 0)
LOG = SourceLog("its id", 8)


def test_the_version_is_the_one_whose_inside_is_known() -> None:
    assert importlib.metadata.version("faust-streaming").startswith("0.15.")


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (Consumer.on_partitions_revoked, ["self", "revoked"]),
        (Consumer.on_partitions_assigned, ["self", "assigned", "generation_id"]),
        (Consumer.resume_partitions, ["self", "tps"]),
        (Consumer.resume_flow, ["self"]),
        (Consumer.stop_flow, ["self"]),
        (Consumer.perform_seek, ["self"]),
        (Consumer.getmany, ["self", "timeout"]),
        (Consumer._wait_next_records, ["self", "timeout"]),
        (Consumer._add_gap, ["self", "tp", "offset_from", "offset_to"]),
        (Consumer._new_offset, ["self", "tp"]),
        (driver.Consumer._commit, ["self", "offsets"]),
        (driver.Consumer._new_consumer_thread, ["self"]),
        (driver.Consumer.highwater, ["self", "tp"]),
        (driver.AIOKafkaConsumerThread._create_worker_consumer, ["self", "transport"]),
        (driver.AIOKafkaConsumerThread.verify_event_path, ["self", "now", "tp"]),
        (driver.AIOKafkaConsumerThread.seek_wait, ["self", "partitions"]),
        (driver.AIOKafkaConsumerThread.earliest_offsets, ["self", "partitions"]),
        (driver.AIOKafkaConsumerThread.highwaters, ["self", "partitions"]),
        (Recovery._build_highwaters, ["self", "consumer", "tps", "destination", "title"]),
        (Recovery._build_offsets, ["self", "consumer", "tps", "destination", "title"]),
        (Recovery._seek_offsets, ["self", "consumer", "tps", "offsets", "title"]),
        (TableManager._update_channels, ["self"]),
        (TableManager.add, ["self", "table"]),
        (App._new_transport, ["self"]),
    ],
)
def test_a_hook_has_the_parameters_that_ours_has(function: Callable[..., Any], parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_the_fields_of_a_message() -> None:
    given = list(inspect.signature(ConsumerMessage.__init__).parameters)
    assert given[1:13] == [
        "topic",
        "partition",
        "offset",
        "timestamp",
        "timestamp_type",
        "headers",
        "key",
        "value",
        "checksum",
        "serialized_key_size",
        "serialized_value_size",
        "tp",
    ]
    assert "generation_id" in given


def before(text: str, *parts: str) -> bool:
    """Whether the parts stand in a text in this order."""
    places = [text.index(part) for part in parts]
    return places == sorted(places)


def test_a_revocation_stops_the_flow_and_clears_the_agents_buffers() -> None:
    source = inspect.getsource(App._on_partitions_revoked)
    steps = ("consumer.stop_flow", "self.flow_control.suspend", "consumer.pause_partitions", "self.flow_control.clear")
    assert before(source, *(f"T({step})" for step in steps))


def test_recovery_resumes_the_flow_and_lets_the_consumer_seek_once_it_is_done() -> None:
    source = inspect.getsource(Recovery.on_recovery_completed) + inspect.getsource(Recovery._resume_streams)
    assert "consumer.perform_seek" in source
    assert "consumer.resume_flow" in source
    assert "consumer.resume_partitions" in source


def test_partitions_are_resumed_before_the_seek_and_the_flow_behind_it() -> None:
    for step in (Recovery.on_recovery_completed, Recovery._resume_streams):
        assert before(
            inspect.getsource(step), "consumer.resume_partitions", "consumer.perform_seek", "consumer.resume_flow()"
        )
    resumed, stopped = inspect.getsource(Consumer.resume_flow), inspect.getsource(Consumer.stop_flow)
    assert "self.can_resume_flow.set()" in resumed
    assert "self.can_resume_flow.clear()" in stopped


def test_a_delivered_offset_of_none_lets_every_record_through() -> None:
    assert "if r_offset is None or offset >= r_offset" in inspect.getsource(Consumer._drain_messages)


def test_what_is_committed_is_what_new_offset_says() -> None:
    stock = SimpleNamespace(_new_offset={OURS: 5, THEIRS: None}.get, _should_commit=lambda tp, offset: True)
    assert Consumer._filter_committable_offsets(stock, [OURS, THEIRS]) == {OURS: 5}


def test_partitions_with_an_entry_of_acknowledged_offsets_are_committed() -> None:
    stock = SimpleNamespace(_acked={OURS: []}, app=SimpleNamespace(topics=None))
    assert list(Consumer._filter_tps_with_pending_acks(stock)) == [OURS]


def test_the_fetch_wait_is_fixed_in_faust_and_named_so_in_aiokafka() -> None:
    assert "fetch_max_wait_ms=1500" in inspect.getsource(driver.AIOKafkaConsumerThread._create_worker_consumer)
    assert "self._fetch_max_wait_ms = fetch_max_wait_ms" in inspect.getsource(aiokafka.AIOKafkaConsumer.__init__)


# ---------------------------------------------------------------------- our consumer inside a Faust application


async def told_of_logs(topics: Collection[str]) -> dict[str, SourceLog]:
    return dict.fromkeys(topics, LOG)


@pytest.fixture
async def consumer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunConsumer]:
    """The consumer of an application that reads one topic in runs; it is connected to nothing."""
    app = TrafficApp(load_settings(app_id="contract", worker={"run_records": 3}))
    app.read_in_runs("ours", Sink(), name="reader")
    monkeypatch.setattr(app, "logs_of", told_of_logs)
    found = app.consumer
    assert isinstance(found, RunConsumer)
    yield found
    found.readers["ours"].release()


async def test_the_application_uses_our_parts(consumer: RunConsumer) -> None:
    assert isinstance(consumer.transport, RunTransport)
    assert isinstance(consumer._thread, RunConsumerThread)
    assert isinstance(consumer.app.tables, RunTableManager)
    assert isinstance(consumer.app.tables.recovery, _NoRecovery)
    fetcher = aiokafka.consumer.fetcher
    assert (fetcher.MemoryRecords, fetcher.PartitionRecords) == (FetchedBytes, Unpacking)
    assert fetcher.FetchResult is RunFetchResult


@pytest.mark.parametrize(
    ("role", "wait_ms"), [("streams", 40), ("alerts", 40), ("live", 40), ("site", 100), ("feeds", 250)]
)
async def test_those_who_need_not_hurry_wait_longer_for_records(role: str, wait_ms: int) -> None:
    app = TrafficApp(load_settings(app_id="contract", worker={"role": role}))
    app.read_in_runs("ours", Sink(), name="reader")
    thread = app.consumer._thread
    assert thread._create_worker_consumer(app.consumer.transport)._fetch_max_wait_ms == wait_ms


def test_the_fetcher_that_rests_stands_where_aiokafka_makes_one() -> None:
    assert aiokafka.consumer.consumer.Fetcher is RestingFetcher
    assert "self._fetcher = Fetcher(" in inspect.getsource(aiokafka.AIOKafkaConsumer.start)
    stock = RestingFetcher.__mro__[1]
    assert list(inspect.signature(stock._proc_fetch_request).parameters) == ["self", "assignment", "node_id", "request"]
    # what it says beside the requests: for how long there is nothing to do
    asked = inspect.getsource(stock._fetch_requests_routine)
    assert before(asked, "fetch_requests,", "reset_requests,", "timeout,", "invalid_metadata,", "resume_futures,")
    assert "timeout=timeout" in asked
    assert "self._fetch_task = create_task" in inspect.getsource(stock.__init__)


async def test_a_fetcher_rests_only_while_records_come_without_a_break(monkeypatch: pytest.MonkeyPatch) -> None:
    async def brings(*_: Any) -> bool:
        return True

    stock = RestingFetcher.__mro__[1]
    monkeypatch.setattr(stock, "_proc_fetch_request", brings)
    monkeypatch.setattr(stock, "_get_actions_per_node", lambda *_: "asked")
    now = [100.0]
    monkeypatch.setattr("trafficapp.batching.fetching.time", SimpleNamespace(monotonic=lambda: now[0]))
    fetcher = RestingFetcher.__new__(RestingFetcher)
    fetcher._brought_at = fetcher._rest_until = 0.0
    fetcher.rest_seconds = 0.5
    found: list[tuple[float, bool]] = []
    for at in (100.0, 103.0, 103.75, 104.5, 110.0):
        now[0] = at
        await fetcher._proc_fetch_request(None, 1, None)
        found.append((at, fetcher._get_actions_per_node(None) == "asked"))
    assert found == [(100.0, True), (103.0, True), (103.75, False), (104.5, False), (110.0, True)]
    now[0] = 110.25
    await fetcher._proc_fetch_request(None, 1, None)
    assert fetcher._get_actions_per_node(None) == ([], {}, 0.5, False, [])
    now[0] = 110.75
    assert fetcher._get_actions_per_node(None) == "asked"


async def test_our_consumer_reads_what_is_committed(consumer: RunConsumer) -> None:
    made = consumer._thread._create_worker_consumer(consumer.transport)
    assert made._isolation_level == "read_committed"
    assert "isolation_level=self._isolation_level" in inspect.getsource(aiokafka.AIOKafkaConsumer.start)


def test_what_aiokafka_makes_of_a_fetch_is_named_where_ours_stands() -> None:
    source = inspect.getsource(aiokafka.consumer.fetcher.Fetcher._proc_fetch_request)
    for call in ("MemoryRecords(part_data[-1])", "PartitionRecords(", "FetchResult(", "tp_state.lso = lso"):
        assert call in source
    taken = inspect.getsource(aiokafka.consumer.fetcher.Fetcher.fetched_records)
    assert before(taken, "type(res_or_error) is FetchResult", ".getall(max_records)", ".has_more()", "if not records:")
    assert list(inspect.signature(Unpacking.__mro__[1].__init__).parameters)[1:] == [
        "tp",
        "records",
        "aborted_transactions",
        "fetch_offset",
        "key_deserializer",
        "value_deserializer",
        "check_crcs",
        "isolation_level",
    ]


async def test_a_damaged_log_ends_the_process(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch_records(*_: Any, **__: Any) -> NoReturn:
        raise DamagedLog("ours-0: bytes of a batch")

    def end_process(status: Exit, why: str) -> NoReturn:
        raise AssertionError(f"{status.name}: {why}")

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", fetch_records)
    monkeypatch.setattr(consumer_module, "end_process", end_process)
    with pytest.raises(AssertionError, match="LOG_DAMAGED: ours-0: bytes of a batch"):
        await consumer._thread._fetch_records(None, set())


async def delivered(consumer: RunConsumer) -> list[tuple[TP, ConsumerMessage]]:
    return [one async for one in consumer.getmany(1.0)]


def fetch(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch, *bounds: tuple[int, int], holds_records: bool = True
) -> None:
    """Have the next fetch return runs with these bounds, of each topic."""

    def run(begin: int, end: int) -> Run:
        made = Run(SimpleNamespace(offset=offset) for offset in range(begin, end) if holds_records)
        made.begin, made.end, made.unreadable = begin, end, 0
        return made

    async def fetched(_: float) -> tuple[dict[TP, list[Any]], set[TP]]:
        return {tp: [run(*one) for one in bounds] for tp in (OURS, THEIRS)}, {OURS, THEIRS}

    monkeypatch.setattr(consumer, "_wait_next_records", fetched)
    monkeypatch.setattr(type(consumer), "should_stop", False)


async def test_records_are_delivered_in_runs(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(consumer, monkeypatch, (0, 3), (3, 6), (6, 7))
    consumer.resume_flow()
    messages = await delivered(consumer)
    assert [tp for tp, _ in messages] == [OURS] * 3
    runs = [message.value for _, message in messages]
    assert all((run.epoch, run.partition) == (0, 0) for run in runs)
    assert [[record.offset for record in run] for run in runs] == [[0, 1, 2], [3, 4, 5], [6]]
    first = messages[0][1]
    assert (first.offset, first.tp) == (2, OURS)
    assert consumer._read_offset[OURS] is None


async def test_a_run_without_a_record_passes_through_faust(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(consumer, monkeypatch, (4, 5), holds_records=False)
    consumer.resume_flow()
    ((_, message),) = await delivered(consumer)
    (channel,) = (agent.channel for agent in consumer.app.agents.values())
    event = await channel.decode(message, propagate=True)
    assert event.value is message.value
    assert (list(event.value), event.value.end) == ([], 5)


async def test_nothing_is_delivered_while_the_flow_is_stopped(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(consumer, monkeypatch, (0, 7))
    consumer.resume_flow()
    consumer.stop_flow()
    assert await delivered(consumer) == []


async def test_delivery_ends_when_the_group_moves_on(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(consumer, monkeypatch, (0, 3), (3, 7))
    consumer.resume_flow()
    count = 0
    async for _ in consumer.getmany(1.0):
        count += 1
        consumer.app.consumer_generation_id += 1
    assert count == 1


async def test_our_topics_stay_paused_until_they_are_taken_over(consumer: RunConsumer) -> None:
    consumer._active_partitions = set()
    consumer.resume_partitions({OURS, THEIRS})
    assert consumer._active_partitions == set()


async def test_committed_offsets_are_what_the_sink_has_applied(consumer: RunConsumer) -> None:
    consumer.readers["ours"].own({0: 41})
    consumer._acked[OURS].append(99)
    assert consumer._new_offset(OURS) is None  # a commit while the group joins starts it anew
    consumer._ownership.phase = Phase.OURS
    assert consumer._new_offset(OURS) == 41
    assert not consumer._acked[OURS]


async def test_nothing_is_committed_while_the_group_joins(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[Any] = []

    async def commit(offsets: Any) -> bool:
        commits.append(offsets)
        return True

    monkeypatch.setattr(consumer._thread, "commit", commit)
    assert await consumer._commit({OURS: 1}) is False
    consumer._ownership.phase = Phase.OURS
    assert await consumer._commit({OURS: 2}) is True
    assert commits == [{OURS: 2}]


async def test_a_revocation_gives_everything_up_at_once(consumer: RunConsumer) -> None:
    reader = consumer.readers["ours"]
    reader.own({0: 41})
    consumer._ownership.phase = Phase.OURS
    epoch = reader.epoch
    await consumer.on_partitions_revoked({OURS})
    assert reader.partitions == frozenset()
    assert reader.epoch > epoch
    assert consumer._new_offset(OURS) is None


async def take_over(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch, first: int, end: int, last: int | None = None
) -> list[dict[TP, int]]:
    """Take partition 0 of our topic over; give what was sought.

    Its records may be read up to ``end``; the ``last`` one may be of a transaction that is open.
    """
    sought: list[dict[TP, int]] = []

    async def seek_wait(partitions: dict[TP, int]) -> None:
        sought.append(dict(partitions))
        assert consumer.readers["ours"].partitions == frozenset(), "ours before the seek"

    async def earliest_offsets(*partitions: TP) -> dict[TP, int]:
        return {OURS: first}

    async def highwaters(*partitions: TP) -> dict[TP, int]:
        return {OURS: end}

    async def ends_of(topic: str, partitions: Collection[int]) -> dict[int, int]:
        return dict.fromkeys(partitions, end if last is None else last)

    def end_process(status: Exit, why: str) -> NoReturn:
        raise AssertionError(status.name, why)

    monkeypatch.setattr(consumer.app, "ends_of", ends_of)
    monkeypatch.setattr(consumer, "assignment", lambda: {OURS, THEIRS})
    monkeypatch.setattr(consumer._thread, "seek_wait", seek_wait)
    monkeypatch.setattr(consumer._thread, "earliest_offsets", earliest_offsets)
    monkeypatch.setattr(consumer._thread, "highwaters", highwaters)
    monkeypatch.setattr(consumer_module, "end_process", end_process)
    monkeypatch.setattr(ownership_module, "end_process", end_process)
    consumer._active_partitions = set()
    consumer.resume_flow()
    await consumer.perform_seek()
    taking_over = consumer._ownership.taking_over
    assert taking_over is not None
    await taking_over
    return sought


async def test_a_take_over_seeks_to_where_the_sink_wants_to_read_on(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await take_over(consumer, monkeypatch, first=3, end=7) == [{OURS: 7}]
    assert consumer.readers["ours"].next_offset(0) == 7
    assert consumer._active_partitions == {OURS}
    assert consumer.app.loaded


def lost(consumer: RunConsumer) -> float:
    return consumer.app.telemetry.records_lost.labels("ours")._value.get()


async def test_a_take_over_waits_until_faust_has_cleared_its_buffers(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.stop_flow()
    monkeypatch.setattr(consumer, "resume_flow", lambda: None)
    taking_over = asyncio.create_task(take_over(consumer, monkeypatch, first=0, end=7))
    await settled()
    assert not consumer.app.loaded
    RunConsumer.resume_flow(consumer)
    assert await taking_over == [{OURS: 7}]
    assert consumer._ownership.phase is Phase.OURS


async def test_what_is_revoked_under_way_is_neither_sought_nor_ours(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def logs_of(topics: Collection[str]) -> dict[str, SourceLog]:
        # as a library does that ends a task of its own just when it is cancelled
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await told_of_logs(topics)

    monkeypatch.setattr(consumer.app, "logs_of", logs_of)
    taking_over = asyncio.create_task(take_over(consumer, monkeypatch, first=0, end=7))
    await settled()
    consumer._give_up()
    assert await taking_over == []
    assert consumer._ownership.phase is Phase.GIVEN_UP
    assert consumer.readers["ours"].partitions == frozenset()
    assert not consumer.app.loaded


async def test_a_rebalance_that_ends_twice_is_taken_over_once(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await take_over(consumer, monkeypatch, first=0, end=9) == [{OURS: 7}]
    assert await take_over(consumer, monkeypatch, first=0, end=9) == [{OURS: 7}]
    assert consumer.readers["ours"].next_offset(0) == 7
    sink: Any = consumer.readers["ours"].sink
    assert sink.released == [0]
    assert consumer._ownership.phase is Phase.OURS


async def test_a_take_over_begins_with_the_first_record_that_still_exists_and_counts_what_was_lost(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert await take_over(consumer, monkeypatch, first=9, end=20) == [{OURS: 9}]
    assert lost(consumer) == 2
    assert "ours-0: records 7 to 8 were deleted by the topic's retention before they were read" in caplog.text


async def test_nothing_was_lost_by_who_begins(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    sink: Any = consumer.readers["ours"].sink
    sink.start = 0
    assert await take_over(consumer, monkeypatch, first=9, end=20) == [{OURS: 9}]
    assert lost(consumer) == 0


async def test_a_take_over_tells_the_sink_which_log_is_there(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take_over(consumer, monkeypatch, first=0, end=20)
    sink: Any = consumer.readers["ours"].sink
    assert sink.logs == [LOG]


async def test_a_state_of_another_log_is_refused(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def load(partitions: Collection[int], log: SourceLog) -> dict[int, int]:
        raise TopicMadeAnew("another one")

    monkeypatch.setattr(consumer.readers["ours"].sink, "load", load)
    with pytest.raises(AssertionError) as refused:
        await take_over(consumer, monkeypatch, first=0, end=20)
    status, why = refused.value.__context__.args  # type: ignore[union-attr]
    assert status == Exit.LOG_WENT_BACK.name
    assert "trafficapp topics begin-anew ours" in why


async def test_what_lies_behind_an_open_transaction_is_no_fault(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await take_over(consumer, monkeypatch, first=0, end=5, last=7) == [{OURS: 7}]


async def test_a_log_that_ends_before_the_state_is_refused(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError) as refused:
        await take_over(consumer, monkeypatch, first=0, end=6)
    assert refused.value.__context__.args[0] == Exit.LOG_WENT_BACK.name  # type: ignore[union-attr]
    assert not consumer.app.loaded


class Clock:
    """What a consumer knows of its one partition, and the time."""

    def __init__(self, consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stable: int | None = None
        self.highwater: int | None = None
        self.now = 1000.0
        self.ended: list[str] = []
        self.consumer = consumer
        consumer.readers["ours"].own({0: 41})

        def end_process(status: Exit, why: str) -> None:
            self.ended.append(status.name)

        aio = SimpleNamespace(last_stable_offset=lambda tp: self.stable)
        monkeypatch.setattr(consumer._thread, "_consumer", aio)
        monkeypatch.setattr(consumer, "highwater", lambda tp: self.highwater)
        monkeypatch.setattr(consumer, "assignment", lambda: {OURS})
        monkeypatch.setattr(consumer_module, "end_process", end_process)
        monkeypatch.setattr(consumer_module.time, "monotonic", lambda: self.now)

    def ends(self, *, stable: int | None, highwater: int | None) -> list[str]:
        """How the process ended after two minutes of this."""
        self.stable, self.highwater, self.ended = stable, highwater, []
        for _ in range(61):
            self.consumer.check_progress()
            self.now += 2
        return self.ended[:1]


async def test_only_what_may_be_read_and_is_not_read_is_a_stall(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(consumer, monkeypatch)
    assert clock.ends(stable=None, highwater=None) == []
    # a transaction is open since the record that is due
    assert clock.ends(stable=41, highwater=99) == []
    assert consumer.lag() == {("ours", 0): 0}
    assert clock.ends(stable=41, highwater=41) == []
    assert clock.ends(stable=45, highwater=99) == [Exit.STALLED.name]
    assert consumer.lag() == {("ours", 0): 4}
    # brokers that do not tell
    assert clock.ends(stable=-1, highwater=42) == [Exit.STALLED.name]
    # what was read before, by who read everything, may lie behind an open transaction
    assert clock.ends(stable=30, highwater=60) == []
    assert consumer.lag() == {("ours", 0): 0}


async def test_a_log_that_ends_before_what_is_due_ends_the_process(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(consumer, monkeypatch)
    for end in (7, 0):
        assert clock.ends(stable=end, highwater=end) == [Exit.LOG_WENT_BACK.name]
    # for a moment it is a leader that has just begun
    clock.now += 1000
    clock.ends(stable=41, highwater=41)
    clock.highwater, clock.ended = 7, []
    for _ in range(5):
        consumer.check_progress()
        clock.now += 2
    clock.highwater = 41
    consumer.check_progress()
    assert clock.ended == []


async def test_holes_in_our_topics_are_not_kept_as_faust_keeps_them(consumer: RunConsumer) -> None:
    await consumer._add_gap(OURS, 1, 1000)
    assert not consumer._gap[OURS]


async def test_recovery_reads_nothing(consumer: RunConsumer) -> None:
    offsets: dict[TP, int] = {}
    recovery = consumer.app.tables.recovery
    await recovery._build_highwaters(None, {OURS}, offsets, "active")
    assert offsets == {OURS: -1}
    offsets.clear()
    await recovery._build_offsets(None, {OURS}, offsets, "active")
    assert offsets == {OURS: -1}
    await recovery._seek_offsets(None, {OURS}, offsets, "active")


def test_a_table_of_offsets_is_drawn_when_a_log_writes_it() -> None:
    source = inspect.getsource(Consumer._commit_offsets)
    assert source.count("terminal.logtable(") == inspect.getsource(faust_consumer).count("terminal.") == 1
    assert 'self.log.dev("COMMITTING OFFSETS:\\n%s", table)' in source
    table = faust_consumer.terminal.logtable([("roads-0", "17")], title="Commit Offsets", headers=["TP", "Offset"])
    assert "roads-0" in str(table)
    assert "Commit Offsets" in str(table)
