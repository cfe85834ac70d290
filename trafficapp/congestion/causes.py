"""Why there is congestion: an incident on its roads, else weather that slows them. Closures are known by the log."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import cos, hypot, inf, radians
from typing import NamedTuple

from models.incidents.current import Incident
from models.roads.congestion import CongestionCause
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from trafficapp.congestion.events import OpenEvent
from trafficapp.congestion.suspicion import Suspicion
from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.settings import SuspicionSettings
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


def confirmations_of(
    suspicions: Iterable[tuple[str, Suspicion]], incidents: Collection[PlacedIncident], settings: SuspicionSettings
) -> dict[str, CongestionCause]:
    """Reports of incidents that are near to suspicions in distance and time, by event.

    Of several the nearest counts, of equals the first by id. A suspicion without a place is never confirmed.

    Args:
        suspicions: each with the id of its event.
        incidents: that go on.
        settings: how near is near.
    """
    found: dict[str, CongestionCause] = {}
    for event_id, suspicion in suspicions:
        near = []
        for incident, _ in incidents:
            metres = _metres(suspicion, incident)
            apart_us = abs(epoch_us(incident.reported_at) - suspicion.since_us)
            if metres <= settings.match_m and apart_us <= settings.match_minutes * 60 * MICROSECONDS_PER_SECOND:
                near.append((metres, incident.incident_id, incident.incident_type.replace("_", " ")))
        if near:
            _, incident_id, words = min(near)
            found[event_id] = CongestionCause(kind="incident", id=incident_id, description=words)
    return found


def _metres(suspicion: Suspicion, incident: Incident) -> float:
    if suspicion.latitude is None or suspicion.longitude is None:
        return inf
    north = incident.latitude - suspicion.latitude
    east = (incident.longitude - suspicion.longitude) * cos(radians(suspicion.latitude))
    return hypot(north, east) * METRES_PER_DEGREE
