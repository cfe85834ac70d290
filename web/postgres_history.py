"""Finished windows from Postgres, which may be away when the worker starts and at any time later."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from trafficapp.settings import PostgresSettings
from trafficapp.stores.history_queries import MetricsPage, Position, metrics_history
from trafficapp.stores.postgres import create_pool, is_transient, ping
from web.context import HistoryUnavailable

if TYPE_CHECKING:
    from trafficapp.stores.postgres import Pool


class PostgresHistory:
    """Connects when it is first asked."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()

    async def window_rows(
        self, camera_id: str, since: datetime, until: datetime, limit: int, after: Position | None
    ) -> MetricsPage:
        """A page of a camera's rows.

        Raises:
            HistoryUnavailable: the database does not answer.
        """
        try:
            return await metrics_history(await self._open(), camera_id, since, until, limit, after)
        except Exception as error:
            if is_transient(error):
                raise HistoryUnavailable(str(error)) from error
            raise

    async def is_up(self) -> bool:
        """Whether the database answers."""
        return await ping(await self._open())

    async def close(self) -> None:
        """Give the connections back; running queries are cut."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def _open(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                pool = create_pool(self._settings)
                await pool
                self._pool = pool
            return self._pool
