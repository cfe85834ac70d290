"""Histories of cameras from the windows in Postgres and from files."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.timestamps import epoch_us
from tests.web.stored import keep_windows, recent_window
from trafficapp.forecast.learning.history import HistoryError
from trafficapp.forecast.quantities import CONGESTION_SCORE
from trafficapp.settings import RoadSettings, Settings, load_settings
from trafficapp.stores.migrations import migrate
from trafficapp.stores.roads.history import StoredHistory
from trafficapp.training.camera_histories import from_file, from_postgres


@pytest.fixture
async def settings(database_url: str) -> Settings:
    await asyncio.to_thread(migrate, database_url)
    return load_settings(postgres={"url": database_url})


def unwatched(done: int, days: int) -> None:
    """Nobody looks."""


async def read(settings: Settings) -> StoredHistory:
    """In a thread, as it makes an event loop of its own."""
    return await asyncio.to_thread(from_postgres, settings, None, None, unwatched)


async def test_windows_become_means_of_minutes_with_gaps(settings: Settings, database_url: str) -> None:
    with pytest.raises(HistoryError, match="no windows of cameras"):
        await read(settings)
    often = range(1, 577)  # every tenth minute of four days
    rows = [recent_window("cam_01", 120 * ago, congestion_score=ago / 1000) for ago in often]
    rows += [recent_window("cam_01", 120 * ago, lane_id=0, congestion_score=0.5) for ago in often]
    rows += [recent_window("cam_03", 120 * ago, congestion_score=0.25) for ago in often]
    rows += [
        recent_window("cam_09", 500),  # too rarely to learn from
        recent_window("cam_01", 120, lane_id=1, congestion_score=None, congestion_level="UNKNOWN"),
        recent_window("cam_01", 60 * 17_280, congestion_score=0.9),  # longer ago than is asked for
    ]
    await keep_windows(settings, *rows)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE cameras SET road_segment = CASE camera_id WHEN 'cam_01' THEN 'a204a[0]' ELSE 'a1' END"
    )
    await connection.execute(
        "INSERT INTO simulated_spans (from_time, to_time, seed, contents) "
        "VALUES (now() - interval '9 days', now(), 1, 'cameras')"
    )
    await connection.close()
    found = await read(settings)
    assert (found.source, found.left_out) == ("Postgres, traffic_metrics, all of it simulated", 1)
    history = found.history
    assert (history.road_ids, history.quantity) == (("cam_01", "cam_01/0", "cam_03"), CONGESTION_SCORE)
    scores = {
        int(history.times[step]): float(history.speeds_kmh[step, 0])
        for step in np.flatnonzero(np.isfinite(history.speeds_kmh[:, 0])).tolist()
    }
    # The last minute may not be over.
    expected = {epoch_us(row.window_start) // 60_000_000 * 60: row.congestion_score for row in rows[1:576]}
    assert scores == pytest.approx(expected)
    assert (np.isfinite(history.speeds_kmh[:, 1]) == np.isfinite(history.speeds_kmh[:, 0])).all()
    # From the road a1 the road of cam_01 is the next one.
    assert history.links.matrix()[2, 0] == 1
    assert history.links.matrix()[1].tolist() == [1, 0, 0]
    # Sums alone, as simulated history has of most of its days, are nothing to learn from.
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM traffic_metrics WHERE window_start < now() - interval '400 minutes'")
    await connection.close()
    with pytest.raises(HistoryError, match=r"scores of 6 hours of cameras, 72 are needed; .* --windows 14d"):
        await read(settings)


def test_files_are_linked_over_the_shipped_cameras_and_graph(tmp_path: Path) -> None:
    at = datetime(2026, 5, 4, 8, tzinfo=UTC)
    table = {"entity": ["cam_01", "cam_02", "cam_02/1"], "timestamp": [at] * 3, "congestion_score": [0.1, 0.2, 0.3]}
    pq.write_table(pa.table(table), tmp_path / "scores.parquet")
    history = from_file(tmp_path / "scores.parquet", RoadSettings()).history
    assert history.links.matrix()[2].tolist() == [0, 1, 0]
    assert history.zone == "Europe/Rome"
    (tmp_path / "cameras.csv").write_text("nothing of use")
    with pytest.raises(HistoryError, match=r"cameras\.csv"):
        from_file(tmp_path / "scores.parquet", RoadSettings(), tmp_path / "cameras.csv")
