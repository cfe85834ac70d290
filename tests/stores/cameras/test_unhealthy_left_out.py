"""Means, and what is learnt from, leave out who was not to be believed then."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.web.stored import keep_windows, recent_window
from trafficapp.settings import Settings
from trafficapp.stores.cameras.dashboard_queries import city_means
from trafficapp.stores.cameras.scores import camera_scores
from trafficapp.stores.postgres.connection import create_pool

_STEP = """
    INSERT INTO city_alerts (alert_id, revision, alert_type, state, severity, subject, title, message, told_at,
                             opened_at, resolved_at)
    VALUES ($1, $2, $3, $4, 'WARNING', $5, '', '', now(), $6, $7)
"""


async def unhealthy(
    database: asyncpg.Connection, source: str, since: datetime, until: datetime | None, rule: str = "unhealthy_source"
) -> None:
    alert_id = uuid.uuid4()
    await database.execute(_STEP, alert_id, 0, rule, "opened", source, since, None)
    if until is not None:
        await database.execute(_STEP, alert_id, 1, rule, "resolved", source, since, until)


async def test_means_of_five_minutes_and_scores_that_are_learnt(
    settings: Settings, database: asyncpg.Connection
) -> None:
    await database.execute("TRUNCATE traffic_metrics, metrics_1m, metrics_1h, city_alerts")
    rows = [
        recent_window(camera, windows, avg_speed_kmh=speed, congestion_score=speed / 100)
        for windows in range(12, 72)
        for camera, speed in (("good", 40.0), ("wrong", 90.0), ("was wrong", 50.0))
    ]
    await keep_windows(settings, *sorted(rows, key=lambda row: row.window_start))
    now = datetime.now(UTC)
    since = now - timedelta(minutes=5)
    learnt_since = (now - timedelta(minutes=10)).replace(second=0, microsecond=0)
    async with create_pool(settings.postgres) as pool:
        assert (await city_means(pool, since, now))[0] == pytest.approx(60.0)
        await unhealthy(database, "wrong", now - timedelta(minutes=2), None)
        await unhealthy(database, "was wrong", now - timedelta(hours=2), now - timedelta(hours=1))
        # another rule says nothing of figures, nor does a road of that name
        await unhealthy(database, "good", since, None, rule="regional_outage")
        await unhealthy(database, "road:good", since, None)
        assert (await city_means(pool, since, now))[0] == pytest.approx(45.0)

        learnt = await camera_scores(pool, learnt_since, now, with_unhealthy=False)
        shown = await camera_scores(pool, learnt_since, now)
    minutes = {one.entity: len(one.minutes) for one in learnt}
    assert {one.entity for one in shown} == {one.entity for one in learnt}
    wrong = next(name for name in minutes if name.startswith("wrong"))
    others = {count for name, count in minutes.items() if name != wrong}
    # of the camera that was found wrong two minutes ago the minutes before stay
    assert 0 < minutes[wrong] < min(others)
    assert {len(one.minutes) for one in shown} == others
