"""Replay days that no model was trained on through the serving of forecasts: ``python -m tests.bench.forecast_live``.

Values go step by step through `Forecaster` as rounds do; beside what it serves stand the model alone and both rules,
by the speeds as they are; and, as rivals the more, model and linear rule as they are asked where something slows the
whole city at once:

- roads of two simulated days (a third one before them fills the state), as they are; with the clock eight hours off,
  so that what is usual never comes when it is due; and the same without looking for the hour that fits;
- the last fifth of METR-LA's first week, where the file is given. Its model is a linear rule of all features, fitted
  by least squares to the first four fifths: it needs no torch, and fits in seconds;
- cameras and lanes of the simulated days.

Prints tables and writes ``build/forecast_live.json``: rows of ``name``, ``value``, ``unit`` and ``before``, which is
the value of the same name in the file that ``--before`` names.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.forecast.synthetic import artifact as linear_artifact
from trafficapp.forecast.artifacts.artifact import Artifact, load
from trafficapp.forecast.artifacts.shipped import CityModel, camera_model
from trafficapp.forecast.choosing import (
    MOMENTS_OF_CAMERAS,
    MOMENTS_OF_ROADS,
    Chooser,
    Expert,
    said_as_it_is,
    said_by_experts,
    steps_needed,
)
from trafficapp.forecast.clock import Floats
from trafficapp.forecast.day_clock import HOUR_SECONDS, HOURS
from trafficapp.forecast.learning.history import SpeedHistory, read_history
from trafficapp.forecast.learning.windows import prepare
from trafficapp.forecast.quantities import CONGESTION_SCORE, SPEED
from trafficapp.forecast.serving import Forecaster, Hours
from trafficapp.settings import load_settings
from trafficapp.stack import children

ROOT = Path(__file__).parents[2]
METR_LA = ROOT.parent / "shared" / "data" / "forecast" / "metr_la_week1.npz"

#: Bands of what came: km/h, and congestion scores.
_BANDS = {SPEED: (0.0, 20.0, 40.0, 400.0), CONGESTION_SCORE: (0.0, 0.3, 0.6, 1.01)}
_SERIES = ("served", "model", "linear", "last", "model at the level", "linear at the level")
#: What is served, and the plain rules that it must not be worse than.
_PLAIN = 4
_SHOWN_MINUTES = (1.0, 5.0, 10.0, 15.0, 20.0, 30.0)


@dataclass(frozen=True)
class Replay:
    """What is replayed.

    Attributes:
        values: shape (steps, entities of the model), NaN where there is none.
        begin: when the first step began, as the clock says it.
        first: the first moment that is served.
    """

    name: str
    artifact: Artifact
    values: Floats
    begin: int
    first: int
    moments: int
    looks_for_the_hour: bool


@dataclass(frozen=True)
class Served:
    """What came of a replay, arrays of shape (moments, entities, horizons).

    Attributes:
        came: what was measured.
        said: of `_SERIES`, in that order.
        held: whether the interval of 80 % held, NaN where that is not known.
    """

    came: Floats
    said: Floats
    held: Floats


@dataclass(frozen=True, eq=False)
class Remembering(Artifact):
    """A model that is asked once for each moment, though the chooser, the forecast and the benchmark all ask."""

    said: dict[tuple[int, bytes], tuple[Floats, np.typing.NDArray[np.bool_]]] = field(default_factory=dict)

    def predict(
        self, recent_kmh: Floats, last_time: int, weather: Floats | None = None
    ) -> tuple[Floats, np.typing.NDArray[np.bool_]]:
        """As `Artifact.predict`."""
        asked = last_time, recent_kmh.tobytes()
        if asked not in self.said:
            self.said[asked] = super().predict(recent_kmh, last_time, weather)
        return self.said[asked]

    @staticmethod
    def of(artifact: Artifact) -> Remembering:
        """The same model."""
        return Remembering(artifact.about, artifact.knowledge, artifact.neighbours, artifact.network)


class Fixed:
    """A model that always serves."""

    refusal: str | None = None

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact

    def current(self) -> Artifact | None:
        """That model."""
        return self._artifact


def serve(replay: Replay) -> Served:
    """Serve forecasts of all moments."""
    layout, entities = replay.artifact.about.layout, replay.artifact.about.road_ids
    kept = steps_needed(layout.input_steps, layout.horizon_steps, replay.moments)
    forecaster = Forecaster(Fixed(replay.artifact), layout.horizons_minutes, chooser=Chooser(replay.moments))
    came, said, held = [], [], []
    hours = _hours(replay) if replay.looks_for_the_hour else None
    for moment in range(max(replay.first, kept - 1), len(replay.values) - max(layout.horizon_steps)):
        recent, last_time = replay.values[moment + 1 - kept : moment + 1], replay.begin + moment * layout.step_seconds
        of_hours = None if hours is None else hours(last_time)
        one = forecaster.forecast(entities, recent, last_time, hours=of_hours)
        truth = np.stack([replay.values[moment + ahead] for ahead in layout.horizon_steps], -1)
        asked = replay.artifact, recent[-layout.input_steps :], last_time, None
        at_level = said_by_experts(*asked)[[Expert.MODEL, Expert.LINEAR_AR]]
        came.append(truth)
        said.append(np.stack([one.speeds_kmh, *said_as_it_is(*asked), *at_level]))
        within = (truth >= one.low_kmh) & (truth <= one.high_kmh)
        held.append(np.where(np.isfinite(truth) & np.isfinite(one.low_kmh), within, np.nan))
    return Served(np.stack(came), np.stack(said, 1), np.stack(held))


def _hours(replay: Replay) -> Callable[[int], Hours]:
    """The mean speeds of the last hours, as the state of the city keeps them."""
    step_seconds = replay.artifact.about.layout.step_seconds
    times = replay.begin + step_seconds * np.arange(len(replay.values))
    first = int(times[0] // HOUR_SECONDS)
    hour_of = times // HOUR_SECONDS - first
    means = np.full((int(hour_of[-1]) + 1, replay.values.shape[1]), np.nan, np.float32)
    for hour in range(len(means)):
        of_hour = replay.values[hour_of == hour]
        known = np.isfinite(of_hour).any(0)
        means[hour, known] = np.nanmean(of_hour[:, known], 0)

    def at(last_time: int) -> Hours:
        newest = last_time // HOUR_SECONDS - first
        last = np.full((HOURS, means.shape[1]), np.nan, np.float32)
        there = means[max(0, newest + 1 - HOURS) : newest + 1]
        last[HOURS - len(there) :] = there
        return Hours(last, (newest + first) * HOUR_SECONDS)

    return at


def rows_of(replay: Replay, served: Served) -> Iterator[dict[str, Any]]:
    """Figures of a replay, as `name`, `value` and `unit`."""
    layout = replay.artifact.about.layout
    hour = 3600 // layout.step_seconds
    unit = layout.quantity.unit or "score"
    errors = np.abs(served.said - served.came)
    edges = _BANDS[layout.quantity]
    for at, minutes in enumerate(layout.horizons_minutes):
        name = f"{replay.name}, {minutes:g} min"
        of, came = errors[..., at], served.came[..., at]
        for series, one in zip(_SERIES, of, strict=True):
            yield _row(f"{name}: MAE of {series}", np.nanmean(one), unit)
        for low, high in pairwise(edges):
            within = (came >= low) & (came < high)
            for series, one in zip(_SERIES, of, strict=True):
                if within.any():
                    between = f"{low:g} to {high:g}"
                    yield _row(f"{name}: MAE of {series}, {between}", np.nanmean(one[within]), unit)
                    yield _row(f"{name}: RMSE of {series}, {between}", np.sqrt(np.nanmean(one[within] ** 2)), unit)
        of_hours = np.array(
            [np.nanmean(of[:, first : first + hour], (1, 2)) for first in range(0, of.shape[1] - hour + 1, hour)]
        )
        for number, one in enumerate(of_hours):
            for series, value in zip(_SERIES, one, strict=True):
                yield _row(f"{name}: MAE of {series}, hour {number}", value, unit)
        worse = of_hours[:, :2] / of_hours[:, 1:_PLAIN].min(1)[:, None]
        for place, series in enumerate(_SERIES[:2]):
            yield _row(f"{name}: worst hour of {series} beside the best", worse[:, place].max(), "ratio")
            yield _row(f"{name}: hours of {series} over 2 %", (worse[:, place] > 1.02).mean(), "share")
        of_all = of_hours[:, 0] / of_hours[:, 1:].min(1)
        yield _row(f"{name}: worst hour of served beside the best, the level known", of_all.max(), "ratio")
        yield _row(f"{name}: hours of served over 2 %, the level known", (of_all > 1.02).mean(), "share")
        held = served.held[..., at]
        shares = [
            float(np.nanmean(held[first : first + 3 * hour])) for first in range(0, len(held) - 3 * hour + 1, hour)
        ]
        yield _row(f"{name}: 80 % held", np.nanmean(held), "share")
        yield _row(f"{name}: 80 % held, least of 3 h", min(shares), "share")
        yield _row(f"{name}: 80 % held, most of 3 h", max(shares), "share")


def _row(name: str, value: Any, unit: str) -> dict[str, Any]:
    return {"name": name, "value": round(float(value), 4), "unit": unit}


def _show(replay: Replay, rows: list[dict[str, Any]], console: Console) -> None:
    value = {row["name"]: row["value"] for row in rows}
    edges, unit = _BANDS[replay.artifact.about.quantity], replay.artifact.about.quantity.unit
    digits, low, high = (2, edges[0], edges[1]) if unit else (4, edges[2], edges[3])
    slow = f"{low:g} to {high:g}"
    table = Table("ahead", "MAE served / model / linear / last", f"{slow}: MAE", f"{slow}: RMSE", "worst hour (model)",
                  "hours over 2 % (model; level known)", "80 % held, any 3 h", title=replay.name)  # fmt: skip
    for minutes in replay.artifact.about.horizons_minutes:
        if minutes not in _SHOWN_MINUTES:
            continue
        name = f"{replay.name}, {minutes:g} min"

        def four(what: str, name: str = name, of: str = "") -> str:
            found = [value.get(f"{name}: {what} of {series}{of}", np.nan) for series in _SERIES[:_PLAIN]]
            return " / ".join(f"{one:.{digits}f}" for one in found)

        worst, over = ([value[f"{name}: {part}"] for part in parts] for parts in (
            [f"worst hour of {series} beside the best" for series in _SERIES[:2]],
            [f"hours of {series} over 2 %" for series in _SERIES[:2]],
        ))  # fmt: skip
        known = value[f"{name}: hours of served over 2 %, the level known"]
        least, most = (value[f"{name}: 80 % held, {end} of 3 h"] for end in ("least", "most"))
        table.add_row(
            f"{minutes:g} min", four("MAE"), four("MAE", of=f", {slow}"), four("RMSE", of=f", {slow}"),
            f"{worst[0]:.3f} ({worst[1]:.3f})", f"{over[0]:.0%} ({over[1]:.0%}; {known:.0%})",
            f"{least:.1%} to {most:.1%}",
        )  # fmt: skip
    console.print(table)


async def _simulate(folder: Path, days: int, seed: int, to: str) -> tuple[Path, Path]:
    roads, cameras = folder / "roads.parquet", folder / "cameras.parquet"
    arguments = ["simulate", "--history", f"{days}d", "--to", to, "--seed", str(seed), "--out", str(roads)]
    process = await children.spawn([sys.executable, "-m", "trafficapp.cli", *arguments, "--cameras-out", str(cameras)])
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(output.decode()[-2000:])
    return roads, cameras


def _values(history: SpeedHistory, artifact: Artifact) -> tuple[Floats, int]:
    """Values of the model's entities, and when the first step began."""
    place = {entity: index for index, entity in enumerate(history.road_ids)}
    values = np.full((len(history.speeds_kmh), len(artifact.about.road_ids)), np.nan, np.float32)
    for column, entity in enumerate(artifact.about.road_ids):
        if entity in place:
            values[:, column] = history.speeds_kmh[:, place[entity]]
    return values, int(history.times[0])


