"""What the views of a worker work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from redis.asyncio import Redis

from models.cameras.window_rows import WindowRow
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings
from trafficapp.stores.postgres.publications import Publisher
from trafficapp.stores.redis.connection import connect
from web.costly.process import CostlyProcess
from web.guards.costs import Costs
from web.serving.database import Database
from web.serving.registry import Registry

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
        reserved: the same with connections that only administration, health and sockets use.
        costly: the same for costly questions and what is sent piece by piece.
        costs: whose turn it is.
        costly_process: answers costly questions.
        kafka_up: whether the broker answers.
        local_current: what this worker knows itself, for when Redis is away.
        outbox: sends to Kafka; one of its own unless given.
        is_ready: whether the process has taken over its partitions.
        feeds: those that are switched on.
        publisher: tells what writes recorded.
        registry: cameras and zones.
    """

    settings: Settings
    telemetry: Telemetry
    redis: Redis
    database: Database
    kafka_up: Probe
    local_current: LocalCurrent | None = None
    outbox: Outbox | None = None
    is_ready: Callable[[], bool] = lambda: True
    feeds: Sequence[Feed[Any]] = FEEDS
    reserved: Database = field(init=False)
    costly: Database = field(init=False)
    costs: Costs = field(init=False)
    costly_process: CostlyProcess = field(init=False)
    publisher: Publisher = field(init=False)
    registry: Registry = field(init=False)
    _own_outbox: Outbox | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.outbox is None:
            self.outbox = self._own_outbox = Outbox(self.settings)
        self.publisher = Publisher(self.outbox, self.redis, self.settings.events.replay_events)
        url = self.settings.redis.url.get_secret_value()
        postgres, limits = self.settings.postgres, self.settings.limits
        self.reserved = Database(postgres, postgres.reserved_pool_size)
        # one more, so that what is sent piece by piece goes on beside them
        self.costly = Database(postgres, limits.costly_at_once + 1, on_one_core=True)
        self.costs = Costs(limits)
        self.costly_process = CostlyProcess(self.settings)
        self.registry = Registry(self.reserved, lambda: connect(url, retries=0))

    async def close(self) -> None:
        """Close the clients; closing what is closed is no fault."""
        await self.costly_process.stop()
        await self.redis.aclose()
        for database in (self.database, self.reserved, self.costly):
            await database.close()
        if self._own_outbox is not None:
            await self._own_outbox.stop()


CONTEXT = web.AppKey("context", WebContext)
