"""Histories from files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.forecast.synthetic import town
from trafficapp.forecast.learning.history import HistoryError, SpeedHistory, read_history
from trafficapp.forecast.learning.windows import prepare
from trafficapp.forecast.neighbours import RoadLinks
from trafficapp.forecast.quantities import CONGESTION_SCORE
from trafficapp.settings import RoadSettings
from trafficapp.training.road_histories import from_file


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


def as_npz(path: Path, speeds: list[list[float]], unit: str = "kmh") -> Path:
    np.savez(
        path / "speeds.npz",
        **{f"speed_{unit}": np.array(speeds, np.float32) / (1 if unit == "kmh" else 1.609344)},
        road_id=np.array(["a", "b"]),
        start=np.array("2026-05-04T08:00:00"),
        step_min=5,
    )
    return path / "speeds.npz"


def as_parquet(path: Path, speeds: list[list[float]]) -> Path:
    """What is missing is left out, null, or NaN, which is all the same."""
    rows = [
        {"road_id": road, "timestamp": START + timedelta(minutes=5 * step), "speed_kmh": speed}
        for step, of_step in enumerate(speeds)
        for road, speed in zip("ab", of_step, strict=True)
        if road == "b" or not np.isnan(speed)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path / "speeds.parquet")
    return path / "speeds.parquet"


NAN = float("nan")
START = datetime(2026, 5, 4, 8, tzinfo=UTC)
#: Standing or missing; gaps; what is no speed at all.
ODD = [[30.0, 40.0], [0.0, 41.0], [-1.0, 0.0], [NAN, NAN], [900.0, 42.0], [31.0, -0.0]]


@pytest.mark.parametrize("zeros_are_missing", [True, False])
@pytest.mark.parametrize("form", ["parquet", "npz in km/h", "npz in mph"])
def test_zeros_and_gaps_are_the_same_in_every_format(tmp_path: Path, form: str, zeros_are_missing: bool) -> None:
    path = as_parquet(tmp_path, ODD) if form == "parquet" else as_npz(tmp_path, ODD, form[-3:].replace("m/h", "kmh"))
    history = read_history(path, zeros_are_missing=zeros_are_missing)
    zero = NAN if zeros_are_missing else 0.0
    right = [[30, 40], [zero, 41], [NAN, zero], [NAN, NAN], [NAN, 42], [31, zero]]
    np.testing.assert_allclose(history.speeds_kmh, right, rtol=1e-6)
    if zeros_are_missing:  # which they are unless told otherwise
        np.testing.assert_array_equal(read_history(path).speeds_kmh, history.speeds_kmh)


def test_a_zero_does_not_pull_down_the_mean_of_its_step(tmp_path: Path) -> None:
    at = datetime(2026, 5, 4, 8, tzinfo=UTC)
    rows = [{"road_id": "a", "timestamp": at, "speed_kmh": speed} for speed in (0.0, 30.0, 50.0)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "speeds.parquet")
    assert read_history(tmp_path / "speeds.parquet").speeds_kmh.tolist() == [[40.0]]
    measured = read_history(tmp_path / "speeds.parquet", zeros_are_missing=False)
    np.testing.assert_allclose(measured.speeds_kmh, [[80 / 3]])


def test_a_score_of_zero_is_an_empty_road(tmp_path: Path) -> None:
    rows = [{"entity": "cam", "timestamp": datetime(2026, 5, 4, 8, tzinfo=UTC), "congestion_score": 0.0}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet")
    assert read_history(tmp_path / "scores.parquet", quantity=CONGESTION_SCORE).speeds_kmh.tolist() == [[0.0]]


@pytest.mark.parametrize("form", ["parquet", "npz"])
def test_roads_that_were_hardly_measured_are_left_out_of_files_too(tmp_path: Path, form: str) -> None:
    speeds = [[30.0, NAN] for _ in range(30)]
    speeds[4][1] = 50.0  # 3 % of the steps
    path = as_parquet(tmp_path, speeds) if form == "parquet" else as_npz(tmp_path, speeds)
    links = pa.table({"from_road": ["a"], "to_road": ["b"]})
    pq.write_table(links, tmp_path / "links.parquet")
    found = from_file(path, "UTC", 300, str(tmp_path / "links.parquet"), RoadSettings())
    assert (found.history.road_ids, found.left_out, found.history.speeds_kmh.shape) == (("a",), 1, (30, 1))
    assert (found.history.links.road_count, len(found.history.links.weight)) == (1, 0)
    with pytest.raises(HistoryError, match="hardly any"):
        from_file(as_npz(tmp_path, [[0.0, 0.0]] * 30), "UTC", 300, None, RoadSettings())


def test_links_between_the_roads_that_stay_are_kept() -> None:
    links = RoadLinks.from_matrix(np.array([[0, 1, 0], [0, 0, 2], [3, 0, 0]], np.float32))
    assert links.among(np.array([True, False, True])).matrix().tolist() == [[0, 0], [3, 0]]


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize(
    "time", ["2026-05-04T06:00:00Z", "2026-05-04T08:00:00+02:00", "2026-05-04 08:00:00", "1777874400", 1_777_874_400,
             1_777_874_400_000, 1_777_874_400.5],
)  # fmt: skip
def test_times_and_ids_of_any_form(tmp_path: Path, time: str | float, coded: bool) -> None:
    ids, times = pa.array([7, 9, None]), pa.array([time, time, time])
    if coded:
        ids, times = ids.dictionary_encode(), times.dictionary_encode()
    pq.write_table(pa.table({"road_id": ids, "timestamp": times, "speed_kmh": [30, 40, 50]}), tmp_path / "s.parquet")
    history = read_history(tmp_path / "s.parquet", zone="Europe/Rome")
    assert (history.road_ids, history.start) == (("7", "9"), datetime(2026, 5, 4, 6, tzinfo=UTC))
    assert history.speeds_kmh.tolist() == [[30.0, 40.0]]


def test_a_text_that_is_no_time_is_refused_by_name(tmp_path: Path) -> None:
    table = pa.table({"road_id": ["a"], "timestamp": ["yesterday"], "speed_kmh": [30.0]})
    pq.write_table(table, tmp_path / "s.parquet")
    with pytest.raises(HistoryError, match=r"s\.parquet: timestamp 'yesterday' is no time"):
        read_history(tmp_path / "s.parquet")
