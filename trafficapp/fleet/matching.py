"""Which edges and roads the fixes of a partition are on, and who drives the wrong way."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from math import nan
from threading import Lock
from typing import NamedTuple
from uuid import UUID, uuid5

import numpy as np

from models.fleet.fixes import Fix
from models.roads.notifications import RoadNotification
from models.timestamps import rfc3339
from trafficapp.matching.fixes import Fixes
from trafficapp.matching.matcher import Matcher
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.rule import MatchingRule
from trafficapp.matching.traces import Traces
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings

_NAMESPACE = UUID("0d3f5f0a-6f0b-5c0e-8a55-0b5f0d8f2b11")


class FleetRoads:
    """The road graph of the city, made ready for matching by the first who asks. Asking from several threads is safe.

    Args:
        settings: of the roads.

    Raises:
        GraphError: there is no such graph; the message says what is wrong.
    """

    def __init__(self, settings: RoadSettings) -> None:
        self.graph, self._making = city_graph(settings), Lock()

    @property
    def matcher(self) -> Matcher:
        """What puts fixes onto the graph."""
        with self._making:
            return self._matcher

    @cached_property
    def _matcher(self) -> Matcher:
        rule = MatchingRule()
        return Matcher(MatchingRoads.build(self.graph, rule.reach_m), rule)


class OnRoad(NamedTuple):
    """Where a fix is on the graph.

    Attributes:
        road_id: of the edge's road.
        edge: the edge's name.
    """

    road_id: str
    edge: str


class PartitionMatching:
    """The traces of the vehicles of a partition.

    Args:
        roads: the graph.
    """

    def __init__(self, roads: FleetRoads) -> None:
        self._matcher, graph = roads.matcher, roads.graph
        self._traces = Traces(graph.version)
        self._places = [OnRoad(*one) for one in zip(graph.road_ids.tolist(), graph.edge_ids.tolist(), strict=True)]
        self._graph = graph
        self._run: list[tuple[Fix, int]] = []

    def take(self, fix: Fix, record_us: int) -> int:
        """Put a fix into the run that is matched next; its position in there."""
        self._run.append((fix, record_us))
        return len(self._run) - 1

    def match(self, clock_us: int) -> tuple[list[OnRoad | None], list[RoadNotification]]:
        """Where the fixes of the run are, and who of them drives the wrong way; the next run begins."""
        run, self._run = self._run, []
        if not run:
            return [], []
        columns = [
            (fix.latitude, fix.longitude, _number(fix.speed_kmh), _number(fix.heading), fix.time_us) for fix, _ in run
        ]
        latitude, longitude, speed, heading, time_us = zip(*columns, strict=True)
        fixes = Fixes(
            [fix.device_id for fix, _ in run],
            np.array(time_us, np.int64),
            *(np.array(column, float) for column in (latitude, longitude, speed, heading)),
        )
        advanced = self._matcher.advance(self._traces, fixes, clock_us)
        places = self._places
        wrong = [self._wrong_way(*run[fix], edge) for fix, edge, _ in advanced.wrong_ways]
        return [None if edge < 0 else places[edge] for edge in advanced.now.edge.tolist()], wrong

    def settle(self, clock_us: int) -> Iterable[str]:
        """Settle the fixes of vehicles that are silent; which these are."""
        return self._matcher.settle(self._traces, clock_us).vehicles

    def remembered(self, device_ids: Iterable[str]) -> dict[str, bytes]:
        """What is to be remembered of vehicles; nothing of those whose fixes were not matched."""
        known = [device_id for device_id in device_ids if device_id in self._traces]
        return dict(zip(known, self._traces.encode(known), strict=True)) if known else {}

    def go_on(self, device_id: str, trace: bytes) -> None:
        """Go on from what was remembered; of another graph, anew."""
        self._traces.decode(device_id, trace)

    def forget(self, device_id: str) -> None:
        """Forget a vehicle, or begin anew with it."""
        self._traces.forget((device_id,))

    def _wrong_way(self, fix: Fix, record_us: int, edge: int) -> RoadNotification:
        road_id, name = self._places[edge].road_id, self._graph.road_name(edge)
        return RoadNotification(
            event_id=str(uuid5(_NAMESPACE, f"{fix.device_id}\n{fix.time_us}\n{self._places[edge].edge}")),
            # devices have clocks of their own
            timestamp=rfc3339(record_us),
            alert_type="wrong_way",
            road_id=road_id,
            road_name=name,
            severity="CRITICAL",
            message=f"{name}: a vehicle drives against the direction of the road, near latitude {fix.latitude:.5f}, "
            f"longitude {fix.longitude:.5f}",
            affected_routes=[],
        )


def _number(told: float | None) -> float:
    return nan if told is None else told
