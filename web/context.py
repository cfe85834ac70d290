"""What the views of a worker work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aiohttp import web
from redis.asyncio import Redis

from models.window_rows import WindowRow
from trafficapp.settings import Settings
from trafficapp.stores.history_queries import MetricsPage, Position
from trafficapp.telemetry import Telemetry

#: Answers whether a server behind us is up; an exception counts as no.
Probe = Callable[[], Awaitable[bool]]

#: Rows of the newest window of one camera (or of all, for None) from the worker's own tables: camera-wide
#: first, then lanes, cameras in order of their ids. Only cameras of this worker's partitions are there.
LocalCurrent = Callable[[str | None], Sequence[WindowRow]]


class HistoryReader(Protocol):
    """Finished windows as the history database keeps them."""

    async def window_rows(
        self, camera_id: str, since: datetime, until: datetime, limit: int, after: Position | None
    ) -> MetricsPage:
        """Rows with ``since <= window_start < until`` behind ``after``, in order, at most ``limit``.

        Raises:
            HistoryUnavailable: the database does not answer.
        """
        ...

    async def is_up(self) -> bool:
        """Whether the database answers."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class HistoryUnavailable(Exception):
    """The history database does not answer."""


@dataclass(slots=True)
class WebContext:
    """Everything that views need.

    Attributes:
        redis: the current state.
        history: finished windows; connects when it is first asked.
        kafka_up: whether the broker answers.
        local_current: what this worker knows itself, for when Redis is away.
    """

    settings: Settings
    telemetry: Telemetry
    redis: Redis
    history: HistoryReader
    kafka_up: Probe
    local_current: LocalCurrent | None = None


CONTEXT = web.AppKey("context", WebContext)
