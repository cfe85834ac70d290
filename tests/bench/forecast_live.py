"""Replay days that no model was trained on through the serving of forecasts: ``python -m tests.bench.forecast_live``.

The speeds of two simulated days go step by step through `Forecaster` as rounds do. Beside what it serves stand the
model alone and both rules, hour by hour, for the days as they are and with the clock eight hours off, so that what is
usual never comes when it is due.

Prints a table and writes ``build/forecast_live.json``: for each horizon the mean absolute error, how much worse than
the best of the three in hindsight the worst hour was, and how often intervals of 80 % held in three hours at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from trafficapp.forecast.artifacts.artifact import Artifact
from trafficapp.forecast.artifacts.shipped import CityModel
from trafficapp.forecast.choosing import said_by_experts, steps_needed
from trafficapp.forecast.clock import Floats
from trafficapp.forecast.serving import Forecaster, Source
from trafficapp.stack import children

_STEPS_AN_HOUR = 12
_BANDS_KMH = ((0.0, 20.0), (20.0, 400.0))


@dataclass(frozen=True)
class Row:
    """What came of one replay at one horizon.

    Attributes:
        mae_kmh: of what was served, the model, the linear rule and the last value.
        slow_mae_kmh: likewise, where less than 20 km/h came.
        worst_hour: error of what was served beside that of the best of the others in the hour where this was most.
        worst_hour_of_model: likewise of the model alone.
        hours_over: share of the hours in which it was more than 2 % worse.
        hours_over_of_model: likewise.
        held: share of the intervals of 80 % that held: least and most of any three hours.
        held_of_model: likewise of the model's own.
        by_model: share of predictions that the model made.
    """

    replay: str
    horizon_minutes: float
    mae_kmh: tuple[float, ...]
    slow_mae_kmh: tuple[float, ...]
    worst_hour: float
    worst_hour_of_model: float
    hours_over: float
    hours_over_of_model: float
    held: tuple[float, float]
    held_of_model: tuple[float, float]
    by_model: float


async def _simulate(folder: Path, days: int, seed: int, to: str) -> Path:
    target = folder / "roads.parquet"
    arguments = ["simulate", "--history", f"{days}d", "--to", to, "--seed", str(seed), "--out", str(target)]
    process = await children.spawn([sys.executable, "-m", "trafficapp.cli", *arguments])
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(output.decode()[-2000:])
    return target


def _read(path: Path, artifact: Artifact) -> tuple[Floats, int]:
    """Speeds of the model's roads, shape (steps, roads), NaN where there is none; and when the first step began."""
    place = {road_id: index for index, road_id in enumerate(artifact.about.road_ids)}
    table = pq.read_table(path)
    seconds = table["timestamp"].cast("int64").to_numpy() // 1_000_000
    roads = np.array([place.get(road_id, -1) for road_id in table["road_id"].to_pylist()])
    begin, step = int(seconds.min()), artifact.about.layout.step_seconds
    speeds = np.full((int(seconds.max() - begin) // step + 1, len(place)), np.nan, np.float32)
    known = roads >= 0
    speeds[(seconds[known] - begin) // step, roads[known]] = table["speed_kmh"].to_numpy()[known]
    speeds[speeds <= 0] = np.nan
    return speeds, begin


def replay(name: str, model: CityModel, artifact: Artifact, speeds_kmh: Floats, begin: int) -> list[Row]:
    """Serve forecasts of all moments, and compare them with what came."""
    layout, roads = artifact.about.layout, artifact.about.road_ids
    kept = steps_needed(layout.input_steps, layout.horizon_steps)
    forecaster, alone = Forecaster(model, chooses=True), Forecaster(model)
    moments = range(kept - 1, len(speeds_kmh) - max(layout.horizon_steps))
    served, of_others, within, within_of_model, by_model = [], [], [], [], []
    for moment in moments:
        recent, last_time = speeds_kmh[moment + 1 - kept : moment + 1], begin + moment * layout.step_seconds
        one, other = (each.forecast(roads, recent, last_time) for each in (forecaster, alone))
        came = np.stack([speeds_kmh[moment + ahead] for ahead in layout.horizon_steps], -1)
        said = said_by_experts(artifact, recent[-layout.input_steps :], last_time, None)
        served.append(np.abs(one.speeds_kmh - came))
        of_others.append(np.abs(said - came))
        for into, forecast in ((within, one), (within_of_model, other)):
            held = (came >= forecast.low_kmh) & (came <= forecast.high_kmh)
            into.append(np.where(np.isfinite(came), held, np.nan))
        by_model.append((one.served == Source.MODEL).mean(0))
    everything = np.stack([np.stack(served), *np.moveaxis(np.stack(of_others), 1, 0)])
    held, held_of_model = np.stack(within), np.stack(within_of_model)
    came = np.stack([np.stack([speeds_kmh[m + ahead] for m in moments]) for ahead in layout.horizon_steps], -1)
    rows = []
    for at, minutes in enumerate(layout.horizons_minutes):
        errors = everything[..., at]
        hours = [errors[:, first : first + _STEPS_AN_HOUR] for first in range(0, len(moments), _STEPS_AN_HOUR)]
        of_hours = np.array([np.nanmean(hour, (1, 2)) for hour in hours])
        worse = of_hours[:, :2] / of_hours[:, 1:].min(1)[:, None]
        rows.append(
            Row(
                name,
                minutes,
                tuple(np.round(np.nanmean(errors, (1, 2)), 3).tolist()),
                tuple(np.round([np.nanmean(one[came[..., at] < _BANDS_KMH[0][1]]) for one in errors], 3).tolist()),
                *(round(float(one), 3) for one in worse.max(0)),
                *(round(float(one), 3) for one in (worse > 1.02).mean(0)),
                _bounds(held[..., at]),
                _bounds(held_of_model[..., at]),
                round(float(np.mean([one[at] for one in by_model])), 3),
            )
        )
    return rows


def _bounds(held: Floats) -> tuple[float, float]:
    shares = [
        float(np.nanmean(held[first : first + 3 * _STEPS_AN_HOUR]))
        for first in range(0, len(held) - 3 * _STEPS_AN_HOUR + 1, _STEPS_AN_HOUR)
    ]
    return round(min(shares), 3), round(max(shares), 3)


def _show(rows: list[Row]) -> None:
    table = Table(
        "replay", "ahead", "MAE served / model / linear / last", "below 20 km/h", "worst hour (model)",
        "hours over 2 % (model)", "80 % held (model)", "by model",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row.replay,
            f"{row.horizon_minutes:g} min",
            " / ".join(f"{one:.2f}" for one in row.mae_kmh),
            " / ".join(f"{one:.2f}" for one in row.slow_mae_kmh),
            f"{row.worst_hour:.3f} ({row.worst_hour_of_model:.3f})",
            f"{row.hours_over:.0%} ({row.hours_over_of_model:.0%})",
            f"{row.held[0]:.0%} to {row.held[1]:.0%} ({row.held_of_model[0]:.0%} to {row.held_of_model[1]:.0%})",
            f"{row.by_model:.0%}",
        )
    Console(width=190).print(table)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7, help="no model was trained on days of this seed")
    parser.add_argument("--to", default="2026-03-19T00:00+01:00")
    parser.add_argument("--from", dest="file", type=Path, help="take speeds from such a file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = arguments.file or asyncio.run(_simulate(Path(name), arguments.days, arguments.seed, arguments.to))
        model = CityModel(Path(name) / "models", 300)
        artifact = model.current()
        if artifact is None:
            raise SystemExit(f"no model serves: {model.refusal}")
        speeds_kmh, begin = _read(path, artifact)
        rows = replay("as it is", model, artifact, speeds_kmh, begin)
        rows += replay("8 h off", model, artifact, speeds_kmh, begin + 8 * 3600)
    _show(rows)
    target = Path("build") / "forecast_live.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(f"written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
