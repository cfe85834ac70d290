"""Forecasts beside simple rules: ``python -m tests.bench.forecast`` prints tables and writes ``build/forecast*.json``.

Of METR-LA, whose references others measured, and of the simulated city, on days and incidents never trained on. Every
network is fitted with several seeds, one thread. What is fitted is kept under ``build/forecast/``, so that the run can
be stopped and goes on where it was; ``--only metr-la:lstm:1`` fits one and stops, ``--fresh`` begins again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from tests.bench.fits import KEPT, ROOT, DataSet, baseline_rows, fitted, model_rows, table_of, wrong
from tests.bench.simulated_history import bologna
from trafficapp.forecast.learning.history import KMH_PER_MPH, read_history
from trafficapp.forecast.learning.windows import prepare

SPEEDS = ROOT.parent / "shared" / "data" / "forecast" / "metr_la_week1.npz"
HORIZONS_MINUTES = (10.0, 15.0, 20.0, 30.0)

#: Given with the task: measured by others on exactly this split, one thread. MAE in mph.
REFERENCES = {
    "profile-smoothed AR": (3.03, 3.35, 3.59, 3.96),
    "graph-aware linear": (2.96, 3.27, 3.50, 3.92),
    "ST-GCN, the change": (2.68, 2.94, 3.13, 3.44),
    "STID, neighbour means": (2.67, 2.93, 3.12, 3.44),
    "mean of three such": (2.64, 2.89, 3.07, 3.36),
}

#: Where the rows of each data set are written.
RESULTS = {
    "metr-la": ROOT / "build" / "forecast.json",
    "bologna-simulated": ROOT / "build" / "forecast-bologna.json",
}


def metr_la(path: Path) -> DataSet:
    """A week of loop detectors; the last fifth of it is judged. Errors in mph, as the references are given."""
    data = prepare(read_history(path, zone="America/Los_Angeles"), HORIZONS_MINUTES)
    return DataSet("metr-la", "METR-LA, first week, last 20 % of it", data, data, "mph", KMH_PER_MPH)


def compare(data_set: DataSet, seeds: int, console: Console) -> list[str]:
    """Fit, compare, print and write; what does not hold of what is claimed."""
    fits, minutes = model_rows(data_set, seeds, lambda kind, seed: fitted(kind, seed, data_set, console))
    rows: list[dict[str, Any]] = baseline_rows(data_set) + fits
    table = table_of(data_set, rows, minutes)
    if data_set.name == "metr-la":
        table.add_section()
        for name, maes in REFERENCES.items():
            table.add_row(f"reference: {name}", *(f"{mae:.2f}" for mae in maes), "", style="dim")
    console.print(table)
    path = RESULTS[data_set.name]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")
    console.print(f"{path.relative_to(ROOT)} written")
    return [f"{data_set.name}, {fault}" for fault in wrong(rows)]


def main() -> None:
    """Both data sets, or the one that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=[*RESULTS], help="only this data set")
    parser.add_argument("--file", type=Path, default=SPEEDS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="fit one and stop: DATA:MODEL:SEED")
    parser.add_argument("--fresh", action="store_true", help="forget what was fitted before")
    arguments = parser.parse_args()
    console = Console(width=200)
    torch.set_num_threads(1)
    if arguments.fresh:
        shutil.rmtree(KEPT, ignore_errors=True)
    only = arguments.only.split(":") if arguments.only else None
    chosen = only[0] if only else arguments.data
    if chosen != "bologna-simulated" and not arguments.file.exists():
        raise SystemExit(f"{arguments.file} is not there; this benchmark needs the first week of METR-LA")
    makers = {"metr-la": lambda: metr_la(arguments.file), "bologna-simulated": lambda: bologna(console)}
    faults: list[str] = []
    for name, make in makers.items():
        if chosen not in (None, name):
            continue
        data_set = make()
        if only:
            console.print(fitted(only[1], int(only[2]), data_set, console))
            return
        faults += compare(data_set, arguments.seeds, console)
    console.print("Minutes are of one thread for one seed. ± is half the distance between the seeds' best and worst.")
    if faults:
        raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
