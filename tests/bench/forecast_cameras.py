"""Forecasts of cameras beside simple rules: ``python -m tests.bench.forecast_cameras``, a part of bench-forecast.

Models learn from simulated days of Bologna's forty cameras and their lanes, and are judged on days of another seed,
with other incidents. Prints a table, writes ``build/forecast-cameras.json``, and fails when the default kind
of cameras is not better than every simple rule at every horizon. Fits are kept under ``build/forecast/``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from rich.console import Console

from tests.bench.fits import KEPT, ROOT, DataSet, baseline_rows, fitted, rows_of, table_of
from tests.bench.simulated_history import JUDGED, JUDGED_SEED, LEARNT, LEARNT_SEED, ROME
from trafficapp.forecast.artifacts.shipped import camera_model
from trafficapp.forecast.baselines import RIVALS
from trafficapp.forecast.features import build_features
from trafficapp.forecast.learning.history import SpeedHistory
from trafficapp.forecast.learning.judging import MODEL, judge
from trafficapp.forecast.learning.training import MODELS
from trafficapp.forecast.learning.windows import Split, prepare
from trafficapp.forecast.quantities import CONGESTION_SCORE
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings, load_settings
from trafficapp.simulation.city import bologna
from trafficapp.simulation.commands import scales_of
from trafficapp.simulation.history_files import Span, write_history
from trafficapp.simulation.views import shipped_views
from trafficapp.training.camera_histories import from_file
from trafficapp.training.commands import CAMERAS, DEFAULT_KINDS

#: The name of the shipped model in the table.
SHIPPED = "shipped"

RESULT = ROOT / "build" / "forecast-cameras.json"

#: Shown are a few of the thirteen horizons.
SHOWN_MINUTES = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0)


def history(seed: int, start: datetime, end: datetime, console: Console) -> SpeedHistory:
    """Simulated scores by the minute, made once."""
    path = KEPT / f"cameras-{seed}-{start:%Y%m%d}-{end:%Y%m%d}.parquet"
    if not path.exists():
        console.print(f"simulating {(end - start).days} days of cameras, seed {seed}")
        KEPT.mkdir(parents=True, exist_ok=True)
        graph = city_graph(RoadSettings())
        views = shipped_views(graph)
        span, writing = Span(seed, start.astimezone(UTC), end.astimezone(UTC), ROME), path.with_suffix(".writing")
        write_history(bologna(graph), span, None, writing, views, scales_of(load_settings(), views))
        writing.replace(path)
    return from_file(path, RoadSettings()).history


def cameras(console: Console) -> DataSet:
    """The data set; errors are in hundredths of the score."""
    data = prepare(history(LEARNT_SEED, *LEARNT, console), CONGESTION_SCORE.horizons_minutes)
    unseen = history(JUDGED_SEED, *JUDGED, console)
    if unseen.road_ids != data.history.road_ids:
        raise SystemExit("the judged days have other cameras or lanes than those that were learnt from")
    nothing = np.zeros(0, np.int64)
    moments = np.arange(data.layout.input_steps - 1, len(unseen.speeds_kmh) - CONGESTION_SCORE.output_steps)
    # Judged as it serves: with the usual scores, the links and the scaling that the model brings along.
    judged_on = replace(data.as_served(), history=unseen, split=Split(nothing, nothing, moments))
    title = "40 cameras and 99 lanes, simulated, 14 days to learn from, 3 days of another seed to be judged on"
    return DataSet("bologna-cameras", title, data, judged_on, "hundredths of the score", 0.01)


def shipped_rows(data_set: DataSet) -> list[dict[str, Any]]:
    """Rows of the model that is shipped with the program, whatever it learnt from."""
    artifact = camera_model(load_settings(forecast={"models_dir": KEPT / "no models"}, roads=RoadSettings())).current()
    if artifact is None:
        return []
    data, moments = data_set.judged_on, data_set.judged_on.split.test
    if artifact.about.road_ids != data.history.road_ids:
        raise SystemExit("the shipped model is of other cameras or lanes than the simulated ones")
    said = []
    for part in np.array_split(moments, len(moments) // 200):
        times = data.history.times[part]
        features = build_features(
            artifact.about.layout, artifact.neighbours, artifact.knowledge.smooth, data.recent(part), times
        )
        said.append(artifact.about.layout.speeds(artifact.network.run(features.roads, features.clock)))
    judged = judge(data, data_set.data.linear_ar(), np.concatenate(said), moments)
    return rows_of(data_set, SHIPPED, [[data_set.figures(score) for score in judged[MODEL]]])


def wrong(rows: list[dict[str, Any]]) -> list[str]:
    """Where the default kind, or the shipped model, is not better than the simple rules."""
    by = {(row["model"], row["horizon_minutes"]): row for row in rows}
    return [
        f"{horizon:g} min: {baseline} is not worse than {kind}"
        for kind in (DEFAULT_KINDS[CAMERAS], SHIPPED)
        for horizon in CONGESTION_SCORE.horizons_minutes
        for baseline in RIVALS
        if (kind, horizon) in by and by[baseline, horizon]["mae"] <= by[kind, horizon]["worst_mae"]
    ]


def main() -> None:
    """Fit, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--models", default=",".join(MODELS), help="which ones, such as stgcn,ours; none: only the shipped one"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=200)
    data_set = cameras(console)
    rows, minutes = [*baseline_rows(data_set), *shipped_rows(data_set)], {}
    for kind in [] if arguments.models == "none" else arguments.models.split(","):
        fits = [fitted(kind, seed, data_set, console) for seed in range(arguments.seeds)]
        minutes[kind] = [one["minutes"] for one in fits]
        rows += rows_of(data_set, kind, [one["test"] for one in fits])
    console.print(table_of(data_set, [row for row in rows if row["horizon_minutes"] in SHOWN_MINUTES], minutes))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")
    console.print(f"{RESULT.relative_to(ROOT)} written")
    if found := wrong(rows):
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
