from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.stores.postgres.proxy import Proxy
from trafficapp.settings import load_settings
from trafficapp.stores.outage import Abandoned
from trafficapp.stores.postgres.connection import (
    address_of,
    create_pool,
    is_transient,
    ping,
    wait_until_up,
)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://user:p%40ss@db.example:5433/traffic", "db.example:5433"),
        ("postgresql://db.example/traffic", "db.example"),
        ("postgresql://u:p@a:1,b:2/traffic", "a:1,b:2"),
        ("postgresql:///traffic?host=/run/pg", "/run/pg"),
        ("postgresql:///traffic", "the local socket"),
    ],
)
def test_the_address_has_no_password(url: str, address: str) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (asyncpg.CannotConnectNowError(), True),
        (asyncpg.AdminShutdownError(), True),
        (asyncpg.DiskFullError(), True),
        (asyncpg.DeadlockDetectedError(), True),
        (asyncpg.UndefinedTableError(), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.InvalidPasswordError(), False),
        (asyncpg.InvalidCatalogNameError(), False),
        (asyncpg.NumericValueOutOfRangeError(), False),
        (asyncpg.CheckViolationError(), False),
        (asyncpg.ClientConfigurationError("invalid DSN"), False),
        (ValueError(), False),
        (KeyError(), False),
    ],
)
def test_what_passes_by_itself(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient


async def test_waiting_names_the_server_once_and_ends_when_it_is_up(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "trafficapp.stores")
    async with Proxy(database_url).listening() as proxy:
        proxy.refusing = True
        waiting = asyncio.create_task(wait_until_up(proxy.url))
        await asyncio.sleep(1)
        assert not waiting.done()
        proxy.refusing = False
        await asyncio.wait_for(waiting, 3)
        first, last = [record.getMessage() for record in caplog.records]
        assert first.startswith(f"Postgres at {address_of(proxy.url)} cannot be used (")
        assert last.startswith(f"Postgres at {address_of(proxy.url)} is back after")


async def test_waiting_can_be_given_up() -> None:
    with pytest.raises(Abandoned, match=r"127\.0\.0\.1:1"):
        await wait_until_up("postgresql://127.0.0.1:1/x", lambda: False)


async def test_a_refusal_is_not_waited_for(database_url: str) -> None:
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncio.wait_for(wait_until_up(database_url.rpartition("/")[0] + "/no_such_database"), 5)


async def test_ping_says_no_when_nothing_listens() -> None:
    settings = load_settings(postgres={"url": "postgresql://127.0.0.1:1/x"})
    async with create_pool(settings.postgres) as pool:
        assert await ping(pool) is False
