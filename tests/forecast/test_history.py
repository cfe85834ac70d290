"""Histories from files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.forecast.synthetic import town
from trafficapp.forecast.history import HistoryError, SpeedHistory, read_history
from trafficapp.forecast.windows import prepare


def test_parquet_rows_become_means_of_steps(tmp_path: Path) -> None:
    at = datetime(2026, 5, 4, 8, 0, 10, tzinfo=UTC).timestamp()
    rows = [("b", 0, 40.0), ("a", 0, 30.0), ("a", 100, 50.0), ("a", 600, 20.0), ("b", 600, 900.0), ("b", 300, None)]
    moments = [datetime.fromtimestamp(at + after, UTC) for _, after, _ in rows]
    speeds = pa.table({"road_id": [row[0] for row in rows], "timestamp": moments, "speed_kmh": [r[2] for r in rows]})
    pq.write_table(speeds, tmp_path / "speeds.parquet")
    links = pa.table({"from_road": ["a", "a"], "to_road": ["b", "elsewhere"]})
    pq.write_table(links, tmp_path / "links.parquet")
    history = read_history(tmp_path / "speeds.parquet", zone="Europe/Rome", links=tmp_path / "links.parquet")
    assert history.road_ids == ("a", "b")
    assert history.start == datetime(2026, 5, 4, 8, tzinfo=UTC)
    np.testing.assert_array_equal(history.speeds_kmh, [[40, 40], [np.nan, np.nan], [20, np.nan]])
    assert history.links.matrix().tolist() == [[0, 1], [0, 0]]


def test_npz_in_miles_with_local_start(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "loops.npz",
        speed_mph=np.array([[60, 0]], np.float32),
        sensor_id=np.array([7, 9]),
        start=np.array("2012-03-01T00:00:00"),
        step_min=5,
        adj_dcrnn=np.array([[1, 0.5], [0, 1]], np.float32),
    )
    history = read_history(tmp_path / "loops.npz", zone="America/Los_Angeles")
    assert history.start == datetime(2012, 3, 1, 8, tzinfo=UTC)
    np.testing.assert_allclose(history.speeds_kmh, [[96.56064, np.nan]])
    assert history.road_ids == ("7", "9")


def test_what_is_no_history_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(HistoryError, match=r"broken\.parquet"):
        read_history(tmp_path / "broken.parquet")
    short = town(1)
    few = SpeedHistory(short.road_ids, short.start, 900, short.speeds_kmh[:30], short.zone, short.links)
    with pytest.raises(HistoryError, match="too few"):
        prepare(few, (15.0,))
    with pytest.raises(HistoryError, match="20 minutes are not"):
        prepare(short, (20.0,))
    nothing = SpeedHistory(short.road_ids, short.start, 900, short.speeds_kmh * np.nan, short.zone, short.links)
    with pytest.raises(HistoryError, match="hardly any"):
        prepare(nothing, (15.0,))
