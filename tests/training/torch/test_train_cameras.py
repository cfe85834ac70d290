"""`trafficapp train --what cameras`: from a file of scores to a model of its own folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from tests.forecast.camera_town import scores
from trafficapp.cli import main
from trafficapp.forecast.artifacts.registry import ModelRegistry


def test_the_command_trains_a_model_of_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICAPP_FORECAST__MODELS_DIR", str(tmp_path / "models"))
    made = scores()
    table = {
        "entity": list(made.road_ids) * len(made.times),
        "timestamp": pa.array(np.repeat(made.times, len(made.road_ids)) * 1000, pa.timestamp("ms", "UTC")),
        "congestion_score": made.speeds_kmh.ravel(),
    }
    pq.write_table(pa.table(table), tmp_path / "scores.parquet")
    command = ["train", "--what", "cameras", "--from", str(tmp_path / "scores.parquet"), "--epochs", "1"]
    ran = CliRunner().invoke(main, command)
    assert ran.exit_code == 0, ran.output
    assert "4,320 steps of 4 cameras and lanes, 4 links between them" in ran.output
    assert "km/h" not in ran.output
    # Of its own folder, of the default kind, and promoted only when asked to be.
    registry = ModelRegistry(tmp_path / "models" / "cameras")
    (version,) = registry.candidates()
    assert version.startswith("stgcn-")
    assert registry.promotion() is None
    refused = CliRunner().invoke(main, [*command, "--links", "graph"])
    assert refused.exit_code == 2
    assert "--links goes with roads" in refused.output
