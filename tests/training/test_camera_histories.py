"""Histories of cameras from the windows in Postgres and from files."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.timestamps import epoch_us
from tests.web.stored import keep_windows, recent_window
from trafficapp.forecast.history import HistoryError
from trafficapp.forecast.quantities import CONGESTION_SCORE
from trafficapp.settings import RoadSettings, Settings, load_settings
from trafficapp.stores.migrations import migrate
from trafficapp.training.camera_histories import from_file, from_postgres

_DAY_WINDOWS = 17_280


@pytest.fixture
async def settings(database_url: str) -> Settings:
    await asyncio.to_thread(migrate, database_url)
    return load_settings(postgres={"url": database_url})


async def test_windows_become_means_of_minutes_with_gaps(settings: Settings, database_url: str) -> None:
    with pytest.raises(HistoryError, match="no camera had a window"):
        await from_postgres(settings, 14)
    rows = [
        recent_window("cam_01", 2 * _DAY_WINDOWS, congestion_score=0.25),
        recent_window("cam_01", 2 * _DAY_WINDOWS, lane_id=0, congestion_score=0.5),
        recent_window("cam_03", 12, congestion_score=0.7),
        recent_window("cam_03", 20, congestion_score=None, congestion_level="UNKNOWN"),
        recent_window("cam_03", 0, congestion_score=0.1),
        recent_window("cam_01", 60 * _DAY_WINDOWS, congestion_score=0.9),  # longer ago than is asked for
    ]
    await keep_windows(settings, *rows)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE cameras SET road_segment = CASE camera_id WHEN 'cam_01' THEN 'a204a[0]' ELSE 'a1' END"
    )
    await connection.close()
    history = await from_postgres(settings, 14)
    assert (history.road_ids, history.quantity) == (("cam_01", "cam_01/0", "cam_03"), CONGESTION_SCORE)
    assert abs(history.end - datetime.now(UTC)) < timedelta(minutes=2)
    minutes = {
        (history.road_ids[column], int(history.times[step])): float(history.speeds_kmh[step, column])
        for step, column in np.argwhere(np.isfinite(history.speeds_kmh)).tolist()
    }
    places = (("cam_01", rows[0]), ("cam_01/0", rows[1]), ("cam_03", rows[2]))
    assert minutes == {
        (entity, epoch_us(row.window_start) // 60_000_000 * 60): pytest.approx(row.congestion_score)
        for entity, row in places
    }
    # From the road a1 the road of cam_01 is the next one.
    assert history.links.matrix()[2, 0] == 1
    assert history.links.matrix()[1].tolist() == [1, 0, 0]


def test_files_are_linked_over_the_shipped_cameras_and_graph(tmp_path: Path) -> None:
    at = datetime(2026, 5, 4, 8, tzinfo=UTC)
    table = {"entity": ["cam_01", "cam_02", "cam_02/1"], "timestamp": [at] * 3, "congestion_score": [0.1, 0.2, 0.3]}
    pq.write_table(pa.table(table), tmp_path / "scores.parquet")
    history = from_file(tmp_path / "scores.parquet", RoadSettings())
    assert history.links.matrix()[2].tolist() == [0, 1, 0]
    assert history.zone == "Europe/Rome"
    (tmp_path / "cameras.csv").write_text("nothing of use")
    with pytest.raises(HistoryError, match=r"cameras\.csv"):
        from_file(tmp_path / "scores.parquet", RoadSettings(), tmp_path / "cameras.csv")
