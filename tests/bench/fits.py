"""Fits of all models to a data set, with several seeds, kept so that a measurement can be stopped and goes on."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import trafficapp.forecast
from trafficapp.forecast.baselines import LINEAR_AR, SMOOTHED_AR
from trafficapp.forecast.learning.fitting import predict
from trafficapp.forecast.learning.judging import MODEL, judge
from trafficapp.forecast.learning.scores import Score
from trafficapp.forecast.learning.training import MODELS, train
from trafficapp.forecast.learning.windows import TrainingData

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "forecast"

_FIGURES = ("mae", "rmse", "mape")
#: What decides about a fit; when one of these changes, what was kept is of another model.
_DECIDING = (
    *("baselines", "clock", "features", "fitting", "history", "judging", "neighbours", "networks", "profiles"),
    *("quantities", "scores", "training", "windows"),
)


@dataclass(frozen=True)
class DataSet:
    """What models are fitted to, and what they are judged on.

    Attributes:
        name: in names of files.
        title: of the table.
        data: they are fitted to its training and validation parts.
        judged_on: they are judged on its test part.
        unit, kmh: of the errors, and how many km/h it is.
    """

    name: str
    title: str
    data: TrainingData
    judged_on: TrainingData
    unit: str = "km/h"
    kmh: float = 1.0

    @property
    def horizons_minutes(self) -> tuple[float, ...]:
        """Of the predictions."""
        return self.data.layout.horizons_minutes

    def figures(self, score: Score) -> dict[str, float]:
        """Errors in the unit of the data set."""
        return {
            "mae": score.mae_kmh / self.kmh,
            "rmse": score.rmse_kmh / self.kmh,
            "mape": score.mape_percent,
            "r2": score.r2,
        }

    def key(self) -> str:
        """What tells fits to these data with this code from any others; how sources are laid out is no matter."""
        folder = Path(trafficapp.forecast.__file__).parent
        trees = [
            ast.dump(ast.parse(next(folder.rglob(f"{name}.py")).read_text(encoding="utf-8"))) for name in _DECIDING
        ]
        digest = sha256("".join(trees).encode())
        for data in (self.data, self.judged_on):
            digest.update(data.history.speeds_kmh.tobytes() + repr((data.layout, data.history.start)).encode())
        return digest.hexdigest()[:12]


def baseline_rows(data_set: DataSet) -> list[dict[str, Any]]:
    """Rows of the simple rules."""
    data, moments = data_set.judged_on, data_set.judged_on.split.test
    linear = data_set.data.linear_ar()
    judged = judge(data, linear, data.baselines(moments, linear)["last_value"], moments)
    return [
        row
        for name, found in judged.items()
        if name != MODEL
        for row in rows_of(data_set, name, [[data_set.figures(score) for score in found]])
    ]


def fitted(kind: str, seed: int, data_set: DataSet, console: Console) -> dict[str, Any]:
    """One fit's figures, from what was kept or fresh."""
    path = KEPT / f"{data_set.name}-{kind}-{seed}-{data_set.key()}.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def watch(epoch: int, epochs: int, mae_kmh: float) -> None:
        mae = f"{mae_kmh / data_set.kmh:.3f} {data_set.unit}"
        console.print(f"{data_set.name}, {kind} seed {seed}: epoch {epoch}/{epochs}, validation {mae}")

    done = train(kind, data_set.data, seed=seed, watch=watch)
    data, moments = data_set.judged_on, data_set.judged_on.split.test
    judged = judge(data, done.linear, predict(done.network, data, moments), moments)
    kept = {
        "test": [data_set.figures(score) for score in judged[MODEL]],
        "minutes": done.seconds / 60,
        "epochs": done.epochs[0],
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    temporary.write_text(json.dumps(kept))
    temporary.replace(path)
    return kept


def model_rows(
    data_set: DataSet, seeds: int, fit: Callable[[str, int], dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """Rows of all networks, and the minutes that each of their fits took."""
    rows, minutes = [], {}
    for kind in MODELS:
        fits = [fit(kind, seed) for seed in range(seeds)]
        minutes[kind] = [one["minutes"] for one in fits]
        rows += rows_of(data_set, kind, [one["test"] for one in fits])
    return rows, minutes


def rows_of(data_set: DataSet, model: str, fits: list[list[dict[str, float]]]) -> list[dict[str, Any]]:
    """A row a horizon: means over the seeds, and half the distance between the best and the worst MAE as spread."""
    rows = []
    for place, minutes in enumerate(data_set.horizons_minutes):
        maes = [fit[place]["mae"] for fit in fits]
        means = {name: float(np.mean([fit[place][name] for fit in fits])) for name in (*_FIGURES, "r2")}
        rows.append(
            {
                "model": model,
                "horizon_minutes": minutes,
                **{name: round(value, 4) for name, value in means.items()},
                "spread": round((max(maes) - min(maes)) / 2, 4),
                "worst_mae": round(max(maes), 4),
                "seeds": len(fits),
            }
        )
    return rows


def table_of(data_set: DataSet, rows: list[dict[str, Any]], minutes: dict[str, list[float]]) -> Table:
    """The rows for people."""
    table = Table(title=f"{data_set.title}: MAE in {data_set.unit} (RMSE in {data_set.unit}, MAPE in %)")
    table.add_column("model")
    for horizon in dict.fromkeys(row["horizon_minutes"] for row in rows):
        table.add_column(f"{horizon:g} min", justify="right")
    table.add_column("fitted in", justify="right")
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        cells = [
            f"{row['mae']:.3f}"
            + (f" ± {row['spread']:.3f}" if row["seeds"] > 1 else "")
            + f" ({row['rmse']:.2f}, {row['mape']:.1f})"
            for row in own
        ]
        took = f"{np.mean(minutes[model]):.1f} min" if model in minutes else "-"
        table.add_row(model, *cells, took)
    return table


def wrong(rows: list[dict[str, Any]]) -> list[str]:
    """What does not hold of what is claimed of ours: its worst seed is better than every other model's mean."""
    by = {(row["model"], row["horizon_minutes"]): row for row in rows}
    found = []
    for horizon in dict.fromkeys(row["horizon_minutes"] for row in rows):
        ours = by["ours", horizon]
        for model in dict.fromkeys(row["model"] for row in rows):
            if model != "ours" and by[model, horizon]["mae"] <= ours["worst_mae"]:
                found.append(f"{horizon:g} min: {model} is not worse than ours")
        for rule in (LINEAR_AR, SMOOTHED_AR):
            if ours["rmse"] > by[rule, horizon]["rmse"]:
                found.append(f"{horizon:g} min: the RMSE of ours is above that of {rule}")
    return found
