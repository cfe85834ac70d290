from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import asyncpg
import pytest

from tests.web.conftest import Worker
from trafficapp.stores.migrations import migrate

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

#: Method, path, body and the status it must be answered with; gives the body of the answer.
Call: TypeAlias = Callable[..., Awaitable[Any]]

TABLES = "cameras, monitoring_zones, admin_thresholds, audit_logs, pending_publications"


@pytest.fixture(scope="module")
async def migrated(database_url: str) -> str:
    await asyncio.to_thread(migrate, database_url)
    return database_url


@pytest.fixture
async def tables(migrated: str) -> AsyncIterator[Connection]:
    """A connection to emptied tables."""
    connection = await asyncpg.connect(migrated)
    await connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")
    yield connection
    await connection.close()


@pytest.fixture
async def call(tables: Connection, history_worker: Worker) -> Call:
    """Call a worker behind which everything is there, as an administrator."""
    return caller(history_worker)


def caller(worker: Worker) -> Call:
    async def call(method: str, path: str, body: object = None, status: int = 200, **headers: str) -> Any:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        response = await worker.client.request(method, path, json=body, headers=named)
        text = await response.text()
        assert response.status == status, text
        if status >= 400:
            assert response.content_type == "application/problem+json"
        return await response.json(content_type=None) if text else None

    return call
