"""How many vehicles pass along each edge when single vehicles drive through the city, on average.

The flow (`flow`) holds back whoever finds no room. Single vehicles (`vehicles`) do not: they enter and turn as it says
and drive at its speeds, so more or fewer of them may be where roads are jammed. These are their mean numbers.
"""

from __future__ import annotations

import numpy as np

from trafficapp.simulation.city import City, Floats
from trafficapp.simulation.flow import MinuteTraffic

_STEP_SECONDS = 5.0
_STEPS_PER_MINUTE = 12


class VehicleStreams:
    """Mean streams of `Vehicles` on one or more independent days of a city; empty at first.

    Args:
        city: the city.
        days: how many are moved side by side.
    """

    def __init__(self, city: City, days: int = 1) -> None:
        graph = city.graph
        self._length_km = graph.length_m / 1000
        self._onward = np.zeros((graph.edge_count, graph.edge_count))
        self._onward[graph.turn_from, graph.turn_to] = city.turn_share
        self._onward *= (1 - city.arrive_share)[:, None]
        self._vehicles = np.zeros((days, graph.edge_count))

    def advance(self, traffic: MinuteTraffic) -> Floats:
        """Move on by a minute; return vehicles an hour on each edge, shape (days, edges)."""
        hours = _STEP_SECONDS / 3600
        leaving_share = 1 - np.exp(-traffic.speed_kmh / self._length_km * hours)
        entering = traffic.entered_vph * hours
        passed = np.zeros_like(self._vehicles)
        for _ in range(_STEPS_PER_MINUTE):
            leaving = self._vehicles * leaving_share
            self._vehicles += entering + leaving @ self._onward - leaving
            passed += leaving
        return passed * 60
