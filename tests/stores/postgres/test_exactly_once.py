from __future__ import annotations

import asyncio
import random
from typing import Any

import asyncpg
import pytest

from tests.stores.postgres.fixtures import Connection, MakeSink
from tests.stores.postgres.proxy import Proxy
from tests.stores.postgres.records import event, events, not_owned, owned, window, window_records
from tests.tasks import end
from trafficapp.engine.state_rows import UNTOLD, SourceLog, TopicMadeAnew
from trafficapp.settings import load_settings
from trafficapp.stores.postgres.sink import HistorySink, HistoryWentBack


async def _offsets_stored(database: Connection) -> list[int]:
    """Every stored row's offset, which its vehicle is named after."""
    return [row[0] for row in await database.fetch("SELECT substr(vehicle_id, 2)::int FROM traffic_events ORDER BY 1")]


async def _next_offset(database: Connection) -> int:
    return int(await database.fetchval("SELECT next_offset FROM sink_offsets WHERE sink = 'traffic_events'"))


async def test_a_restart_goes_on_where_the_rows_end(events_sink: MakeSink, database: Connection) -> None:
    first, second = events_sink(), events_sink()
    assert await first.load([0, 3]) == {0: 0, 3: 0}
    await first.apply(0, events(range(0, 40)), owned)
    assert await second.load([0, 3]) == {0: 40, 3: 0}
    await second.apply(0, events(range(40, 50)), owned)
    await second.apply(3, events(range(50, 60), partition=3), owned)
    assert await _offsets_stored(database) == list(range(60))


async def test_records_that_are_there_already_are_left_out(events_sink: MakeSink, database: Connection) -> None:
    sink = events_sink()
    await sink.load([0])
    await sink.apply(0, events(range(0, 40)), owned)
    await sink.apply(0, events(range(0, 40)), owned)
    await sink.apply(0, events(range(30, 45)), owned)
    assert await _offsets_stored(database) == list(range(45))
    assert sink.counters.rows == 45


async def test_a_gap_in_the_log_is_no_fault(events_sink: MakeSink, database: Connection) -> None:
    sink = events_sink()
    await sink.load([0])
    await sink.apply(0, [event(5), event(9)], owned)
    assert await _next_offset(database) == 10


async def test_a_commit_whose_answer_was_lost_is_not_repeated(
    events_sink: MakeSink, database: Connection, history_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Proxy(history_url).listening() as proxy:
        sink = events_sink(settings=load_settings(postgres={"url": proxy.url}))
        await sink.load([0])
        await sink.apply(0, events(range(0, 10)), owned)
        proxy.cut_after = b"COMMIT"
        await sink.apply(0, events(range(10, 20)), owned)
        assert proxy.cuts == 1
    assert await _offsets_stored(database) == list(range(20))
    assert await _next_offset(database) == 20
    assert caplog.text.count("cannot be used") == 1


@pytest.mark.parametrize("moment", [b"BEGIN", b"SELECT next_offset", b"COPY", b"UPDATE sink_offsets"])
async def test_a_cut_inside_the_transaction_loses_and_doubles_nothing(
    events_sink: MakeSink, database: Connection, history_url: str, moment: bytes
) -> None:
    async with Proxy(history_url).listening() as proxy:
        sink = events_sink(settings=load_settings(postgres={"url": proxy.url}))
        await sink.load([0])
        # prepared statements go over the wire by name, so the text is seen at the first use only
        proxy.cut_after = moment
        for first in range(0, 40, 10):
            await sink.apply(0, events(range(first, first + 10)), owned)
        assert proxy.cuts == 1
    assert await _offsets_stored(database) == list(range(40))


async def test_sessions_ended_at_random_moments_lose_and_double_nothing(
    events_sink: MakeSink, database: Connection
) -> None:
    sinks = [events_sink() for _ in range(2)]
    chance = random.Random(3)
    ended = 0

    async def write(sink: Any, partition: int) -> None:
        await sink.load([partition])
        for first in range(0, 2000, 200):
            run = [event(n, partition=partition, vehicle_id=f"v{partition}{n:05}") for n in range(first, first + 200)]
            await sink.apply(partition, run, owned)

    async def end_sessions() -> None:
        nonlocal ended
        # so often at most: on a slow machine nothing would ever be written between two ends
        for _ in range(60):
            await asyncio.sleep(chance.uniform(0.05, 0.2))
            ended += await database.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'trafficapp'"
            )

    killer = asyncio.create_task(end_sessions())
    await asyncio.wait_for(asyncio.gather(*(write(sinks[n % 2], n) for n in range(4))), 60)
    await end(killer)  # it may be in the middle of a query
    assert ended > 0
    assert await database.fetchval("SELECT count(*) FROM traffic_events") == 8_000
    assert await database.fetchval("SELECT count(DISTINCT vehicle_id) FROM traffic_events") == 8_000


