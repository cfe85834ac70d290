"""Says at the start of a worker which of the stores it can do without for now is not there yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import asyncpg
from redis.exceptions import RedisError

from trafficapp.settings import Settings
from trafficapp.stores.outage import Abandoned, Outage
from trafficapp.stores.postgres.connection import wait_until_up
from trafficapp.stores.redis.connection import connect

logger = logging.getLogger(__name__)


async def tell_missing_stores(settings: Settings, may_go_on: Callable[[], bool]) -> None:
    """Wait for Postgres and Redis side by side, with one line when one is away and one when it has come.

    The windows need neither; until they come, the parts of the API that read them answer 503.
    """
    await asyncio.gather(_postgres(settings, may_go_on), _redis(settings, may_go_on))


async def _postgres(settings: Settings, may_go_on: Callable[[], bool]) -> None:
    try:
        await wait_until_up(settings.postgres.url.get_secret_value(), may_go_on)
    except Abandoned:
        return
    except asyncpg.PostgresError as error:
        logger.error("Postgres refuses this worker, so there is no history here: %s", error)


async def _redis(settings: Settings, may_go_on: Callable[[], bool]) -> None:
    url = settings.redis.url.get_secret_value()
    place = urlsplit(url)
    outage, client = Outage(f"Redis at {place.hostname}:{place.port or 6379}"), connect(url)
    try:
        while may_go_on():
            try:
                await client.ping()
            except (RedisError, OSError) as error:
                outage.met(error)
                await outage.pause()
                continue
            outage.over()
            return
    finally:
        await client.aclose()
