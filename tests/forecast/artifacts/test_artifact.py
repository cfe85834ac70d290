"""An artifact is believed only when everything fits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.forecast.synthetic import LinearNetwork, candidate
from trafficapp.forecast.artifacts import artifact as artifacts
from trafficapp.forecast.artifacts.artifact import ArtifactError, load
from trafficapp.forecast.artifacts.registry import ModelRegistry
from trafficapp.forecast.learning.packing import write_artifact
from trafficapp.forecast.learning.windows import TrainingData

#: Writes an artifact once more under another name and kills itself at the given function's n-th call.
KILLED = """
import os, signal, sys
from pathlib import Path
import msgspec
from trafficapp.forecast.artifacts.artifact import load, save
source, folder, name, calls = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
real = getattr(os, name)
def fatal(*arguments, **named):
    global calls
    calls -= 1
    if calls == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)
artifact = load(source)
setattr(os, name, fatal)
save(msgspec.structs.replace(artifact.about, version="second"), artifact.knowledge, b"network", folder)
"""


def test_what_is_read_says_what_was_trained(data: TrainingData, made: Path) -> None:
    artifact = load(made)
    about = artifact.about
    assert about.horizons_minutes == (15, 30, 45)
    assert (about.road_ids, about.layout) == (data.history.road_ids, data.layout)
    assert about.data_from < about.train_to < about.validation_to < about.data_to
    assert about.test["model"][0].mae_kmh < about.test["linear_ar"][0].mae_kmh
    moment = data.split.test[20:21]
    said, seen = artifact.predict(data.recent(moment)[0], int(data.history.times[moment][0]))
    assert seen.all()
    np.testing.assert_allclose(said, LinearNetwork(data).predict(moment)[0], atol=1e-3)


@pytest.mark.parametrize("name", ["model.json", "model.onnx", "arrays.npz"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty"])
def test_a_damaged_file_is_refused_by_name(model: Path, name: str, damage: str) -> None:
    content = (model / name).read_bytes()
    middle = len(content) // 2
    match damage:
        case "cut":
            (model / name).write_bytes(content[:middle])
        case "flip":
            (model / name).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        case "gone":
            (model / name).unlink()
        case _:
            (model / name).write_bytes(b"")
    with pytest.raises(ArtifactError, match=name):
        load(model)


def test_better_figures_cannot_be_written_into_it(model: Path) -> None:
    described = json.loads((model / "model.json").read_text())
    described["test"]["model"][0]["mae"] = 0.1
    (model / "model.json").write_text(json.dumps(described))
    with pytest.raises(ArtifactError, match="altered"):
        load(model)


def test_a_folder_that_was_given_another_name_is_refused_as_that(model: Path) -> None:
    version = model.name
    with pytest.raises(ArtifactError, match=f"another name than the version in it, {version}$"):
        load(model.rename(model.with_name("mine")))


def test_another_format_is_refused(model: Path) -> None:
    described = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(described | {"format_version": 99}))
    with pytest.raises(ArtifactError, match="format 99"):
        load(model)


def test_a_network_that_answers_otherwise_fails_the_self_test(data: TrainingData, tmp_path: Path) -> None:
    network = LinearNetwork(data)
    made = candidate(data, network)
    network.weights = network.weights * 1.01
    other = type(made)(made.kind, data, made.linear, made.judged, network.predict_of, made.network)
    with pytest.raises(ArtifactError, match=r"self-test failed, .* km/h off"):
        load(write_artifact(other, tmp_path, "made up"))


def test_a_network_of_other_roads_is_refused(made: Path, tmp_path: Path) -> None:
    about, whole = load(made).about, load(made).knowledge
    fewer = msgspec.structs.replace(about, road_ids=about.road_ids[:-1], version="fewer")
    path = artifacts.save(fewer, whole, (made / "model.onnx").read_bytes(), tmp_path)
    with pytest.raises(ArtifactError):
        load(path)


def test_a_version_is_never_written_twice(data: TrainingData, tmp_path: Path) -> None:
    at = datetime(2026, 5, 4, tzinfo=UTC)
    path = write_artifact(candidate(data, LinearNetwork(data)), tmp_path, "made up", at)
    with pytest.raises(ArtifactError, match="there already"):
        write_artifact(candidate(data, LinearNetwork(data)), tmp_path, "made up", at)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("name", "calls"), [("fsync", 1), ("fsync", 3), ("rename", 1)])
def test_killed_while_writing_it_leaves_nothing_that_looks_like_a_model(model: Path, name: str, calls: int) -> None:
    command = [sys.executable, "-c", KILLED, str(model), str(model.parent), name, str(calls)]
    killed = subprocess.run(command, timeout=60, check=False)  # noqa: S603 - our own command
    assert killed.returncode == -signal.SIGKILL
    registry = ModelRegistry(model.parent)
    assert registry.candidates() == [model.name]
    assert registry.promote(model.name).version == model.name