async def test_two_owners_of_one_partition_write_each_record_once(events_sink: MakeSink, database: Connection) -> None:
    """A frozen process wakes up after another took over; their runs are cut differently."""
    chance = random.Random(11)

    async def write(sink: HistorySink[Any]) -> None:
        first = 100
        while first < 3000:
            end = min(first + chance.randrange(1, 120), 3000)
            await sink.apply(0, events(range(first, end)), owned)
            await asyncio.sleep(chance.choice([0, 0, 0, 0.02]))
            first = end

    zombie, owner = events_sink(), events_sink()
    await zombie.load([0])
    await zombie.apply(0, events(range(0, 100)), owned)
    await owner.load([0])
    await asyncio.gather(write(zombie), write(owner))
    assert await _offsets_stored(database) == list(range(3000))
    assert await _next_offset(database) == 3000
    assert zombie.counters.rows + owner.counters.rows == 3000
    assert zombie.counters.rows > 100
    assert owner.counters.rows > 0


@pytest.mark.parametrize("moment", [b"COPY ", b"PGCOPY", b"UPDATE sink_offsets", b"COMMIT"])
async def test_a_process_that_freezes_in_a_transaction_does_not_hold_up_the_next_owner(
    events_sink: MakeSink, database: Connection, history_url: str, monkeypatch: pytest.MonkeyPatch, moment: bytes
) -> None:
    """It thaws later and finds its records written, or its transaction ended by the server."""
    monkeypatch.setattr("trafficapp.stores.postgres.connection.FROZEN_TRANSACTION_SECONDS", 1)
    async with Proxy(history_url).listening() as proxy:
        frozen, owner = events_sink(settings=load_settings(postgres={"url": proxy.url})), events_sink()
        await frozen.load([0])
        proxy.freeze_at = moment
        freezing = asyncio.create_task(frozen.apply(0, events(range(10)), owned))
        await proxy.frozen.wait()
        assert await asyncio.wait_for(owner.load([0]), 0.9) == {0: 0}  # before the server ends the session
        try:
            await asyncio.wait_for(owner.apply(0, events(range(15)), owned), 5)
        except TimeoutError:
            freezing.cancel()
            raise
        proxy.thaw.set()
        await asyncio.wait_for(freezing, 5)
        await frozen.apply(0, events(range(10, 20)), owned)
    assert await _offsets_stored(database) == list(range(20))


