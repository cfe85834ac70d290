"""Postgres as the views ask it; it may be away when the worker starts and at any time later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from trafficapp.settings import PostgresSettings
from trafficapp.stores.postgres.connection import create_pool, is_transient, ping
from web.serving.problems import unavailable

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

_Result = TypeVar("_Result")

ANSWER_WITHIN_SECONDS = 20.0


class Database:
    """Connects when it is first asked.

    Args:
        settings: where it is.
        connections: at most; as the settings say, unless given.
        on_one_core: whether a question may take one core of the server at most.
        is_behind: whether the server answers others first.
    """

    def __init__(
        self,
        settings: PostgresSettings,
        connections: int | None = None,
        *,
        on_one_core: bool = False,
        is_behind: bool = False,
    ) -> None:
        self._on_one_core, self._is_behind = on_one_core, is_behind
        self._settings = settings if connections is None else settings.model_copy(update={"pool_size": connections})
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()

    async def ask(
        self, question: Callable[[Pool], Awaitable[_Result]], within_seconds: float = ANSWER_WITHIN_SECONDS
    ) -> _Result:
        """Answer a question that is put to the pool of connections.

        Raises:
            ProblemError: 503, the database does not answer, or not in time.
        """
        try:
            async with asyncio.timeout(within_seconds):
                return await question(await self._open())
        except TimeoutError:
            raise unavailable("Postgres, which holds the history,") from None
        except Exception as error:
            if is_transient(error):
                raise unavailable("Postgres, which holds the history,") from error
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
                pool = create_pool(self._settings, on_one_core=self._on_one_core, is_behind=self._is_behind)
                await pool
                self._pool = pool
            return self._pool
