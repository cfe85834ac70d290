"""Incident detection algorithms of the field, on all roads at once, minute by minute.

California #7 is recommended by TTI report 1232-20 (Payne and Tignor, "Freeway incident-detection algorithms based on
decision trees with states", 1978). It compares the occupancies of a detector and of the next one downstream. A detector
stands on each road here, and its occupancy follows from flow and speed, which is more than a feed of speeds has.
Standard normal deviates, of speeds, are those of Dudek, Messer and Nuckles, "Incident detection on urban freeways",
1974.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.bench.incident_days import IncidentDays
from trafficapp.roads.graph.road_graph import RoadGraph

#: Mean length of a vehicle and of a detector together, metres, as usual for occupancy from density.
_EFFECTIVE_M = 6.5

Alarms = npt.NDArray[np.bool_]


def downstream(graph: RoadGraph) -> list[list[int]]:
    """Roads that one drives onto from each, without turning round."""
    found: list[list[int]] = [[] for _ in range(graph.edge_count)]
    for before, after in zip(graph.turn_from.tolist(), graph.turn_to.tolist(), strict=True):
        back = graph.edge_from[after] == graph.edge_to[before] and graph.edge_to[after] == graph.edge_from[before]
        if not back:
            found[before].append(after)
    return found


class California7:
    """Of all roads; the next detector downstream is that of the road with the most flow."""

    name = "California #7"

    def __init__(self, days: IncidentDays, graph: RoadGraph) -> None:
        lanes = np.maximum(graph.lanes.astype(float), 1)
        density = days.flow_vph / np.maximum(days.measured_kmh, 1.0)
        occupancy = np.minimum(density / lanes * _EFFECTIVE_M / 10, 100.0)
        mean_flow = days.flow_vph.mean(axis=0)
        after = [max(one, key=lambda road: mean_flow[road], default=-1) for one in downstream(graph)]
        self._down = np.where(np.array(after) >= 0, occupancy[:, after], 0.0)
        self._difference = occupancy - self._down
        self._relative = self._difference / np.maximum(occupancy, 1.0)

    @staticmethod
    def choices() -> Iterator[tuple[float, ...]]:
        """Thresholds to choose from: difference in points, its share, downstream occupancy in points."""
        yield from itertools.product((5, 10, 15, 20, 25, 30, 40), (0.3, 0.5, 0.6, 0.7, 0.8, 0.9), (5, 10, 15, 20, 30))

    def alarms(self, difference: float, relative: float, down: float) -> Alarms:
        """Tentative in a minute, and confirmed in the next."""
        tentative = (self._difference >= difference) & (self._relative >= relative) & (self._down <= down)
        told: Alarms = np.zeros_like(tentative)
        told[1:] = tentative[:-1] & (self._relative[1:] >= relative)
        return told


class NormalDeviate:
    """How many standard deviations a speed is below the mean of the minutes before, twice running."""

    name = "standard normal deviate"

    def __init__(self, days: IncidentDays, graph: RoadGraph) -> None:
        self._kmh = days.measured_kmh.astype(float)
        self._deviates: dict[int, Any] = {}

    @staticmethod
    def choices() -> Iterator[tuple[float, ...]]:
        """Minutes of the mean, and deviates."""
        yield from itertools.product((5, 10, 15, 30), (3, 4, 5, 6, 8, 10, 14, 20, 30))

    def alarms(self, minutes: float, deviates: float) -> Alarms:
        """The mean is that before the first of both minutes."""
        count = int(minutes)
        if count not in self._deviates:
            sums = np.concatenate([np.zeros((1, self._kmh.shape[1])), np.cumsum(self._kmh, axis=0)])
            squares = np.concatenate([np.zeros((1, self._kmh.shape[1])), np.cumsum(self._kmh**2, axis=0)])
            mean = (sums[count:-1] - sums[: -count - 1]) / count
            spread = np.sqrt(np.maximum((squares[count:-1] - squares[: -count - 1]) / count - mean**2, 0.25))
            # row i speaks of the minutes i to i + count - 1, and is held against the two behind them
            first = (mean - self._kmh[count:]) / spread
            second = (mean[:-1] - self._kmh[count + 1 :]) / spread[:-1]
            self._deviates[count] = np.minimum(first[:-1], second)
        told: Alarms = np.zeros(self._kmh.shape, bool)
        told[count + 1 :] = self._deviates[count] >= deviates
        return told
