"""`trafficapp train --from postgres`: the whole way from stored observations to a model that serves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from tests.training.stored_roads import START, speeds_of, store
from trafficapp.cli import main
from trafficapp.forecast.artifacts.artifact import describe
from trafficapp.forecast.artifacts.registry import ModelRegistry
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.stores.migrations import migrate

DAYS = 4


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TRAFFICAPP_FORECAST__MODELS_DIR", str(tmp_path / "models"))

    def train(*options: str) -> Result:
        until = (START + timedelta(days=DAYS)).isoformat()
        return CliRunner().invoke(main, ["train", "--from", "postgres", "--until", until, *options])

    return train


def test_from_observations_to_a_model_that_serves(run: object, database_url: str, tmp_path: Path) -> None:
    assert callable(run)
    migrate(database_url)
    early = run()
    assert early.exit_code == 1
    assert "no road observations" in early.output
    graph = city_graph(RoadSettings())
    roads = [str(graph.edge_ids[edge]) for edge in (graph.turn_from[0], graph.turn_to[0], 7, 8)]
    store(database_url, roads, speeds_of(len(roads), DAYS))
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO simulated_spans (from_time, to_time, seed, contents) VALUES (%s, %s, 1, 'roads')",
            (START, START + timedelta(days=DAYS)),
        )
    ran = run("--epochs", "12", "--promote")
    assert ran.exit_code == 0, ran.output
    assert "all of it simulated" in ran.output
    for word in (
        "MAE",
        "RMSE",
        "MAPE",
        "R²",
        "last_value",
        "time_of_day",
        "linear_ar",
        "smoothed_ar",
        "model",
        "serves",
    ):
        assert word in ran.output
    registry = ModelRegistry(tmp_path / "models")
    promoted = registry.promotion()
    assert promoted is not None
    about = describe(registry.folder / promoted.version)
    assert about.data_source == "Postgres, road_observations, all of it simulated"
    assert (about.road_ids, about.layout.zone) == (tuple(sorted(roads)), "Europe/Rome")
    assert (about.data_from, about.data_to) == (START, START + timedelta(days=DAYS))


def test_what_does_not_fit_is_told(run: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(run)
    for options, words in (
        (("--zone", "UTC"), "--zone goes with a file"),
        (("--since", "2027-01-01"), "must be before until"),
        (("--since", "yesterday"), "is not ISO 8601"),
    ):
        ran = run(*options)
        assert ran.exit_code
        assert words in ran.output
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret@127.0.0.1:1/nowhere")
    away = run()
    assert away.exit_code == 1
    assert "Postgres at 127.0.0.1:1 cannot be asked" in away.output
    assert "secret" not in away.output
    missing = CliRunner().invoke(main, ["train", "--from", "nowhere.parquet"])
    assert "there is no file nowhere.parquet" in missing.output
