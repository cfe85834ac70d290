"""An erased vehicle is nowhere in ClickHouse, on its real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.stores.clickhouse.clickhouse_server import PASSWORD, USER, ClickHouseServer, needs_chdb
from trafficapp.feeds.declared import FEEDS
from trafficapp.privacy.places import VEHICLE_COLUMNS
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers import ports
from trafficapp.stores.administration.audit_queries import Actor
from trafficapp.stores.clickhouse.client import ClickHouse
from trafficapp.stores.clickhouse.tables import kept_feeds, statements
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.privacy import everywhere

pytestmark = needs_chdb


VALUES: dict[str, Callable[[int], str]] = {
    "text": lambda number: f"'{number}'",
    "timestamptz": lambda number: f"toDateTime64({number}, 6)",
    "uuid": lambda _: "generateUUIDv4()",
    "integer": str,
    "bigint": str,
}
#: What would end a text or a statement, were it taken as it is.
GONE, OTHER = "BO' \\ 123 \\' OR 1 --", "MO 77 ABCDE"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"), ports.choose(18223))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def settings(server: ClickHouseServer, database_url: str, redis_url: str, kafka_bootstrap: str) -> Settings:
    migrate(database_url)
    return load_settings(
        postgres={"url": database_url},
        redis={"url": redis_url},
        kafka={"bootstrap_servers": kafka_bootstrap},
        clickhouse={"url": server.url, "user": USER, "password": PASSWORD},
        privacy={"hash_key": "0123456789abcdef0123456789abcdef"},
    )


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[ClickHouse]:
    client = ClickHouse(settings.clickhouse)
    yield client
    await client.close()


async def test_an_erased_vehicle_is_nowhere(settings: Settings, client: ClickHouse) -> None:
    names = everywhere.names_of(GONE, settings)
    hashed = names.all[1]
    async with create_pool(settings.postgres) as pool:
        # where nothing was made yet there is nothing to find
        found = await everywhere.find(pool, FEEDS, settings, names)
        assert found.counts["ClickHouse"] == {}
        for statement in statements(kept_feeds(FEEDS, settings), client.database):
            await client.do(statement)
        rows = await client.ask(f"SELECT name FROM system.tables WHERE database = '{client.database}'")  # noqa: S608
        tables = sorted({row["name"] for row in rows} & VEHICLE_COLUMNS.keys())
        assert {"vehicle_positions", "transit_positions", "city_alerts"} <= set(tables)
        histories = {feed.history.table: feed.history for feed in FEEDS if feed.history is not None}
        for table in tables:
            for number, name in enumerate((GONE, OTHER, hashed)):
                # rows with one key would be one
                row = {column: VALUES[histories[table].columns[column].type](number) for column in histories[table].key}
                row |= dict.fromkeys(VEHICLE_COLUMNS[table], everywhere._literal(name))
                into = f"{client.database}.{table} ({', '.join(row)})"
                await client.do(f"INSERT INTO {into} VALUES ({', '.join(row.values())})")  # noqa: S608

        # also of feeds that the settings do not keep any more
        fewer = settings.model_copy(
            update={"clickhouse": settings.clickhouse.model_copy(update={"feeds": ("vehicle_data",)})}
        )
        found = await everywhere.find(pool, FEEDS, fewer, names)
        assert found.counts["ClickHouse"] == dict.fromkeys(tables, 2)
        erased = await everywhere.erase(
            pool, FEEDS, fewer, names, Actor("tester", "command line"), again_after_seconds=0
        )
        assert erased.counts["ClickHouse"] == found.counts["ClickHouse"]
        assert (await everywhere.find(pool, FEEDS, settings, names)).counts["ClickHouse"] == {}
    for table in tables:
        left = await client.ask(f"SELECT * FROM {client.database}.{table}")  # noqa: S608
        assert [OTHER in row.values() for row in left] == [True], table
