"""From a model that answers to an artifact: calibrations, self-test, and what describes it. Without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from trafficapp.forecast.artifacts.artifact import (
    Description,
    Knowledge,
    SelfTest,
    code_hash,
    format_version_of,
    save,
    version_of,
)
from trafficapp.forecast.baselines import BASELINES, LinearRules
from trafficapp.forecast.calibration import Calibration, calibrate
from trafficapp.forecast.clock import Floats, Integers, local_hours
from trafficapp.forecast.learning.judging import MODEL, Judged
from trafficapp.forecast.learning.windows import TrainingData

#: Residuals of the training part only say where errors are large; so many moments are enough for that.
_TRAINING_MOMENTS = 1500


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model and all that an artifact says about it."""

    kind: str
    data: TrainingData
    linear: LinearRules
    judged: Judged
    #: What the network says at some moments of data, in the unit of the quantity, shape (moments, roads, horizons).
    predict: Callable[[TrainingData, Integers], Floats]
    #: The same network as ONNX.
    network: bytes
    seeds: tuple[int, ...] = ()
    epochs: tuple[int, ...] = ()
    seconds: float = 0.0


def write_artifact(candidate: Candidate, folder: Path, source: str, made_at: datetime | None = None) -> Path:
    """Write a model as a new version below a folder.

    Args:
        candidate: the model.
        folder: the registry's.
        source: where the history is from, in words.
        made_at: now, if not given.

    Returns:
        The artifact's own folder.
    """
    made_at = made_at or datetime.now(UTC)
    data, history = candidate.data, candidate.data.history
    about = Description(
        format_version=format_version_of(data.layout),
        version=version_of(candidate.kind, made_at),
        kind=candidate.kind,
        made_at=made_at,
        code_version=code_hash(),
        road_ids=history.road_ids,
        graph_hash=history.links.graph_hash(history.road_ids),
        layout=data.layout,
        columns=data.layout.columns,
        data_source=source,
        data_from=history.start.astimezone(UTC),
        data_to=history.end.astimezone(UTC),
        train_to=_end(data, data.split.train),
        validation_to=_end(data, data.split.validation),
        seeds=candidate.seeds,
        epochs=candidate.epochs,
        training_seconds=round(candidate.seconds, 1),
        validation=candidate.judged.validation,
        test=candidate.judged.test,
    )
    knowledge = Knowledge(
        history.links, data.smooth, data.plain, candidate.linear.plain, _calibrations(candidate), _self_test(candidate)
    )
    return save(about, knowledge, candidate.network, folder)


def _end(data: TrainingData, part: Integers) -> datetime:
    """When the newest input of a part of the history was over."""
    step = timedelta(seconds=data.layout.step_seconds)
    return (data.history.start + step * (int(part[-1]) + 1)).astimezone(UTC)


def _calibrations(candidate: Candidate) -> dict[str, Calibration]:
    """Of the model and of each baseline, which then says how sure it is when it has to answer."""
    data, validation = candidate.data, candidate.data.split.validation
    train = data.split.train
    train = train[np.linspace(0, len(train) - 1, min(len(train), _TRAINING_MOMENTS)).astype(np.int64)]
    seen, held_back = _said(candidate, train), _said(candidate, validation)

    def rows(part: Integers, said: Floats) -> tuple[Floats, Floats, Integers]:
        return said, data.targets(part), local_hours(data.history.times[part], data.layout.zone)

    return {
        name: calibrate(rows(train, seen[name]), rows(validation, held_back[name]), data.layout.quantity)
        for name in seen
    }


def _said(candidate: Candidate, part: Integers) -> dict[str, Floats]:
    """What the model says, and what those say that may have to answer in its place."""
    said = candidate.data.baselines(part, candidate.linear)
    return {MODEL: candidate.predict(candidate.data, part), **{name: said[name] for name in BASELINES}}


def _self_test(candidate: Candidate) -> SelfTest:
    """The last moment there is, with the usual speeds that there are when serving."""
    data, moment = candidate.data.as_served(), candidate.data.split.test[-1:]
    said = candidate.predict(data, moment)
    weather = data.weather(moment)
    told = None if weather is None else weather[0]
    return SelfTest(data.recent(moment)[0], int(data.history.times[moment][0]), said[0], told)