async def test_a_process_that_freezes_with_windows_written_does_not_hold_up_the_next_owner(
    metrics_sink: MakeSink, database: Connection, history_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trafficapp.stores.postgres.connection.FROZEN_TRANSACTION_SECONDS", 1)
    records = window_records(*(window(number=number) for number in range(10)))
    async with Proxy(history_url).listening() as proxy:
        frozen, owner = metrics_sink(settings=load_settings(postgres={"url": proxy.url})), metrics_sink()
        await frozen.load([0])
        proxy.freeze_at = b"UPDATE sink_offsets"
        freezing = asyncio.create_task(frozen.apply(0, records, owned))
        await proxy.frozen.wait()
        assert await asyncio.wait_for(owner.load([0]), 0.9) == {0: 0}  # before the server ends the session
        try:
            await asyncio.wait_for(owner.apply(0, records, owned), 5)
        except TimeoutError:
            freezing.cancel()
            raise
        proxy.thaw.set()
        await asyncio.wait_for(freezing, 5)
    assert await database.fetchval("SELECT count(*) FROM traffic_metrics") == 10
    assert (owner.counters.rows, frozen.counters.rows) == (10, 0)


async def test_a_database_that_went_back_is_noticed(events_sink: MakeSink, database: Connection) -> None:
    sink = events_sink()
    await sink.load([0])
    await sink.apply(0, events(range(0, 10)), owned)
    await database.execute("UPDATE sink_offsets SET next_offset = 5")
    with pytest.raises(HistoryWentBack, match="is at 5, was at 10"):
        await sink.apply(0, events(range(10, 20)), owned)
    await database.execute("DELETE FROM sink_offsets")
    with pytest.raises(HistoryWentBack, match="is at None, was at 10"):
        await sink.apply(0, events(range(10, 20)), owned)
    assert await _offsets_stored(database) == list(range(10))


async def test_an_outage_is_waited_out_and_told_once(
    events_sink: MakeSink, database: Connection, history_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "trafficapp.stores")
    async with Proxy(history_url).listening() as proxy:
        sink = events_sink(settings=load_settings(postgres={"url": proxy.url}))
        proxy.refusing = True
        loading = asyncio.create_task(sink.load([0]))
        await asyncio.sleep(0.5)
        assert not loading.done()
        proxy.refusing = False
        assert await asyncio.wait_for(loading, 5) == {0: 0}

        await sink.apply(0, events(range(0, 5)), owned)
        proxy.refusing = True
        proxy.cut()
        applying = asyncio.create_task(sink.apply(0, events(range(5, 10)), owned))
        await asyncio.sleep(1)
        assert not applying.done()
        proxy.refusing = False
        await asyncio.wait_for(applying, 5)
    assert await _offsets_stored(database) == list(range(10))
    messages = [record.message for record in caplog.records]
    assert sum("cannot be used" in message for message in messages) == 2
    assert sum("is back after" in message for message in messages) == 2
    assert proxy.url.rpartition("@")[2].split("/")[0] in caplog.text
    assert "trafficapp:" not in caplog.text


async def test_a_lost_partition_is_left_to_its_next_owner(events_sink: MakeSink, database: Connection) -> None:
    sink = events_sink()
    await sink.load([0])
    await sink.apply(0, events(range(0, 5)), not_owned)
    assert await _offsets_stored(database) == []
    sink.release([0])
    assert await sink.load([0]) == {0: 0}


async def test_a_stop_during_an_outage_writes_nothing_and_ends_the_wait(
    events_sink: MakeSink, database: Connection, history_url: str
) -> None:
    stopping = asyncio.Event()
    async with Proxy(history_url).listening() as proxy:
        sink = events_sink(settings=load_settings(postgres={"url": proxy.url}), should_stop=stopping.is_set)
        await sink.load([0])
        proxy.refusing = True
        proxy.cut()
        applying = asyncio.create_task(sink.apply(0, events(range(5)), owned))
        await asyncio.sleep(0.3)
        stopping.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(applying, 5)
    assert await _offsets_stored(database) == []


async def test_a_cancelled_run_can_be_applied_again(
    events_sink: MakeSink, database: Connection, history_url: str
) -> None:
    sink = events_sink()
    await sink.load([0])
    blocker = await asyncpg.connect(history_url)
    async with blocker.transaction():
        await blocker.fetch("SELECT * FROM sink_offsets FOR UPDATE")
        applying = asyncio.create_task(sink.apply(0, events(range(5)), owned))
        await asyncio.sleep(0.3)
        applying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await applying
    await blocker.close()
    sink.release([0])
    assert await sink.load([0]) == {0: 0}
    await sink.apply(0, events(range(5)), owned)
    assert await _offsets_stored(database) == list(range(5))


async def test_a_missing_schema_is_waited_for(
    settings: Any, events_sink: MakeSink, database: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await database.execute("ALTER TABLE sink_offsets RENAME TO not_there_yet")
    sink = events_sink()
    loading = asyncio.create_task(sink.load([0]))
    await asyncio.sleep(0.5)
    assert not loading.done()
    await database.execute("ALTER TABLE not_there_yet RENAME TO sink_offsets")
    assert await asyncio.wait_for(loading, 5) == {0: 0}
    assert "waiting for `trafficapp migrate`" in caplog.text


async def test_windows_survive_a_lost_commit_too(
    metrics_sink: MakeSink, database: Connection, history_url: str
) -> None:
    async with Proxy(history_url).listening() as proxy:
        sink = metrics_sink(settings=load_settings(postgres={"url": proxy.url}))
        await sink.load([0])
        proxy.cut_after = b"COMMIT"
        await sink.apply(0, window_records(*(window(number=n) for n in range(30))), owned)
    assert await database.fetchval("SELECT count(*) FROM traffic_metrics") == 30
    assert sink.counters.differing == 0


async def test_offsets_of_another_topic_of_that_name_are_refused(events_sink: MakeSink, database: Connection) -> None:
    before, after = SourceLog("before", 8), SourceLog("after", 8)
    sink = events_sink()
    await sink.load([0])
    await sink.apply(0, events(range(0, 40)), owned)
    # what was written before ids were kept agrees with any
    assert await events_sink().load([0, 3], before) == {0: 40, 3: 0}
    for log in (UNTOLD, before, SourceLog("before", 16)):
        assert await events_sink().load([0, 3], log) == {0: 40, 3: 0}
    with pytest.raises(TopicMadeAnew, match="before"):
        await events_sink().load([0, 3], after)
    assert await events_sink().load([5], after) == {5: 0}
    found = await database.fetch("SELECT partition, log_id FROM sink_offsets ORDER BY partition")
    assert [tuple(row) for row in found] == [(0, "before"), (3, "before"), (5, "after")]
