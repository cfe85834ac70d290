"""The role ``live`` on real servers: a shelf ends while its alert stands, and people are told once more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from agents.alarms import register
from models.alerts import encode_alert_event
from models.timestamps import epoch_us, rfc3339
from tests.stores.alerts.alert_messages import alert_event
from trafficapp.engine.app import TrafficApp
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import load_settings
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.event_log import OPEN_KEY, EventLog


async def test_a_shelf_is_found_to_begin_and_to_end(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(migrate, database_url)
    settings = load_settings(
        worker={"role": "live"}, postgres={"url": database_url}, redis={"url": redis_url}, alarms={"look_seconds": 0.1}
    )
    app, found = TrafficApp(settings, FEEDS), list[Callable[[], Coroutine[Any, Any, None]]]()
    monkeypatch.setattr(app, "task", found.append)
    register(app)
    client = connect(redis_url)
    now = rfc3339(epoch_us(datetime.now(UTC)))
    alert = alert_event(since=now, triggered_at=now, updated_at=now)
    await client.hset(OPEN_KEY, alert.id, encode_alert_event(alert))
    begin = (await EventLog(client).state()).seq

    async def told(count: int) -> list[tuple[str, bool]]:
        """Events, each with whether it is marked."""
        async with asyncio.timeout(180):
            while len(events := await EventLog(client).after(begin, 10)) < count:  # noqa: ASYNC110 - Redis tells it
                await asyncio.sleep(0.05)
        return [(one.event, "withheld" in json.loads(one.envelope)["data"]) for one in events]

    running = [asyncio.create_task(one()) for one in found]
    connection = await asyncpg.connect(database_url)
    shelf = await connection.fetchval(
        "INSERT INTO alarm_shelves (kind, rule, source_kind, source, reason, shelved_by, caller, expires_at) "
        "VALUES ('timed', 'congestion', 'camera', 'cam_1', 'works', 'ada', 'ada', now() + interval '1 hour') "
        "RETURNING id"
    )
    assert await told(1) == [("alert_updated", True)]
    await connection.execute(
        "UPDATE alarm_shelves SET ended_at = now(), ended_because = 'released' WHERE id = $1", shelf
    )
    assert await told(2) == [("alert_updated", True), ("new_alert", False)]
    assert not [one for one in running if one.done()]
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await connection.close()
    await client.aclose()
