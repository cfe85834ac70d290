"""A simulated past in files and in a real database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from trafficapp.cli import main
from trafficapp.forecast.learning.history import read_history
from trafficapp.stores.migrations import migrate

END = "2026-11-17T08:20:00+00:00"
SUMS = "windows, vehicles, scored, score_e4, speeds, speed_e4, severe_us, high_us, queued, queue"


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["simulate", "--to", END, *arguments])


def test_files_can_be_trained_from(tmp_path: Path) -> None:
    roads, links, cameras = (tmp_path / f"{name}.parquet" for name in ("roads", "links", "cameras"))
    result = simulate("--history", "2h", "--out", str(roads), "--links-out", str(links), "--cameras-out", str(cameras))
    assert result.exit_code == 0, result.output
    history = read_history(roads, zone="Europe/Rome", links=links)
    assert history.speeds_kmh.shape == (24, 243)
    assert np.isfinite(history.speeds_kmh).all()
    assert len(history.links.weight) > 300
    assert history.end.isoformat() == END
    scores = pq.read_table(cameras).to_pydict()
    assert {name for name in scores["entity"] if "/" not in name} == {f"cam_{number:02}" for number in range(1, 41)}
    assert "cam_01/0" in scores["entity"]
    assert 0 <= min(scores["congestion_score"]) < max(scores["congestion_score"]) <= 1


@pytest.fixture(scope="module")
def filled(database_url: str) -> tuple[str, Result]:
    migrate(database_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", database_url)
        return database_url, simulate("--history", "3h", "--windows", "1h")


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    return asyncio.run(rows(url, query))


def test_a_database_is_filled_and_labelled(filled: tuple[str, Result]) -> None:
    url, result = filled
    assert result.exit_code == 0, result.output
    counted = "SELECT count(*), count(DISTINCT road_id), max(observed_at)::text FROM road_observations"
    assert ask(url, counted) == [(36 * 243, 243, "2026-11-17 08:15:00+00")]
    assert ask(url, "SELECT count(*) FROM roads") == [(243,)]
    assert ask(url, "SELECT seed, to_time - from_time = interval '3 hours' FROM simulated_spans") == [(1, True)]
    assert ask(url, "SELECT sum(observations) FROM road_hours") == [(36 * 243,)]
    (windows,) = ask(
        url, "SELECT min(window_start), count(DISTINCT camera_id), count(DISTINCT lane_id) FROM traffic_metrics"
    )
    assert str(windows[0]) == "2026-11-17 07:00:00+00:00"
    assert windows[1:] == (40, 4)


def test_the_sums_are_those_of_the_windows(filled: tuple[str, Result]) -> None:
    url, _ = filled
    sums = ", ".join(f"sum({name})" for name in SUMS.split(", "))
    whole = f"SELECT {sums} FROM "  # noqa: S608
    assert ask(url, whole + "metrics_1m") == ask(url, whole + "metrics_1h")
    last = f"SELECT camera_id, {SUMS} FROM metrics_1h WHERE bucket_start >= '2026-11-17T07:00Z' ORDER BY 1, 2, 3"  # noqa: S608
    before = ask(url, last)
    assert len(before) == 80
    ask(url, "SELECT recompute_rollups('2026-11-17T07:00Z', '2026-11-17T09:00Z')")
    assert ask(url, last) == before
    # hours with windows and hours with sums alone are of the same traffic
    ((quiet, busy),) = ask(
        url,
        "SELECT avg(vehicles::float8 / windows) FILTER (WHERE bucket_start < '2026-11-17T07:00Z'),"
        "       avg(vehicles::float8 / windows) FILTER (WHERE bucket_start >= '2026-11-17T07:00Z') FROM metrics_1h",
    )
    assert isinstance(quiet, float)
    assert isinstance(busy, float)
    assert 0.3 < quiet / busy < 1.5


def test_a_span_with_rows_is_refused_unless_told(filled: tuple[str, Result], monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = filled
    monkeypatch.setenv("DATABASE_URL", url)
    refused = simulate("--history", "1h")
    assert refused.exit_code == 1
    assert "the database has 2,916 rows of road_observations" in refused.output
    assert "--add" in refused.output
    query = f"SELECT {SUMS} FROM metrics_1h ORDER BY bucket_start, camera_id"  # noqa: S608
    before = ask(url, query)
    added = simulate("--history", "1h", "--add")
    assert added.exit_code == 0, added.output
    assert ask(url, query) == before


def test_a_rebuild_keeps_sums_that_never_had_windows(
    filled: tuple[str, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = filled
    monkeypatch.setenv("DATABASE_URL", url)
    query = f"SELECT bucket_start, {SUMS} FROM metrics_1h ORDER BY bucket_start, camera_id"  # noqa: S608
    before = ask(url, query)
    rebuild = ["rollups", "rebuild", "--from", "2026-11-17T05:00Z", "--to", "2026-11-17T09:00Z"]
    told = CliRunner().invoke(main, rebuild)
    assert told.exit_code == 0, told.output
    assert "2 hours were simulated without windows and keep their sums" in told.output
    assert ask(url, query) == before
    assert CliRunner().invoke(main, [*rebuild, "--force"]).exit_code == 0
    assert ask(url, query) == [row for row in before if str(row[0]) >= "2026-11-17 07:00"]


def test_wrong_options_are_told() -> None:
    assert "--to, --add, --out and --cameras-out go with --history" in simulate().output
    wrong = CliRunner().invoke(main, ["simulate", "--incident", "b63[1]"])
    assert wrong.exit_code == 2
    assert "is not of the form EDGE@+120s/20min" in wrong.output
    assert "is no duration" in CliRunner().invoke(main, ["simulate", "--history", "14"]).output
