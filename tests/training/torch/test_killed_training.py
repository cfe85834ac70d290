"""`trafficapp train` killed with SIGKILL at the worst moments: what serves serves on, and the next one succeeds."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from os import utime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from tests.forecast.synthetic import HORIZONS, ROADS, ZONE, artifact, town
from trafficapp.cli import main
from trafficapp.forecast.artifacts.registry import ModelRegistry, PromotedModel
from trafficapp.forecast.city.recent import RecentSpeeds
from trafficapp.forecast.learning.windows import TrainingData, prepare
from trafficapp.forecast.serving import Forecaster, Source
from trafficapp.training.one_at_a_time import LOCK

#: Runs the command and kills itself when a file is about to be put in its place the n-th time.
KILLED = """
import os, pathlib, signal, sys
name, calls = sys.argv[1], int(sys.argv[2])
holder = pathlib.Path if name == "rename" else os
real = getattr(holder, name)
def fatal(*arguments, **named):
    global calls
    calls -= "models" in str(arguments[0])
    if calls <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)
setattr(holder, name, fatal)
from trafficapp.cli import main
main(sys.argv[3:])
"""

#: A worker that runs the command as every week, and tells what it says.
WORKER = """
import asyncio, logging, sys
from trafficapp.upkeep.processes import run_program
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(message)s")
asyncio.run(run_program([sys.executable, "-m", "trafficapp.cli", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    history = town()
    steps, roads = history.speeds_kmh.shape
    columns = {
        "road_id": list(ROADS) * steps,
        "timestamp": pa.array(np.repeat(history.times, roads) * 1000, pa.timestamp("ms", "UTC")),
        "speed_kmh": history.speeds_kmh.ravel(),
    }
    pq.write_table(pa.table(columns), path)
    links = {"from_road": ROADS, "to_road": ROADS[1:] + ROADS[:1]}
    pq.write_table(pa.table(links), path.with_name("links.parquet"))
    return path


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return prepare(town(), HORIZONS)


@pytest.fixture
def registry(data: TrainingData, tmp_path: Path) -> ModelRegistry:
    """With a model that serves."""
    registry = ModelRegistry(tmp_path / "models")
    registry.promote(artifact(data, registry.folder, datetime(2026, 5, 4, tzinfo=UTC)).name)
    return registry


def command(rows: Path, registry: ModelRegistry, epochs: int) -> list[str]:
    options = ["--zone", ZONE, "--step-seconds", "900", "--horizons", "15,30", "--epochs", str(epochs), "--promote"]
    options += ["--links", str(rows.with_name("links.parquet"))]
    return ["train", "--from", str(rows), "--out", str(registry.folder), *options]


def serving(registry: ModelRegistry) -> str:
    """The version that predicts, after it did."""
    history = town()
    recent = RecentSpeeds(ROADS, 900, 12)
    for time, row in zip(history.times[-12:].tolist(), history.speeds_kmh[-12:].tolist(), strict=True):
        for road, speed in zip(ROADS, row, strict=True):
            recent.observe(road, time, speed)
    window, last_time = recent.window(float(history.times[-1]))
    forecast = Forecaster(PromotedModel(registry)).forecast(ROADS, window, last_time)
    assert (forecast.sources == Source.MODEL).all()
    assert np.isfinite(forecast.speeds_kmh).all()
    return forecast.model_version


def test_killed_while_it_learns(registry: ModelRegistry, rows: Path) -> None:
    before = serving(registry)
    run = [sys.executable, "-m", "trafficapp.cli", *command(rows, registry, 5000)]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        assert process.stdout is not None
        # it tells each epoch in a line of its own where nobody looks at a bar
        learnt = next(line for line in process.stdout if line.startswith("epoch 2 of at most 5000"))
        assert "MAE" in learnt
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert serving(registry) == before
    assert registry.candidates() == [before]


@pytest.mark.parametrize(("function", "left"), [("rename", ".writing-*"), ("replace", ".promoted-*")])
def test_killed_while_it_writes_or_promotes(
    registry: ModelRegistry, rows: Path, data: TrainingData, function: str, left: str
) -> None:
    before = serving(registry)
    run = [sys.executable, "-c", KILLED, function, "1", *command(rows, registry, 12)]
    killed = subprocess.run(run, capture_output=True, text=True, timeout=600, check=False)  # noqa: S603
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    assert serving(registry) == before
    (leftover,) = registry.folder.glob(left)
    finished = [version for version in registry.candidates() if version != before]
    assert len(finished) == (function == "replace")
    # what was finished can be promoted; what was not is cleared by a training a day later
    for version in finished:
        registry.promote(version)
        assert serving(registry) == version
    long_ago = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    utime(leftover, (long_ago, long_ago))
    assert registry.clear_left_over(datetime.now(UTC)) == [leftover.name]
    next_one = artifact(data, registry.folder, datetime.now(UTC)).name
    registry.promote(next_one)
    assert serving(registry) == next_one


def test_it_dies_with_its_worker_and_keeps_others_out_until_then(registry: ModelRegistry, rows: Path) -> None:
    before = serving(registry)
    run = [sys.executable, "-c", WORKER, *command(rows, registry, 5000)]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as worker:  # noqa: S603 - our own command
        assert worker.stdout is not None
        assert next(line for line in worker.stdout if line.startswith("epoch 1 of"))
        refused = CliRunner().invoke(main, command(rows, registry, 1))
        assert refused.exit_code == 1
        assert "another training is at work" in refused.output
        worker.send_signal(signal.SIGKILL)
        # would wait for 5000 epochs if it lived on
        with (registry.folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
    assert worker.returncode == -signal.SIGKILL
    assert (serving(registry), registry.candidates()) == (before, [before])