def replays(arguments: argparse.Namespace, folder: Path, console: Console) -> Iterator[Replay]:
    """All that is to be replayed."""
    wanted = set(arguments.only.split(",")) if arguments.only else {"roads", "metr-la", "cameras"}
    roads, cameras = (None, None)
    if wanted & {"roads", "cameras"}:
        roads, cameras = asyncio.run(_simulate(folder, arguments.days + 1, arguments.seed, arguments.to))
    if "roads" in wanted and roads is not None:
        artifact = _needed(CityModel(folder / "models", SPEED.step_seconds))
        values, begin = _values(read_history(roads, zone=artifact.about.layout.zone), artifact)
        day, shift = 86_400 // SPEED.step_seconds, 8 * HOUR_SECONDS
        for name, off, looks in (
            ("as it is", 0, True),
            ("8 h off", shift, True),
            ("8 h off, hour not sought", shift, False),
        ):
            yield Replay(f"roads, {name}", artifact, values, begin + off, day, MOMENTS_OF_ROADS, looks)
    if "metr-la" in wanted:
        if not arguments.metr_la.is_file():
            console.print(f"METR-LA is left out: {arguments.metr_la.name} is not given")
        else:
            data = prepare(read_history(arguments.metr_la, zone="America/Los_Angeles"), SPEED.horizons_minutes)
            artifact = Remembering.of(load(linear_artifact(data, folder / "metr-la")))
            begin, first = int(data.history.times[0]), int(data.split.test[0])
            yield Replay(
                "METR-LA, linear model", artifact, data.history.speeds_kmh, begin, first,
                MOMENTS_OF_ROADS, True,
            )  # fmt: skip
    if "cameras" in wanted and cameras is not None:
        artifact = _needed(camera_model(load_settings(forecast={"models_dir": folder / "models"})))
        history = read_history(cameras, zone=artifact.about.layout.zone, quantity=CONGESTION_SCORE)
        values, begin = _values(history, artifact)
        first = max(0, len(values) - arguments.camera_hours * 60)
        yield Replay("cameras", artifact, values, begin, first, MOMENTS_OF_CAMERAS, False)


