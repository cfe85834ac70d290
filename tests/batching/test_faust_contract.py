"""What `trafficapp.batching.consumer` takes from Faust's inside; an upgrade that changes it must fail here."""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import AsyncIterator, Callable
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

from tests.batching.test_reader import Sink
from trafficapp.application import TrafficApp
from trafficapp.batching import consumer as consumer_module
from trafficapp.batching.consumer import RunConsumer, RunConsumerThread, RunTableManager, RunTransport, _NoRecovery
from trafficapp.batching.fatal import Exit
from trafficapp.batching.fetching import RunFetchResult
from trafficapp.batching.reader import Run
from trafficapp.settings import load_settings

Consumer = faust_consumer.Consumer
OURS, THEIRS = TP("ours", 0), TP("theirs", 0)


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


@pytest.fixture
async def consumer() -> AsyncIterator[RunConsumer]:
    """The consumer of an application that reads one topic in runs; it is connected to nothing."""
    app = TrafficApp(load_settings(app_id="contract", worker={"run_records": 3}))
    app.read_in_runs("ours", Sink(), name="reader")
    found = app.consumer
    assert isinstance(found, RunConsumer)
    yield found
    found.readers["ours"].release()


async def test_the_application_uses_our_parts(consumer: RunConsumer) -> None:
    assert isinstance(consumer.transport, RunTransport)
    assert isinstance(consumer._thread, RunConsumerThread)
    assert isinstance(consumer.app.tables, RunTableManager)
    assert isinstance(consumer.app.tables.recovery, _NoRecovery)
    assert aiokafka.consumer.fetcher.FetchResult is RunFetchResult


async def delivered(consumer: RunConsumer) -> list[tuple[TP, ConsumerMessage]]:
    return [one async for one in consumer.getmany(1.0)]


def fetch(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Have the next fetch return so many records of each topic."""
    records = [
        SimpleNamespace(offset=offset, timestamp=1000 * offset, timestamp_type=0, key=b"k") for offset in range(count)
    ]

    async def fetched(_: float) -> tuple[dict[TP, list[Any]], set[TP]]:
        return {OURS: list(records), THEIRS: list(records)}, {OURS, THEIRS}

    monkeypatch.setattr(consumer, "_wait_next_records", fetched)
    monkeypatch.setattr(type(consumer), "should_stop", False)


async def test_records_are_delivered_in_runs(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(consumer, monkeypatch, 7)
    consumer.resume_flow()
    messages = await delivered(consumer)
    assert [tp for tp, _ in messages] == [OURS] * 3
    runs = [message.value for _, message in messages]
    assert all(isinstance(run, Run) and (run.epoch, run.partition) == (0, 0) for run in runs)
    assert [[record.offset for record in run] for run in runs] == [[0, 1, 2], [3, 4, 5], [6]]
    first = messages[0][1]
    assert (first.offset, first.timestamp, first.tp) == (2, 2.0, OURS)
    assert consumer._read_offset[OURS] is None


async def test_nothing_is_delivered_while_the_flow_is_stopped(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(consumer, monkeypatch, 7)
    consumer.resume_flow()
    consumer.stop_flow()
    assert await delivered(consumer) == []


async def test_delivery_ends_when_the_group_moves_on(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(consumer, monkeypatch, 7)
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
    consumer._ready = True
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
    consumer._ready = True
    assert await consumer._commit({OURS: 2}) is True
    assert commits == [{OURS: 2}]


async def test_a_revocation_gives_everything_up_at_once(consumer: RunConsumer) -> None:
    reader = consumer.readers["ours"]
    reader.own({0: 41})
    consumer._ready = True
    epoch = reader.epoch
    await consumer.on_partitions_revoked({OURS})
    assert reader.partitions == frozenset()
    assert reader.epoch > epoch
    assert consumer._new_offset(OURS) is None


async def take_over(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch, first: int, end: int
) -> list[dict[TP, int]]:
    """Take partition 0 of our topic over; give what was sought."""
    sought: list[dict[TP, int]] = []

    async def seek_wait(partitions: dict[TP, int]) -> None:
        sought.append(dict(partitions))
        assert consumer.readers["ours"].partitions == frozenset(), "ours before the seek"

    async def earliest_offsets(*partitions: TP) -> dict[TP, int]:
        return {OURS: first}

    async def highwaters(*partitions: TP) -> dict[TP, int]:
        return {OURS: end}

    def end_process(status: Exit, why: str) -> NoReturn:
        raise AssertionError(status.name)

    monkeypatch.setattr(consumer, "assignment", lambda: {OURS, THEIRS})
    monkeypatch.setattr(consumer._thread, "seek_wait", seek_wait)
    monkeypatch.setattr(consumer._thread, "earliest_offsets", earliest_offsets)
    monkeypatch.setattr(consumer._thread, "highwaters", highwaters)
    monkeypatch.setattr(consumer_module, "end_process", end_process)
    consumer._active_partitions = set()
    consumer.resume_flow()
    await consumer.perform_seek()
    taking_over = consumer._taking_over
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


async def test_a_take_over_begins_with_the_first_record_that_still_exists(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await take_over(consumer, monkeypatch, first=9, end=20) == [{OURS: 9}]


async def test_a_log_that_ends_before_the_state_is_refused(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError) as refused:
        await take_over(consumer, monkeypatch, first=0, end=6)
    assert str(refused.value.__context__) == Exit.LOG_WENT_BACK.name
    assert not consumer.app.loaded


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
