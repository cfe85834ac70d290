"""Why there is congestion: an incident on its roads, else weather that slows them. Closures are known by the log."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from models.incidents.current import Incident
from models.roads.congestion import CongestionCause
from trafficapp.congestion.events import OpenEvent
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.weather.road_weather import WeatherOfRoads

#: The Highway Capacity Manual has weather that leaves less of speeds as a cause of congestion of its own (heavy rain
#: and worse, 6th edition, exhibit 11-20); what only damps them a little is none.
_SLOWED_TO = 0.9


class PlacedIncident(NamedTuple):
    """An incident with the edges of the graph that it is on."""

    incident: Incident
    edges: frozenset[int]


def causes_of(
    events: Iterable[OpenEvent], graph: RoadGraph, incidents: Collection[PlacedIncident], weather: WeatherOfRoads | None
) -> dict[str, CongestionCause]:
    """Causes by event, of those that have one.

    An incident is the cause of congestion on an edge that it is on, and on those that lead there: queues grow upstream.
    Of several the one that was told first counts.

    Args:
        events: those that go on.
        graph: the road graph.
        incidents: that go on.
        weather: of the roads; None when nothing is known, or nobody is slowed.
    """
    found: dict[str, CongestionCause] = {}
    positions = graph.position_of_edge
    for event in events:
        known = {positions[name] for name in event.edges if name in positions}
        near = known | {other for edge in known for other in graph.edges_out_of[int(graph.edge_to[edge])]}
        here = [one.incident for one in incidents if not near.isdisjoint(one.edges)]
        if here:
            first = min(here, key=lambda one: (one.reported_at, one.incident_id))
            words = first.incident_type.replace("_", " ")
            found[event.event_id] = CongestionCause(kind="incident", id=first.incident_id, description=words)
            continue
        station = None if weather is None else weather.of_road(event.head)
        if station is not None and station.factor < _SLOWED_TO:
            found[event.event_id] = CongestionCause(kind="weather", id=station.station, description=station.words)
    return found
