"""Promotions: only of what is better, whole at any moment, seen without a restart."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.forecast.synthetic import artifact
from trafficapp.forecast.artifacts.artifact import ArtifactError, describe
from trafficapp.forecast.artifacts.old_versions import KEPT_FOR, remove_old_versions
from trafficapp.forecast.artifacts.registry import POINTER, ModelRegistry, NotBetterError, PromotedModel, not_better
from trafficapp.forecast.learning.windows import TrainingData

#: Kills itself right before or after the given function did its work the n-th time.
KILLED = """
import os, signal, sys
from pathlib import Path
from trafficapp.forecast.artifacts.registry import ModelRegistry
folder, version, when, name = sys.argv[1:]
real = getattr(os, name)
def fatal(*arguments, **named):
    if when == "after":
        real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, name, fatal)
ModelRegistry(Path(folder)).promote(version)
"""


@pytest.fixture
def registry(data: TrainingData, tmp_path: Path) -> ModelRegistry:
    """Two versions, the first of them promoted."""
    for day in (4, 5):
        artifact(data, tmp_path, datetime(2026, 5, day, tzinfo=UTC))
    registry = ModelRegistry(tmp_path)
    registry.promote(registry.candidates()[0])
    return registry


def test_a_reader_sees_a_promotion_without_a_restart(registry: ModelRegistry) -> None:
    first, second = registry.candidates()
    reader = PromotedModel(registry)
    before = reader.current()
    assert before is not None
    assert before.about.version == first
    assert reader.current() is before
    registry.promote(second)
    after = reader.current()
    assert after is not None
    assert (after.about.version, reader.refusal) == (second, None)
    assert registry.promotion().previous == (first,)


def test_only_what_beats_every_baseline_at_every_horizon_on_both_parts(registry: ModelRegistry) -> None:
    about = describe(registry.folder / registry.candidates()[0])
    assert not_better(about) == []
    for part in ("validation", "test"):
        judged = dict(getattr(about, part))
        model = list(judged["model"])
        rival = min(judged[name][1].mae_kmh for name in ("last_value", "time_of_day", "linear_ar", "smoothed_ar"))
        model[1] = msgspec.structs.replace(model[1], mae_kmh=rival)
        worse = msgspec.structs.replace(about, **{part: judged | {"model": tuple(model)}})
        (reason,) = not_better(worse)
        assert reason.startswith("30 min ahead")
        assert part in reason
        # the strongest of the rivals decides, and none may be left out
        strong = tuple(msgspec.structs.replace(score, mae_kmh=score.mae_kmh * 0.99) for score in judged["model"])
        worse = msgspec.structs.replace(about, **{part: judged | {"smoothed_ar": strong}})
        assert [reason.split(", ")[-1].split()[2] for reason in not_better(worse)] == ["smoothed_ar"] * 3
        without = {name: scores for name, scores in judged.items() if name != "smoothed_ar"}
        assert not_better(msgspec.structs.replace(about, **{part: without})) == [
            f"no figures of smoothed_ar on the {part} part"
        ]
    assert len(not_better(msgspec.structs.replace(about, test={}))) == 1


def test_a_worse_model_is_not_promoted_and_the_old_one_serves_on(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = registry.candidates()
    monkeypatch.setattr("trafficapp.forecast.artifacts.registry.not_better", lambda about: ["it is worse"])
    with pytest.raises(NotBetterError, match="it is worse"):
        registry.promote(second)
    assert registry.promotion().version == first


@pytest.mark.parametrize(("when", "name", "expected"), [
    ("before", "replace", 0), ("after", "replace", 1), ("before", "fsync", 0), ("after", "fsync", 0),
])  # fmt: skip
def test_killed_at_any_moment_it_stays_usable(registry: ModelRegistry, when: str, name: str, expected: int) -> None:
    versions = registry.candidates()
    command = [sys.executable, "-c", KILLED, str(registry.folder), versions[1], when, name]
    killed = subprocess.run(command, timeout=60, check=False)  # noqa: S603 - our own command
    assert killed.returncode == -signal.SIGKILL
    reader = PromotedModel(registry)
    serving = reader.current()
    assert serving is not None
    assert serving.about.version == versions[expected]
    assert registry.candidates() == versions
    assert registry.promote(versions[1]).version == versions[1]


def test_what_killed_processes_left_is_cleared_a_day_later(registry: ModelRegistry) -> None:
    now = datetime.now(UTC)
    for name in (".writing-killed", ".writing-at-work"):
        (registry.folder / name).mkdir()
        (registry.folder / name / "model.onnx").write_bytes(b"half a net")
    (registry.folder / ".promoted-killed").write_text("{")
    for name in (".writing-killed", ".promoted-killed"):
        os.utime(registry.folder / name, times=((now - timedelta(hours=25)).timestamp(),) * 2)
    assert registry.clear_left_over(now) == [".promoted-killed", ".writing-killed"]
    assert (registry.folder / ".writing-at-work" / "model.onnx").exists()
    assert len(registry.candidates()) == 2
    assert registry.promotion() is not None


def test_old_versions_go_that_neither_serve_nor_served(registry: ModelRegistry, data: TrainingData) -> None:
    now = datetime.now(UTC)
    first, second = registry.candidates()
    for day in (6, 7):
        artifact(data, registry.folder, datetime(2026, 5, day, tzinfo=UTC))
    registry.promote(second)
    _, _, unused, young = registry.candidates()
    shutil.copytree(registry.folder / unused, registry.folder / "by hand")
    long_ago = (now - KEPT_FOR - timedelta(hours=1)).timestamp()
    for name in (first, second, unused, "by hand"):
        os.utime(registry.folder / name, times=(long_ago, long_ago))
    pointer = (registry.folder / POINTER).read_bytes()
    (registry.folder / POINTER).write_text("{")
    assert remove_old_versions(registry, now) == []
    (registry.folder / POINTER).unlink()
    assert remove_old_versions(registry, now) == []
    (registry.folder / POINTER).write_bytes(pointer)
    assert remove_old_versions(registry, now) == [unused]
    assert registry.candidates() == sorted([first, second, young, "by hand"])
    assert not list(registry.folder.glob(".writing-*"))
    assert remove_old_versions(registry, now + 2 * KEPT_FOR) == [young]
    # what served before can serve again
    assert registry.promote(first).previous == (second,)


def test_an_artifact_damaged_after_promotion_is_refused_and_the_one_before_serves(registry: ModelRegistry) -> None:
    first, second = registry.candidates()
    running = PromotedModel(registry)
    held = running.current()
    registry.promote(second)
    (registry.folder / second / "model.onnx").write_bytes(b"cut off")
    assert running.current() is held
    assert "model.onnx is damaged" in str(running.refusal)
    started_later = PromotedModel(registry)
    found = started_later.current()
    assert found is not None
    assert found.about.version == first
    assert "model.onnx is damaged" in str(started_later.refusal)
    with pytest.raises(ArtifactError, match="damaged"):
        registry.promote(second)


def test_a_damaged_pointer_keeps_what_serves_and_can_be_written_anew(registry: ModelRegistry) -> None:
    _, second = registry.candidates()
    reader = PromotedModel(registry)
    held = reader.current()
    (registry.folder / POINTER).write_text('{"version": "li')
    assert reader.current() is held
    assert POINTER in str(reader.refusal)
    registry.promote(second)
    after = reader.current()
    assert after is not None
    assert after.about.version == second


def test_nothing_promoted_and_nothing_there(tmp_path: Path, made: Path) -> None:
    registry = ModelRegistry(tmp_path / "nowhere")
    assert PromotedModel(registry).current() is None
    shutil.copytree(made, tmp_path / made.name)
    assert PromotedModel(ModelRegistry(tmp_path)).current() is None
    with pytest.raises(ArtifactError, match="no version other"):
        ModelRegistry(tmp_path).promote("other")
