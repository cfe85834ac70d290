"""What the views of a worker work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from redis.asyncio import Redis

from models.window_rows import WindowRow
from trafficapp.settings import Settings
from trafficapp.telemetry import Telemetry
from web.database import Database

#: Answers whether a server behind us is up; an exception counts as no.
Probe = Callable[[], Awaitable[bool]]

#: Rows of the newest window of one camera (or of all, for None) from the worker's own tables: camera-wide
#: first, then lanes, cameras in order of their ids. Only cameras of this worker's partitions are there.
LocalCurrent = Callable[[str | None], Sequence[WindowRow]]


@dataclass(slots=True)
class WebContext:
    """Everything that views need.

    Attributes:
        redis: the current state.
        database: history and what administrators set; connects when it is first asked.
        kafka_up: whether the broker answers.
        local_current: what this worker knows itself, for when Redis is away.
    """

    settings: Settings
    telemetry: Telemetry
    redis: Redis
    database: Database
    kafka_up: Probe
    local_current: LocalCurrent | None = None


CONTEXT = web.AppKey("context", WebContext)
