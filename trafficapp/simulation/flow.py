"""How traffic moves through the city: a queue on every edge, junctions that let through what fits.

The link queue model (W.-L. Jin, "A link queue model of network traffic flow", 2012): an edge sends and takes what its
mean density allows on a triangular fundamental diagram (Newell, "A simplified theory of kinematic waves", 1993). At
junctions vehicles keep their order and merge in proportion to who wants in (Jin and Zhang, "On the distribution
schemes for determining flows through a merge", 2003). What does not fit stays: queues grow upstream and take time to
dissolve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trafficapp.simulation.city import City, Floats

STEP_SECONDS = 5.0
STEPS_PER_MINUTE = 12
SLOWEST_KMH = 1.5
#: Who finds the way barred is passed by this share of those that go elsewhere: roads have more than one lane.
_PASSING_SHARE = 0.35
#: Vehicles that wait outside of the city to enter at an edge; whoever finds more before them goes elsewhere.
_LONGEST_OUTSIDE = 100.0
#: Others on the road slow down before there is a queue: the function of the Bureau of Public Roads (1964).
_BPR_FACTOR, _BPR_POWER = 0.15, 4


@dataclass(frozen=True, eq=False)
class MinuteInputs:
    """What acts on the city in a minute; the first axis is days (or any number of cities side by side).

    Attributes:
        entry_vph: vehicles an hour that want to enter, shape (days, edges).
        capacity: share of each edge's capacity that is left, (days, edges).
        free_speed: share of the free speed that is driven, (days, edges): less in rain.
    """

    entry_vph: Floats
    capacity: Floats
    free_speed: Floats


@dataclass(frozen=True, eq=False)
class MinuteTraffic:
    """Means over a minute, each of shape (days, edges).

    Attributes:
        speed_kmh: length through time under way, the wait at the signal counted in.
        flow_vph: vehicles an hour that leave the edge.
        entered_vph: vehicles an hour that begin their drive on it.
        vehicles: on the edge.
    """

    speed_kmh: Floats
    flow_vph: Floats
    entered_vph: Floats
    vehicles: Floats


class CityFlow:
    """The queues of one or more independent days of a city; empty at first.

    Args:
        city: the city.
        days: how many are moved side by side.
    """

    def __init__(self, city: City, days: int = 1) -> None:
        self.city = city
        graph = city.graph
        order = np.argsort(graph.turn_from, kind="stable")
        self._turn_to = graph.turn_to[order]
        self._senders, self._begins = np.unique(graph.turn_from[order], return_index=True)
        self._onward = np.zeros((graph.edge_count, graph.edge_count))
        self._onward[graph.turn_from, graph.turn_to] = city.turn_share
        self._onward *= (1 - city.arrive_share)[:, None]
        self._length_km = city.length_m / 1000
        self._density_vpkm = np.zeros((days, graph.edge_count))
        self._outside = np.zeros((days, graph.edge_count))

    def advance(self, inputs: MinuteInputs) -> MinuteTraffic:
        """Move on by a minute."""
        city = self.city
        free_kmh = city.empty_kmh * inputs.free_speed
        capacity_vph = city.capacity_vph * inputs.capacity
        sums = np.zeros((3, *self._density_vpkm.shape))
        wave_kmh = city.capacity_vph / (city.jam_vpkm - city.capacity_vph / free_kmh)
        for _ in range(STEPS_PER_MINUTE):
            step = self._step(inputs.entry_vph, free_kmh, wave_kmh, capacity_vph)
            for total, mean in zip(sums, step, strict=True):
                total += mean
        flow_vph, entered_vph, density_vpkm = sums / STEPS_PER_MINUTE
        driving_kmh = np.divide(flow_vph, density_vpkm, out=free_kmh.copy(), where=density_vpkm > 1e-6)
        load = np.minimum(flow_vph / (city.green * capacity_vph), 1.0)
        company = 1 + _BPR_FACTOR * (flow_vph / capacity_vph) ** _BPR_POWER
        hours = self._length_km * company / np.maximum(driving_kmh, SLOWEST_KMH) + city.wait_hours(load)
        speed_kmh = np.clip(self._length_km / hours, SLOWEST_KMH, free_kmh)
        vehicles = np.maximum(density_vpkm, flow_vph / speed_kmh) * city.graph.length_m / 1000
        return MinuteTraffic(speed_kmh, flow_vph, entered_vph, vehicles)

    def _step(
        self, entry_vph: Floats, free_kmh: Floats, wave_kmh: Floats, capacity_vph: Floats
    ) -> tuple[Floats, Floats, Floats]:
        city, density = self.city, self._density_vpkm
        hours = STEP_SECONDS / 3600
        sends = np.minimum(density * free_kmh, capacity_vph * city.green)
        takes = np.minimum(city.capacity_vph, wave_kmh * np.maximum(city.jam_vpkm - density, 0.0))
        waiting_vph = entry_vph + self._outside / hours
        wanted = sends @ self._onward + waiting_vph
        room = np.minimum(takes / np.maximum(wanted, 1e-9), 1.0)
        # In order: nobody leaves an edge faster than the one whose way is barred, but some pass.
        first = np.ones_like(density)
        first[:, self._senders] = np.minimum.reduceat(room[:, self._turn_to], self._begins, axis=1)
        moving = sends * first
        passing = sends - moving
        onward = moving @ self._onward + _PASSING_SHARE * (passing @ self._onward) * room
        leaves = moving + _PASSING_SHARE * passing * (room @ self._onward.T + city.arrive_share)
        entered = waiting_vph * room
        self._outside += (entry_vph - entered) * hours
        np.clip(self._outside, 0.0, _LONGEST_OUTSIDE, out=self._outside)
        self._density_vpkm = np.maximum(density + (onward + entered - leaves) * hours / self._length_km, 0.0)
        return leaves, entered, density
