"""Forecasts beside simple rules: ``python -m tests.bench.forecast`` prints a table and writes ``build/forecast.json``.

Every network is fitted with several seeds, one thread. What is fitted is kept under ``build/forecast/``, so that the
run can be stopped and goes on where it was; ``--only lstm:1`` fits one and stops, ``--fresh`` begins again.
"""

from __future__ import annotations

import argparse
import ast
import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import trafficapp.forecast
from trafficapp.forecast.history import KMH_PER_MPH, read_history
from trafficapp.forecast.judging import judge
from trafficapp.forecast.training import MODELS, train
from trafficapp.forecast.windows import TrainingData, prepare

ROOT = Path(__file__).resolve().parents[2]
SPEEDS = ROOT.parent / "shared" / "data" / "forecast" / "metr_la_week1.npz"
KEPT = ROOT / "build" / "forecast"
RESULT = ROOT / "build" / "forecast.json"

HORIZONS_MINUTES = (10.0, 15.0, 20.0, 30.0)

#: Given with the task: measured by others on exactly this split, one thread. MAE in mph.
REFERENCES = {
    "profile-smoothed AR": (3.03, 3.35, 3.59, 3.96),
    "graph-aware linear": (2.96, 3.27, 3.50, 3.92),
    "ST-GCN, the change": (2.68, 2.94, 3.13, 3.44),
    "STID, neighbour means": (2.67, 2.93, 3.12, 3.44),
    "mean of three such": (2.64, 2.89, 3.07, 3.36),
}

_FIGURES = ("mae", "rmse", "mape")
#: What decides about a fit; when one of these changes, what was kept is of another model.
_DECIDING = ("features", "fitting", "history", "judging", "neighbours", "networks", "profiles", "training", "windows")


def code_hash() -> str:
    """Of the sources that decide about a fit, however they are laid out."""
    folder = Path(trafficapp.forecast.__file__).parent
    trees = [ast.dump(ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))) for name in _DECIDING]
    return sha256("".join(trees).encode()).hexdigest()[:12]


def figures(score: Any) -> dict[str, float]:
    """Errors in mph, as the data's own baselines are given."""
    return {
        "mae": score.mae_kmh / KMH_PER_MPH,
        "rmse": score.rmse_kmh / KMH_PER_MPH,
        "mape": score.mape_percent,
        "r2": score.r2,
    }


def fitted(kind: str, seed: int, data: TrainingData, console: Console) -> dict[str, Any]:
    """One fit's figures, from what was kept or fresh."""
    path = KEPT / f"{kind}-{seed}-{code_hash()}.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def watch(epoch: int, epochs: int, mae_kmh: float) -> None:
        console.print(f"{kind} seed {seed}: epoch {epoch}/{epochs}, validation {mae_kmh / KMH_PER_MPH:.3f} mph")

    done = train(kind, data, seed=seed, watch=watch)
    kept = {
        "test": [figures(score) for score in done.judged.test["model"]],
        "minutes": done.seconds / 60,
        "epochs": done.epochs[0],
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    temporary.write_text(json.dumps(kept))
    temporary.replace(path)
    return kept


def rows_of(model: str, fits: list[list[dict[str, float]]]) -> list[dict[str, Any]]:
    """A row a horizon: means over the seeds, and half the distance between the best and the worst MAE as spread."""
    rows = []
    for place, minutes in enumerate(HORIZONS_MINUTES):
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


def show(rows: list[dict[str, Any]], minutes: dict[str, list[float]], console: Console) -> None:
    """Print the table."""
    table = Table(title="METR-LA, first week, last 20 % of it: MAE in mph (RMSE in mph, MAPE in %)")
    table.add_column("model")
    for horizon in HORIZONS_MINUTES:
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
    table.add_section()
    for name, maes in REFERENCES.items():
        table.add_row(f"reference: {name}", *(f"{mae:.2f}" for mae in maes), "", style="dim")
    console.print(table)
    console.print("Minutes are of one thread for one seed. ± is half the distance between the seeds' best and worst.")


def wrong(rows: list[dict[str, Any]]) -> list[str]:
    """What does not hold of what is claimed of ours."""
    by = {(row["model"], row["horizon_minutes"]): row for row in rows}
    found = []
    for horizon in HORIZONS_MINUTES:
        ours = by["ours", horizon]
        for model in dict.fromkeys(row["model"] for row in rows):
            if model != "ours" and by[model, horizon]["mae"] <= ours["worst_mae"]:
                found.append(f"{horizon:g} min: {model} is not worse than ours")
        if ours["rmse"] > by["linear_ar", horizon]["rmse"]:
            found.append(f"{horizon:g} min: the RMSE of ours is above that of the linear AR")
    return found


def main() -> None:
    """Fit, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=SPEEDS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="fit one and stop: MODEL:SEED")
    parser.add_argument("--fresh", action="store_true", help="forget what was fitted before")
    arguments = parser.parse_args()
    console = Console(width=200)
    if not arguments.file.exists():
        raise SystemExit(f"{arguments.file} is not there; this benchmark needs the first week of METR-LA")
    torch.set_num_threads(1)
    if arguments.fresh:
        shutil.rmtree(KEPT, ignore_errors=True)
    data = prepare(read_history(arguments.file, zone="America/Los_Angeles"), HORIZONS_MINUTES)
    if arguments.only:
        kind, seed = arguments.only.split(":")
        console.print(fitted(kind, int(seed), data, console))
        return
    linear = data.linear_ar()
    baselines = judge(data, linear, data.baselines(data.split.test, linear)["last_value"], data.split.test)
    rows = [
        row
        for name, found in baselines.items()
        if name != "model"
        for row in rows_of(name, [[figures(score) for score in found]])
    ]
    minutes = {}
    for kind in MODELS:
        fits = [fitted(kind, seed, data, console) for seed in range(arguments.seeds)]
        minutes[kind] = [fit["minutes"] for fit in fits]
        rows += rows_of(kind, [fit["test"] for fit in fits])
    show(rows, minutes, console)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")
    console.print(f"{RESULT.relative_to(ROOT)} written")
    if found := wrong(rows):
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
