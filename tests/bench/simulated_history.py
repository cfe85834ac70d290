"""Twenty simulated days of Bologna to learn from, and days of another seed, with other incidents, to be judged on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console

import trafficapp.simulation
from tests.bench.fits import KEPT, DataSet
from trafficapp.forecast.clock import Floats
from trafficapp.forecast.learning.history import SpeedHistory
from trafficapp.forecast.learning.windows import Split, prepare
from trafficapp.forecast.neighbours import RoadLinks
from trafficapp.forecast.profiles import HeldOutProfile
from trafficapp.forecast.quantities import SPEED
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.simulation.city import City
from trafficapp.simulation.city import bologna as simulated_bologna
from trafficapp.simulation.days import simulate_days
from trafficapp.simulation.history_files import STEP_MINUTES, step_means

HORIZONS_MINUTES = (10.0, 20.0, 30.0)
ROME = ZoneInfo("Europe/Rome")

#: Seven tenths of it, fourteen days, are trained with.
LEARNT_SEED, LEARNT = 1, (datetime(2026, 3, 2, tzinfo=ROME), datetime(2026, 3, 22, tzinfo=ROME))
#: Thursday, Friday and Saturday of the week after.
JUDGED_SEED, JUDGED = 2, (datetime(2026, 3, 26, tzinfo=ROME), datetime(2026, 3, 29, tzinfo=ROME))


def bologna(console: Console) -> DataSet:
    """The data set; what is simulated is kept beside the fits."""
    city = simulated_bologna(city_graph(RoadSettings()))
    data = prepare(_history(city, LEARNT_SEED, *LEARNT, console), HORIZONS_MINUTES)
    unseen = _history(city, JUDGED_SEED, *JUDGED, console)
    steps, nothing = len(unseen.speeds_kmh), np.zeros(0, np.int64)
    moments = np.arange(data.layout.input_steps - 1, steps - SPEED.output_steps, dtype=np.int64)
    # Judged as it serves: with the usual speeds, the links and the scaling that the model brings along.
    judged_on = replace(
        data,
        history=unseen,
        split=Split(nothing, nothing, moments),
        held_out=HeldOutProfile({}, data.smooth),
    )
    title = "Bologna, simulated, 14 days to learn from, 3 days of another seed to be judged on"
    return DataSet("bologna-simulated", title, data, judged_on)


def _history(city: City, seed: int, start: datetime, end: datetime, console: Console) -> SpeedHistory:
    graph = city.graph
    path = KEPT / f"simulated-{seed}-{start:%Y%m%d}-{end:%Y%m%d}-{_code_hash()}.npy"
    if path.exists():
        speeds: Floats = np.load(path)
    else:
        console.print(f"simulating {(end - start).days} days, seed {seed}")
        days = simulate_days(city, seed, start.astimezone(UTC), end.astimezone(UTC), ROME, (), lambda minutes: None)
        speeds = np.concatenate([step_means(day.measured_kmh) for day in days]).astype(np.float32)
        KEPT.mkdir(parents=True, exist_ok=True)
        np.save(path, speeds)
    links = RoadLinks(graph.edge_count, graph.turn_from, graph.turn_to, city.turn_share.astype(np.float32))
    return SpeedHistory(
        tuple(graph.edge_ids.tolist()), start.astimezone(UTC), STEP_MINUTES * 60, speeds, ROME.key, links
    )


def _code_hash() -> str:
    digest = sha256()
    for path in sorted(Path(trafficapp.simulation.__file__).parent.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
