"""Which edges and roads the fixes of a partition are on, and who drives the wrong way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from math import nan
from threading import Lock
from typing import NamedTuple
from uuid import UUID, uuid5

import numpy as np

from models.fleet.fixes import Fix
from models.fleet.travels import Travel, WrongWay
from models.roads.notifications import RoadNotification
from models.timestamps import rfc3339
from trafficapp.fleet.travels import Driving, TravelRule, is_bus, is_traffic, may_drive_against
from trafficapp.matching.fixes import Fixes, SettledFixes
from trafficapp.matching.matcher import Matcher
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.rule import MatchingRule
from trafficapp.matching.stretches import Stretches
from trafficapp.matching.traces import Traces
from trafficapp.roads.graph.road_graph import RoadGraph

_NAMESPACE = UUID("0d3f5f0a-6f0b-5c0e-8a55-0b5f0d8f2b11")


class FleetRoads:
    """A road graph, made ready for matching by the first who asks. Asking from several threads is safe.

    Args:
        graph: the graph.
    """

    def __init__(self, graph: RoadGraph) -> None:
        self.graph, self._making = graph, Lock()
        self._rule = MatchingRule()

    @property
    def matcher(self) -> Matcher:
        """What puts fixes onto the graph."""
        with self._making:
            return self._matcher

    @property
    def stretches(self) -> Stretches:
        """What cuts ways between fixes into edges."""
        with self._making:
            return self._stretches

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self._roads, self._rule)

    @cached_property
    def _stretches(self) -> Stretches:
        return Stretches(self._roads)

    @cached_property
    def _roads(self) -> MatchingRoads:
        return MatchingRoads.build(self.graph, self._rule.reach_m)


class OnRoad(NamedTuple):
    """Where a fix is on the graph.

    Attributes:
        road_id: of the edge's road.
        edge: the edge's name.
    """

    road_id: str
    edge: str


class Matched(NamedTuple):
    """What came of a run.

    Attributes:
        places: where each fix is, in order.
        wrong_ways: of those who drive against a road.
        travels: of those who left an edge.
    """

    places: list[OnRoad | None]
    wrong_ways: list[WrongWay]
    travels: list[Travel]


class Trace(NamedTuple):
    """What is to be remembered of a vehicle: of where it may be, and of what it drives."""

    matching: bytes
    driving: Driving


class _Taken(NamedTuple):
    """A fix that waits to be matched."""

    fix: Fix
    record_us: int
    vehicle_type: str | None


class PartitionMatching:
    """The traces of the vehicles of a partition.

    Args:
        roads: the graph.
        travels: what is told of edges that vehicles drove; None for nothing.
    """

    def __init__(self, roads: FleetRoads, travels: TravelRule | None = None) -> None:
        self._matcher, graph = roads.matcher, roads.graph
        self._traces = Traces(graph.version)
        self._places = [OnRoad(*one) for one in zip(graph.road_ids.tolist(), graph.edge_ids.tolist(), strict=True)]
        self._graph = graph
        self._stretches, self._travels = roads.stretches, travels
        self._driving: dict[str, Driving] = {}
        self._run: list[_Taken] = []

    def take(self, fix: Fix, record_us: int, vehicle_type: str | None) -> int:
        """Put a fix into the run that is matched next; its position in there."""
        self._run.append(_Taken(fix, record_us, vehicle_type))
        return len(self._run) - 1

    def match(self, clock_us: int) -> Matched:
        """What comes of the fixes of the run; the next run begins."""
        run, self._run = self._run, []
        if not run:
            return Matched([], [], [])
        columns = [
            (fix.latitude, fix.longitude, _number(fix.speed_kmh), _number(fix.heading), fix.time_us)
            for fix, _, _ in run
        ]
        latitude, longitude, speed, heading, time_us = zip(*columns, strict=True)
        fixes = Fixes(
            [one.fix.device_id for one in run],
            np.array(time_us, np.int64),
            *(np.array(column, float) for column in (latitude, longitude, speed, heading)),
        )
        advanced = self._matcher.advance(self._traces, fixes, clock_us)
        places = self._places
        wrong = [
            self._wrong_way(run[fix], edge)
            for fix, edge, _ in advanced.wrong_ways
            if not may_drive_against(run[fix].vehicle_type)
        ]
        travels = self._driven(advanced.settled, run)
        for one in run:
            self._heard(one)
        return Matched([None if edge < 0 else places[edge] for edge in advanced.now.edge.tolist()], wrong, travels)

    def settle(self, clock_us: int) -> tuple[list[str], list[Travel]]:
        """Settle the fixes of vehicles that are silent; which these are, and what they drove."""
        settled = self._matcher.settle(self._traces, clock_us)
        return settled.vehicles, self._driven(settled, ())

    def remembered(self, device_ids: Iterable[str]) -> dict[str, Trace]:
        """What is to be remembered of vehicles; nothing of those whose fixes were not matched."""
        known = [device_id for device_id in device_ids if device_id in self._traces]
        traces = self._traces.encode(known) if known else []
        return {
            device_id: Trace(trace, self._driving.get(device_id, Driving()))
            for device_id, trace in zip(known, traces, strict=True)
        }

    def go_on(self, device_id: str, trace: bytes, driving: Driving | None) -> None:
        """Go on from what was remembered; of another graph, anew."""
        if self._traces.decode(device_id, trace) and driving is not None:
            self._driving[device_id] = driving

    def forget(self, device_id: str) -> None:
        """Forget a vehicle, or begin anew with it."""
        self._traces.forget((device_id,))
        self._driving.pop(device_id, None)

    def _driven(self, settled: SettledFixes, run: Sequence[_Taken]) -> list[Travel]:
        """What was driven up to the settled fixes, of edges that vehicles have left."""
        rule = self._travels
        if rule is None:
            return []
        lengths_m, told = self._graph.length_list, []
        columns = zip(settled.vehicles, settled.time_us.tolist(), settled.by.tolist(), strict=True)
        for (vehicle, time_us, by), stretches in zip(columns, self._stretches.of(settled), strict=True):
            driving = self._heard(run[by]) if by >= 0 else self._driving.setdefault(vehicle, Driving())
            for edge, metres, seconds in rule.drive(driving, stretches, lengths_m):
                if driving.is_traffic:
                    # devices have clocks of their own
                    over_us = time_us - driving.ahead_us
                    name = self._places[edge].edge
                    told.append(Travel(name, vehicle, round(metres, 2), round(seconds, 3), over_us, driving.is_bus))
        return told

    def _heard(self, taken: _Taken) -> Driving:
        """What is remembered of a vehicle, with what a fix says of its clock and kind."""
        fix, record_us, vehicle_type = taken
        driving = self._driving.get(fix.device_id)
        if driving is None:
            driving = self._driving[fix.device_id] = Driving()
        driving.ahead_us = fix.time_us - record_us
        driving.is_bus, driving.is_traffic = is_bus(vehicle_type), is_traffic(vehicle_type)
        return driving

    def _wrong_way(self, taken: _Taken, edge: int) -> WrongWay:
        fix, record_us, _ = taken
        place, name = self._places[edge], self._graph.road_name(edge)
        notification = RoadNotification(
            event_id=str(uuid5(_NAMESPACE, f"{fix.device_id}\n{fix.time_us}\n{place.edge}")),
            # devices have clocks of their own
            timestamp=rfc3339(record_us),
            alert_type="wrong_way",
            road_id=place.road_id,
            road_name=name,
            severity="CRITICAL",
            message=f"{name}: a vehicle drives against the direction of the road, near latitude {fix.latitude:.5f}, "
            f"longitude {fix.longitude:.5f}",
        )
        return WrongWay(place.edge, fix.device_id, record_us, notification)


def _number(told: float | None) -> float:
    return nan if told is None else told
