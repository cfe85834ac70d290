"""Simulated days with incidents of known place and time, kept in ``build/`` by seed: making them takes a minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from trafficapp.simulation.chance import DayChance
from trafficapp.simulation.city import City
from trafficapp.simulation.days import SLOWEST_MEASURED_KMH, measurement_errors
from trafficapp.simulation.flow import CityFlow, MinuteInputs

#: In steps of so many minutes from 03:00 to 03:00 of the next day.
MINUTES_A_DAY = 1440
_SIDE_BY_SIDE = 7


@dataclass(frozen=True)
class KnownIncident:
    """An incident of the simulation.

    Attributes:
        edge: position of its road.
        begin: minutes since the first day's begin.
        end: likewise, when it is cleared.
        capacity_loss: share of its road's capacity that is lost.
    """

    edge: int
    begin: float
    end: float
    capacity_loss: float


@dataclass(frozen=True)
class IncidentDays:
    """Some days in a row.

    Attributes:
        begin: of the first, UTC.
        measured_kmh: what the feed tells, shape (minutes, roads).
        flow_vph: vehicles an hour that leave each road, likewise.
        incidents: all of them, in order.
    """

    begin: datetime
    measured_kmh: npt.NDArray[np.float32]
    flow_vph: npt.NDArray[np.float32]
    incidents: list[KnownIncident]


def incident_days(city: City, seed: int, first: date, days: int, zone: ZoneInfo, folder: Path) -> IncidentDays:
    """Days of the simulated city with the incidents that chance gives it; none changes its clock."""
    chances = [DayChance(city, seed, first + timedelta(days=number), zone) for number in range(days)]
    begin = chances[0].begin
    incidents = [
        KnownIncident(
            one.edge, after := (one.start - begin).total_seconds() / 60, after + one.minutes, one.capacity_loss
        )
        for chance in chances
        for one in chance.incidents
        if one.start >= chance.begin
    ]
    path = folder / f"incident-days-{seed}-{first}-{days}.npz"
    if not path.exists():
        measured, flows = zip(
            *(_simulated(city, chances[at : at + _SIDE_BY_SIDE]) for at in range(0, days, _SIDE_BY_SIDE)), strict=True
        )
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, measured=np.concatenate(measured), flows=np.concatenate(flows))
    with np.load(path) as kept:
        return IncidentDays(begin, kept["measured"], kept["flows"], sorted(incidents, key=lambda one: one.begin))


def _simulated(city: City, chances: list[DayChance]) -> tuple[Any, Any]:
    flow, edges = CityFlow(city, len(chances)), city.graph.edge_count
    warm_up = chances[0].minutes - MINUTES_A_DAY
    speeds, flows = np.zeros((2, len(chances), MINUTES_A_DAY, edges), np.float32)
    for minute in range(chances[0].minutes):
        inputs = [chance.inputs(minute) for chance in chances]
        moved = flow.advance(
            MinuteInputs(
                np.concatenate([each.entry_vph for each in inputs]),
                np.concatenate([each.capacity for each in inputs]),
                np.concatenate([each.free_speed for each in inputs]),
            )
        )
        if minute >= warm_up:
            speeds[:, minute - warm_up], flows[:, minute - warm_up] = moved.speed_kmh, moved.flow_vph
    for number, chance in enumerate(chances):
        speeds[number] += measurement_errors(chance, edges)[warm_up:]
    return np.maximum(speeds, SLOWEST_MEASURED_KMH).reshape(-1, edges), flows.reshape(-1, edges)