def _needed(model: CityModel) -> Artifact:
    artifact = model.current()
    if artifact is None:
        raise SystemExit(f"no model serves: {model.refusal}")
    return Remembering.of(artifact)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=2, help="that are judged; one more fills the state before")
    parser.add_argument("--seed", type=int, default=22, help="no model was trained on days of this seed")
    parser.add_argument("--to", default="2026-03-20T00:00+01:00")
    parser.add_argument("--camera-hours", type=int, default=24, help="of cameras, the last ones of the days")
    parser.add_argument("--only", help="roads, metr-la, cameras, with commas between")
    parser.add_argument("--metr-la", type=Path, default=METR_LA, help="the first week of METR-LA")
    parser.add_argument("--before", type=Path, help="rows of another build, for the column before")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "forecast_live.json")
    arguments = parser.parse_args()
    console, rows = Console(width=190), list[dict[str, Any]]()
    before = {}
    if arguments.before is not None:
        before = {row["name"]: row["value"] for row in json.loads(arguments.before.read_text())}
    with tempfile.TemporaryDirectory() as name:
        for replay in replays(arguments, Path(name), console):
            found = list(rows_of(replay, serve(replay)))
            _show(replay, found, console)
            rows += [row | {"before": before.get(row["name"])} for row in found]
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(rows, indent=1) + "\n")
    console.print(f"seed {arguments.seed}, made at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
