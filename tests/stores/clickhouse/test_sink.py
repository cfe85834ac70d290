"""Rows of feeds in ClickHouse: what is kept, and that each is there once whatever is cut, killed or frozen."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec import Struct

from models.timestamps import epoch_us, rfc3339
from tests.feeds.parking_bays import PARKING_BAYS
from tests.stores.clickhouse.clickhouse_server import PASSWORD, USER, ClickHouseServer, needs_chdb
from tests.stores.postgres.proxy import Proxy
from tests.stores.postgres.records import START_US, record
from tests.tasks import end
from trafficapp.engine.state_rows import SourceLog, TopicMadeAnew
from trafficapp.feeds.declaration import Column, Feed, History
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers import ports
from trafficapp.stores.clickhouse.begin_anew import begin, foreign_partitions
from trafficapp.stores.clickhouse.client import ClickHouse, ClickHouseError
from trafficapp.stores.clickhouse.sink import ClickHouseSink
from trafficapp.stores.clickhouse.tables import kept_feeds, statements
from trafficapp.stores.postgres.sink import HistoryWentBack

pytestmark = needs_chdb

LOG = SourceLog("a-topic", 4)
STREAM = "3f06af63-a93c-11e4-9797-00505690773f"


class Odd(Struct, frozen=True, kw_only=True):
    """A message with a field of every kind of column."""

    name: str
    timestamp: str | int | float
    stream: str = STREAM
    small: int | None = None
    large: int | None = None
    real: float | None = None
    truth: bool | None = None
    text: str | None = None
    any: Any = None
    reals: list[float | None] | None = None


COLUMNS = {
    "name": Column("text"),
    "at": Column("timestamptz", of="timestamp"),
    "stream": Column("uuid"),
    "small": Column("integer"),
    "large": Column("bigint"),
    "real": Column("double precision"),
    "truth": Column("boolean"),
    "text": Column("text"),
    "any": Column("jsonb"),
    "reals": Column("double precision[]"),
}
ODDS = Feed(
    name="odds",
    summary="Odd values.",
    topic="odds",
    shape=Odd,
    sample=Odd(name="a", timestamp="2026-01-14T12:00:00Z"),
    key="name",
    rekey=True,
    future_seconds=None,
    history=History(table="odds", columns=COLUMNS, key=("name", "at"), days=30),
)
NEWEST_ODDS = replace(
    ODDS,
    name="newest-odds",
    topic="newest-odds",
    history=History(table="newest_odds", columns=COLUMNS, key=("name",), newest_by="at", days=30),
)
FEEDS = (PARKING_BAYS, ODDS, NEWEST_ODDS)

Make = Callable[..., ClickHouseSink]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"), ports.choose(18123))
    server.start()
    yield server
    server.kill()


def settings_of(url: str, **clickhouse: Any) -> Settings:
    usual = {"url": url, "user": USER, "password": PASSWORD, "pause_seconds": 0, "timeout_seconds": 5}
    return load_settings(clickhouse=usual | clickhouse)


@pytest.fixture
async def client(server: ClickHouseServer) -> AsyncIterator[ClickHouse]:
    """ClickHouse beside the sinks, with empty tables."""
    client = ClickHouse(settings_of(server.url).clickhouse)
    await create(client)
    for table in ("odds", "newest_odds", "sink_offsets"):
        await client.do(f"TRUNCATE TABLE trafficapp.{table}")
    yield client
    await client.close()


async def create(client: ClickHouse) -> None:
    for statement in statements(FEEDS, "trafficapp"):
        await client.do(statement)


@pytest.fixture
async def make(server: ClickHouseServer, client: ClickHouse) -> AsyncIterator[Make]:
    """Make sinks, each as another process."""
    async with AsyncExitStack() as stack:

        def make(feed: Feed[Any] = ODDS, url: str = server.url, should_stop: Any = lambda: False, **more: Any) -> Any:
            sink = ClickHouseSink(feed, settings_of(url, **more), should_stop)
            stack.push_async_callback(sink.close)
            return sink

        yield make


def odd(offset: int, name: str | None = None, at_us: int | None = None, partition: int = 0, **fields: Any) -> Any:
    at_us = START_US + offset if at_us is None else at_us
    value = {"name": name or f"odd-{offset}", "timestamp": rfc3339(at_us)} | fields
    return record(offset, json.dumps(value).encode(), None, partition=partition, topic="odds")


def odds(offsets: range, partition: int = 0) -> list[Any]:
    return [odd(offset, f"odd-{partition}-{offset}", partition=partition) for offset in offsets]


async def until(is_so: Callable[[], bool], seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - what is looked at knows no event
            await asyncio.sleep(0.01)


def owned() -> bool:
    return True


async def names(client: ClickHouse, table: str = "odds", final: str = "") -> list[str]:
    asked = f"SELECT name FROM trafficapp.{table} {final} ORDER BY kafka_partition, kafka_offset"  # noqa: S608
    rows = await client.ask(asked)
    return [row["name"] for row in rows]


def told(*pieces: list[Any]) -> list[str]:
    return [json.loads(one.value)["name"] for piece in pieces for one in piece]


# ---------------------------------------------------------------------- values


async def test_every_value_is_what_it_was_and_null_stays_null(make: Make, client: ClickHouse) -> None:
    largest, smallest = (1 << 63) - 1, -(1 << 63)
    whole = {
        "small": -(1 << 31), "large": largest, "real": 0.1, "truth": False,
        "text": "it's \"\\\n\t\u2028 Hà Nội \U0001f697",
        "any": {"a": [1, None, "x"]}, "reals": [1.5, None, -1e-300],
    }  # fmt: skip
    messages = [
        odd(0, **whole),
        odd(1),
        odd(2, large=smallest, real=5e-324, truth=True, text="", any=0, reals=[]),
        odd(3, at_us=253_370_764_799_999_999 - 10, real=1e308),  # in the year 9998
        odd(4, at_us=1, text="a\0b"),
    ]
    sink = make()
    assert await sink.load([0], LOG) == {0: 0}
    await sink.apply(0, messages, owned)
    rows = await client.ask("SELECT * EXCEPT (row_version) FROM trafficapp.odds ORDER BY kafka_offset")
    nothing = dict.fromkeys(["small", "large", "real", "truth", "text", "any", "reals"])
    assert [json.loads(row.pop("any") or "null") for row in rows] == [{"a": [1, None, "x"]}, None, 0, None, None]
    assert [json.loads(row.pop("reals") or "null") for row in rows] == [[1.5, None, -1e-300], None, [], None, None]
    kept = [{name: value for name, value in row.items() if not name.startswith("kafka_")} for row in rows]
    base = {name: value for name, value in nothing.items() if name not in ("any", "reals")} | {"stream": STREAM}
    assert [row.pop("at") for row in kept] == [
        "2026-01-14 07:00:00.000000", "2026-01-14 07:00:00.000001", "2026-01-14 07:00:00.000002",
        "9998-12-31 23:59:59.999989", "1970-01-01 00:00:00.000001",
    ]  # fmt: skip
    assert [{**row, "large": None if row["large"] is None else int(row["large"])} for row in kept] == [
        base | {"name": "odd-0"} | {name: whole[name] for name in ("small", "large", "real", "truth", "text")},
        base | {"name": "odd-1"},
        base | {"name": "odd-2", "large": smallest, "real": 5e-324, "truth": True, "text": ""},
        base | {"name": "odd-3", "real": 1e308},
        base | {"name": "odd-4", "text": "a\ufffdb"},
    ]
    places = [(row["kafka_log"], row["kafka_partition"], int(row["kafka_offset"])) for row in rows]
    assert places == [("a-topic", 0, offset) for offset in range(5)]


async def test_what_is_refused_costs_no_neighbour(make: Make, client: ClickHouse) -> None:
    wrong = [record(1, b"{", None), odd(2, small=1 << 40), odd(3, name="x" * 257), record(4, None, None)]
    sink = make()
    await sink.load([0], LOG)
    await sink.apply(0, [odd(0), *wrong, odd(5)], owned)
    assert await names(client) == ["odd-0", "odd-5"]
    assert (sink.counters.rows, sink.counters.unreadable) == (2, 4)
    # also when nothing of a run is kept
    await sink.apply(0, [record(6, b"{", None)], owned)
    assert await make().load([0], LOG) == {0: 7}


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_postgres_keeps_of_repeats_is_what_final_finds(make: Make, client: ClickHouse, seed: int) -> None:
    """The first of a key and time; or of a key the newest, and of two with one time the one that came later."""
    chance = random.Random(seed)
    messages = [
        odd(offset, f"n{chance.randrange(6)}", START_US + chance.randrange(5), small=offset) for offset in range(120)
    ]
    appended, newest = dict[tuple[str, str], int](), dict[str, tuple[int, int]]()
    for one in messages:
        said = json.loads(one.value)
        appended.setdefault((said["name"], said["timestamp"]), said["small"])
        if (at := epoch_us(said["timestamp"])) >= newest.get(said["name"], (0, 0))[0]:
            newest[said["name"]] = at, said["small"]
    for feed in (ODDS, NEWEST_ODDS):
        sink = make(feed)
        await sink.load([0], LOG)
        begin = 0
        while begin < len(messages):
            end = begin + chance.randrange(1, 30)
            await sink.apply(0, messages[begin:end], owned)
            begin = end
    rows = await client.ask("SELECT small FROM trafficapp.odds FINAL")
    assert sorted(int(row["small"]) for row in rows) == sorted(appended.values())
    rows = await client.ask("SELECT small FROM trafficapp.newest_odds FINAL")
    assert sorted(int(row["small"]) for row in rows) == sorted(offset for _, offset in newest.values())


async def test_a_value_that_a_table_does_not_take_costs_only_its_row(
    make: Make, client: ClickHouse, caplog: pytest.LogCaptureFixture
) -> None:
    await client.do("ALTER TABLE trafficapp.odds DROP COLUMN text")
    await client.do("ALTER TABLE trafficapp.odds ADD COLUMN text Nullable(UUID)")
    sink = make()
    await sink.load([0], LOG)
    messages = [odd(offset, text="no id" if offset in (3, 7) else STREAM) for offset in range(10)]
    await sink.apply(0, messages, owned)
    assert await names(client) == [f"odd-{offset}" for offset in range(10) if offset not in (3, 7)]
    assert (sink.counters.rows, sink.counters.unstorable) == (8, 2)
    assert caplog.text.count("left out a row that ClickHouse refuses") == 2
    await client.do("DROP TABLE trafficapp.odds SYNC")


# ---------------------------------------------------------------------- each once


async def test_an_answer_that_is_lost_doubles_nothing(server: ClickHouseServer, make: Make, client: ClickHouse) -> None:
    async with Proxy(server.url).listening() as proxy:
        sink = make(url=proxy.url)
        await sink.load([0], LOG)
        proxy.cut_after = b"odd-0-7"
        await sink.apply(0, odds(range(20)), owned)
        assert proxy.cuts == 1
    # without FINAL: nothing was inserted twice
    assert await names(client) == told(odds(range(20)))
    assert not sink.is_waiting()


async def test_a_crash_before_the_offset_is_written_repeats_nothing(
    server: ClickHouseServer, make: Make, client: ClickHouse
) -> None:
    async with Proxy(server.url).listening() as proxy:
        crashed = make(url=proxy.url)
        await crashed.load([0, 1], LOG)
        await crashed.apply(0, odds(range(5)), owned)
        proxy.cut_after = b"odd-0-9"
        applying = asyncio.create_task(crashed.apply(0, odds(range(5, 10)), owned))
        await until(lambda: proxy.cuts == 1)
        proxy.refusing = True
        proxy.cut()
        await crashed.close()
        await asyncio.gather(applying, return_exceptions=True)
    kept = await client.ask("SELECT max(next_offset) AS kept FROM trafficapp.sink_offsets")
    assert int(kept[0]["kept"]) == 5
    following = make()
    assert await following.load([0, 1], LOG) == {0: 10, 1: 0}
    await following.apply(0, odds(range(10, 12)), owned)
    assert await names(client) == told(odds(range(12)))


async def test_a_process_that_was_frozen_changes_nothing(make: Make, client: ClickHouse) -> None:
    """Whose runs were cut at other places, so that no insertion is known again."""
    frozen, owner = make(), make()
    await frozen.load([0], LOG)
    await owner.load([0], LOG)
    await owner.apply(0, odds(range(12)), owned)
    await owner.apply(0, odds(range(12, 30)), owned)
    await frozen.apply(0, odds(range(9)), owned)
    assert await names(client, final="FINAL") == told(odds(range(30)))
    # what it says of offsets takes nothing back
    assert await make().load([0], LOG) == {0: 30}


async def test_a_killed_server_loses_and_doubles_nothing(
    server: ClickHouseServer, make: Make, client: ClickHouse
) -> None:
    sink = make(pause_seconds=0.05)
    await sink.load([0, 1], LOG)
    runs = {partition: [odds(range(first, first + 7), partition) for first in range(0, 210, 7)] for partition in (0, 1)}

    async def send(partition: int) -> None:
        for run in runs[partition]:
            await sink.apply(partition, run, owned)

    sending = asyncio.gather(send(0), send(1))
    await asyncio.sleep(0.4)
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(0.2)
    assert not sending.done()
    await asyncio.to_thread(server.start)
    await asyncio.wait_for(sending, 30)
    assert await names(client) == told(*runs[0], *runs[1])
    assert sink.counters.rows == 420


async def test_runs_of_partitions_are_inserted_together(make: Make, client: ClickHouse) -> None:
    # a new table counts insertions from the beginning
    await client.do("DROP TABLE trafficapp.odds SYNC")
    await create(client)
    sink = make(pause_seconds=0.3)
    await sink.load(range(4), LOG)

    async def send(partition: int) -> None:
        for first in range(0, 12, 4):
            await sink.apply(partition, odds(range(first, first + 4), partition), owned)

    await asyncio.gather(*(send(partition) for partition in range(4)))
    assert await names(client) == told(*(odds(range(12), partition) for partition in range(4)))
    parts = await client.ask(
        "SELECT max(max_block_number) AS insertions FROM system.parts WHERE database = 'trafficapp' AND table = 'odds'"
    )
    # the first run that came does not wait for the others
    assert int(parts[0]["insertions"]) <= 5
    assert await make().load(range(4), LOG) == dict.fromkeys(range(4), 12)


# ---------------------------------------------------------------------- away, or not as it was


async def test_a_server_that_is_away_is_waited_for(server: ClickHouseServer, make: Make, client: ClickHouse) -> None:
    stopped = False
    async with Proxy(server.url).listening() as proxy:
        sink = make(url=proxy.url, should_stop=lambda: stopped)
        proxy.refusing = True
        loading = asyncio.create_task(sink.load([0, 1], LOG))
        await asyncio.sleep(0.3)
        assert not loading.done()
        assert sink.is_waiting()
        proxy.refusing = False
        assert await loading == {0: 0, 1: 0}
        assert not sink.is_waiting()
        proxy.refusing = True
        proxy.cut()
        is_ours = True
        first = asyncio.create_task(sink.apply(0, odds(range(3)), lambda: is_ours))
        await asyncio.sleep(0.3)
        assert not first.done()
        # whoever owns it now writes it
        is_ours = False
        await asyncio.wait_for(first, 5)
        second = asyncio.create_task(sink.apply(1, odds(range(3), 1), owned))
        await asyncio.sleep(0.3)
        stopped = True
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(second, 5)
    assert await names(client) == []


async def test_tables_and_columns_that_lack_are_waited_for(
    server: ClickHouseServer, make: Make, client: ClickHouse, caplog: pytest.LogCaptureFixture
) -> None:
    await client.do("DROP DATABASE trafficapp SYNC")
    sink = make()
    loading = asyncio.create_task(sink.load([0], LOG))
    await asyncio.sleep(0.3)
    await create(client)
    assert await loading == {0: 0}
    assert "trafficapp clickhouse create" in caplog.text
    await client.do("ALTER TABLE trafficapp.odds DROP COLUMN truth")
    applying = asyncio.create_task(sink.apply(0, [odd(0, truth=True)], owned))
    await asyncio.sleep(0.3)
    assert not applying.done()
    await create(client)
    await applying
    assert await client.ask("SELECT truth FROM trafficapp.odds") == [{"truth": True}]


async def test_a_server_that_refuses_us_is_waited_for_and_says_why(
    make: Make, server: ClickHouseServer, caplog: pytest.LogCaptureFixture
) -> None:
    sink = ClickHouseSink(ODDS, settings_of(server.url, password="wrong"))  # noqa: S106
    loading = asyncio.create_task(sink.load([0], LOG))
    await until(lambda: "Authentication failed" in caplog.text)
    await end(loading)
    await sink.close()
    assert "wrong" not in caplog.text
    assert PASSWORD not in repr(settings_of(server.url))


async def test_offsets_of_another_topic_of_the_name_are_refused(
    server: ClickHouseServer, make: Make, client: ClickHouse
) -> None:
    sink = make()
    await sink.load([0], LOG)
    await sink.apply(0, odds(range(5)), owned)
    other, settings = SourceLog("another", 4), settings_of(server.url)
    with pytest.raises(TopicMadeAnew):
        await make().load([0, 1], other)
    assert await make().load([1], other) == {1: 0}
    # what `trafficapp topics begin-anew` does
    assert await foreign_partitions(ODDS, settings, LOG) == []
    assert await foreign_partitions(ODDS, settings, other) == [0]
    await begin(ODDS, settings, other, [0])
    assert await foreign_partitions(ODDS, settings, other) == []
    following = make()
    assert await following.load([0, 1], other) == {0: 0, 1: 0}
    await following.apply(0, odds(range(7)), owned)
    assert await names(client, final="FINAL") == told(odds(range(7)))
    assert await make().load([0], other) == {0: 7}


async def test_a_server_that_knows_less_than_before_is_noticed(
    server: ClickHouseServer, make: Make, client: ClickHouse
) -> None:
    async with Proxy(server.url).listening() as proxy:
        sink = make(url=proxy.url)
        await sink.load([0], LOG)
        await sink.apply(0, odds(range(5)), owned)
        proxy.refusing = True
        proxy.cut()
        applying = asyncio.create_task(sink.apply(0, odds(range(5, 8)), owned))
        await asyncio.sleep(0.2)
        await client.do("DROP DATABASE trafficapp SYNC")
        await create(client)
        proxy.refusing = False
        with pytest.raises(HistoryWentBack, match="is at 0 in ClickHouse, was at 5"):
            await asyncio.wait_for(applying, 20)
    assert await names(client) == []


# ---------------------------------------------------------------------- the command


def test_feeds_are_chosen_by_name() -> None:
    settings = settings_of("http://127.0.0.1:1")
    assert kept_feeds(FEEDS, settings) == list(FEEDS)
    assert kept_feeds(FEEDS, settings_of("http://127.0.0.1:1", feeds=["odds"])) == [ODDS]
    with pytest.raises(ValueError, match="feeds with a history are: newest-odds, odds, parking-bays"):
        kept_feeds(FEEDS, settings_of("http://127.0.0.1:1", feeds=["even"]))


def test_the_command_creates_tables_and_can_be_run_again(
    server: ClickHouseServer, client: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from trafficapp.commands.clickhouse import clickhouse

    monkeypatch.setenv("TRAFFICAPP_CLICKHOUSE__DATABASE", f"made_{uuid.uuid4().hex}")
    shown = CliRunner().invoke(clickhouse, ["create", "--show"])
    assert "ENGINE = ReplacingMergeTree(row_version)" in shown.output
    refused = CliRunner().invoke(clickhouse, ["create"])
    assert (refused.exit_code, "TRAFFICAPP_CLICKHOUSE__URL" in refused.output) == (1, True)
    for name, value in {"URL": server.url, "USER": USER, "PASSWORD": "wrong"}.items():
        monkeypatch.setenv(f"TRAFFICAPP_CLICKHOUSE__{name}", value)
    wrong = CliRunner().invoke(clickhouse, ["create"])
    assert (wrong.exit_code, "Authentication failed" in wrong.output) == (1, True)
    monkeypatch.setenv("TRAFFICAPP_CLICKHOUSE__PASSWORD", PASSWORD)
    for _ in range(2):
        made = CliRunner().invoke(clickhouse, ["create"])
        assert (made.exit_code, "has the tables" in made.output) == (0, True)
    monkeypatch.setenv("TRAFFICAPP_CLICKHOUSE__URL", "http://127.0.0.1:9")
    away = CliRunner().invoke(clickhouse, ["create", "--wait-seconds", "0"])
    assert (away.exit_code, "cannot be used" in away.output) == (1, True)


async def test_errors_have_the_codes_of_clickhouse(client: ClickHouse) -> None:
    with pytest.raises(ClickHouseError, match="UNKNOWN_TABLE") as missing:
        await client.ask("SELECT * FROM trafficapp.nothing")
    assert (missing.value.code, missing.value.is_not_created) == (60, True)
