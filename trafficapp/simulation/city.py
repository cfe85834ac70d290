"""The city as the simulation sees it: where vehicles enter, which way they turn, how much a junction lets through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trafficapp.roads.graph.road_graph import RoadGraph

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Vehicles an hour that one lane passes at most, as the Highway Capacity Manual has it for urban streets, rounded.
LANE_CAPACITY_VPH = 1800.0
#: Standing vehicles on a kilometre of lane: 7.5 m each, the default of SUMO, which made the recording.
LANE_JAM_VPKM = 1000 / 7.5
#: Shorter edges count as this long: within one step of the flow nobody passes more than an edge.
SHORTEST_M = 75.0

#: Cameras of the recording at free roads see 0.84 to 0.94 of the speed limit.
_LIMIT_SHARE = 0.93
CYCLE_SECONDS = 90.0
#: Signals are set so that the morning peak takes this share of what the heaviest edge of a phase lets through. What
#: is left of the cycle belongs to people on foot and to streets that are not on the graph.
_PEAK_LOAD = 1.03
#: Share of a cycle that is green for anybody; the rest is lost between the phases.
_GREEN_IN_ALL = 0.92
_LEAST_GREEN = 0.2
#: From this distance on, a signal knows nothing of the one before.
_UNCOORDINATED_M = 200.0
#: Edges nobody was counted on have some traffic all the same, and rare turns are made now and then.
_UNCOUNTED_ENTRY_VPH = 20.0
_UNCOUNTED_TURN_VPH = 1.0


@dataclass(frozen=True, eq=False)
class City:
    """What is fixed by the graph and the counts; chance comes from the seed, not from here.

    Attributes:
        graph: the road graph; edges and turns are named by their position in it.
        entry_vph: vehicles an hour that enter at each edge in the morning peak.
        arrive_share: share of the vehicles at the end of an edge that have arrived and leave the city.
        turn_share: share of the others that take each turn, 1 in all for each edge.
        length_m: length of each edge, `SHORTEST_M` at least.
        capacity_vph: what passes along each edge at most.
        jam_vpkm: vehicles on a kilometre of each edge when it stands.
        green: share of the time in which the end of each edge is open.
        peak_vph: vehicles an hour on each edge in the morning peak, were there room for all.
    """

    graph: RoadGraph
    entry_vph: Floats
    arrive_share: Floats
    turn_share: Floats
    length_m: Floats
    capacity_vph: Floats
    jam_vpkm: Floats
    green: Floats
    peak_vph: Floats

    def wait_hours(self, load: Floats) -> Floats:
        """Mean wait at the signal: who comes in red waits for green, and the more for each other the more there are.

        Uniform and incremental delay of the Highway Capacity Manual (2000, equations 16-11 and 16-12), the first of
        which is Webster's. Signals that follow each other closely are set for one another and count less.

        Args:
            load: flow as a share of what the signal lets through, at most 1, shape (..., edges).
        """
        uniform = CYCLE_SECONDS * (1 - self.green) ** 2 / (2 * (1 - np.minimum(self.green * load, 0.99)))
        in_a_quarter = self.green * self.capacity_vph / 4
        incremental = 225 * (load - 1 + np.sqrt((load - 1) ** 2 + 4 * load / in_a_quarter))
        seconds = uniform + np.where(self.green < 1, incremental, 0.0)
        hours: Floats = seconds * np.minimum(self.graph.length_m / _UNCOORDINATED_M, 1.0) / 3600
        return hours

    @property
    def empty_kmh(self) -> Floats:
        """Mean speed on empty edges away from signals: not everybody drives as fast as allowed."""
        speed: Floats = self.graph.free_flow_kmh * _LIMIT_SHARE
        return speed

    @property
    def free_flow_kmh(self) -> Floats:
        """Speed of an empty edge, the wait at its signal counted in: what a speed feed calls free flow."""
        length_km = self.length_m / 1000
        hours = length_km / self.empty_kmh + self.wait_hours(np.zeros(self.graph.edge_count))
        speed: Floats = length_km / hours
        return speed


def make_city(graph: RoadGraph, counts: Mapping[str, Any]) -> City:
    """Put the counts of a peak hour onto a graph.

    Args:
        graph: the road graph.
        counts: ``entries`` and ``arrivals`` by edge, ``turns`` as [from, to, vehicles], ``signals`` (nodes).

    Raises:
        KeyError: a counted edge or signal is not on the graph.
    """
    place = graph.position_of_edge
    entry_vph, arrive_vph = np.zeros(graph.edge_count), np.zeros(graph.edge_count)
    for edge, vehicles in counts["entries"].items():
        entry_vph[place[edge]] = vehicles
    for edge, vehicles in counts["arrivals"].items():
        arrive_vph[place[edge]] = vehicles
    counted = {(place[before], place[after]): vehicles for before, after, vehicles in counts["turns"]}
    turns = list(zip(graph.turn_from.tolist(), graph.turn_to.tolist(), strict=True))
    turn_vph = np.array([counted.get(turn, 0.0) + _UNCOUNTED_TURN_VPH for turn in turns])
    reached = np.bincount(graph.turn_to, minlength=graph.edge_count) > 0
    entry_vph[~reached] = np.maximum(entry_vph[~reached], _UNCOUNTED_ENTRY_VPH)
    onward_vph = np.bincount(graph.turn_from, turn_vph, graph.edge_count)
    turn_share = turn_vph / onward_vph[graph.turn_from]
    arrive_share = np.where(onward_vph > 0, arrive_vph / np.maximum(arrive_vph + onward_vph, 1.0), 1.0)
    peak_vph = _flows(graph, entry_vph, arrive_share, turn_share)
    lanes = graph.lanes.astype(np.float64)
    capacity_vph: Floats = lanes * LANE_CAPACITY_VPH
    signals = np.isin(graph.edge_to, [graph.position_of_node[node] for node in counts["signals"]])
    green = _greens(graph, signals, peak_vph / capacity_vph)
    length_m: Floats = np.maximum(graph.length_m, SHORTEST_M)
    jam_vpkm: Floats = lanes * LANE_JAM_VPKM
    return City(graph, entry_vph, arrive_share, turn_share, length_m, capacity_vph, jam_vpkm, green, peak_vph)


@lru_cache(maxsize=1)
def bologna(graph: RoadGraph) -> City:
    """The shipped city: counts of a morning peak hour on the shipped graph."""
    path = Path(__file__).parent / "data" / "bologna-demand.json"
    return make_city(graph, json.loads(path.read_bytes()))


def _flows(graph: RoadGraph, entry_vph: Floats, arrive_share: Floats, turn_share: Floats) -> Floats:
    """Flow on each edge when everybody gets on: entries, and what turns in from other edges."""
    turning = np.zeros((graph.edge_count, graph.edge_count))
    turning[graph.turn_from, graph.turn_to] = turn_share * (1 - arrive_share[graph.turn_from])
    flows: Floats = np.linalg.solve(np.eye(graph.edge_count) - turning.T, entry_vph).astype(np.float64)
    return flows


def _greens(graph: RoadGraph, signals: Bools, load: Floats) -> Floats:
    """Green shares by Webster's rule (Traffic Signal Settings, 1958): as the heaviest load of each phase.

    Edges that come from about the same or the opposite direction have green together.
    """
    green = np.ones(graph.edge_count)
    bearing = _bearings(graph)
    for node in np.unique(graph.edge_to[signals]).tolist():
        edges = np.flatnonzero(graph.edge_to == node)
        axis = (bearing[edges] - bearing[edges[np.argmax(load[edges])]]) % 180
        along = (axis < 45) | (axis > 135)
        heaviest = np.array([load[edges[phase]].max(initial=0.0) for phase in (along, ~along)])
        share: Floats = np.maximum(heaviest / _PEAK_LOAD, _LEAST_GREEN)
        in_all = float(share[0] if along.all() else share.sum())
        share *= min(_GREEN_IN_ALL / in_all, 1.0)
        green[edges] = np.where(along, share[0], share[1]).astype(float)
    return green


def _bearings(graph: RoadGraph) -> Floats:
    """Direction of the end of each edge in degrees."""
    last = graph.shape_offsets[1:] - 1
    before = last - 1
    east = (graph.shape_lon[last] - graph.shape_lon[before]) * np.cos(np.radians(graph.shape_lat[last]))
    north = graph.shape_lat[last] - graph.shape_lat[before]
    bearings: Floats = np.degrees(np.arctan2(east, north)) % 360
    return bearings
