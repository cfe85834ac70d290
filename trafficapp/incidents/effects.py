"""Which edges of the road graph incidents close or slow.

An incident is on the nearest edge within a reach, and on those as near that lead the same way or back: both directions
of its road, and not the streets that cross it there. Where its heading is known, only that direction counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
import shapely

from models.incidents.current import Incident
from models.incidents.effects import IncidentEffect
from models.incidents.kinds import Lifecycle
from trafficapp.roads.graph.earth import between_headings, headings
from trafficapp.roads.graph.index import InvalidPlace, OffTheMap, PlaceOnEdge, RoadIndex
from trafficapp.settings import IncidentSettings

#: What only citizens reported does nothing to roads.
_COUNTING: frozenset[Lifecycle] = frozenset({"verified", "responding"})

#: Edges whose headings differ by no more lead the same way.
_SAME_WAY_DEGREES = 45.0
#: The heading of an edge at a place is that of so many metres of it.
_SPAN_M = 5.0


class Effect(NamedTuple):
    """What an incident does.

    Attributes:
        incident: as it is now.
        edges: positions of the edges, ascending.
        speed_share: what is left of the speed there; None, nobody may drive there.
    """

    incident: Incident
    edges: tuple[int, ...]
    speed_share: float | None

    def document(self, index: RoadIndex) -> IncidentEffect:
        """As it is shown."""
        graph, incident = index.graph, self.incident
        return IncidentEffect(
            incident_id=incident.incident_id,
            incident_type=incident.incident_type,
            kind=incident.kind,
            severity=incident.severity,
            road_name=graph.road_name(self.edges[0]),
            edge_ids=graph.edge_ids[list(self.edges)].tolist(),
            closed=self.speed_share is None,
            speed_share=self.speed_share,
            since=incident.updated_at,
        )


@dataclass(frozen=True, eq=False)
class Effects:
    """What all incidents do.

    Attributes:
        each: by incident_id.
    """

    each: Mapping[str, Effect] = field(default_factory=dict)

    @cached_property
    def closed_at(self) -> Mapping[int, datetime]:
        """Closed edges, and when that was told last."""
        closed: dict[int, datetime] = {}
        for effect in self.each.values():
            if effect.speed_share is None:
                told_at = datetime.fromisoformat(effect.incident.updated_at)
                for edge in effect.edges:
                    closed[edge] = max(closed.get(edge, told_at), told_at)
        return closed

    @cached_property
    def shares(self) -> Mapping[int, float]:
        """What is left of the speed of slowed edges; of several incidents on one the worst counts."""
        shares: dict[int, float] = {}
        for effect in self.each.values():
            if effect.speed_share is not None:
                for edge in effect.edges:
                    shares[edge] = min(shares.get(edge, 1.0), effect.speed_share)
        return shares

    @cached_property
    def on_edge(self) -> Mapping[int, list[Effect]]:
        """Effects by edge."""
        found: dict[int, list[Effect]] = {}
        for effect in self.each.values():
            for edge in effect.edges:
                found.setdefault(edge, []).append(effect)
        return found

    @cached_property
    def name(self) -> str:
        """Another one whenever something of it is another; empty when there is nothing."""
        if not self.each:
            return ""
        told = "\n".join(f"{name} {one.incident.updated_at} {one[1:]}" for name, one in sorted(self.each.items()))
        return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()

    def without(self, incident_id: str) -> Effects:
        """The same without one incident."""
        return Effects({name: one for name, one in self.each.items() if name != incident_id})


def effects_of(index: RoadIndex, incidents: Iterable[Incident], settings: IncidentSettings) -> Effects:
    """What incidents do; those that are over, not verified, of no road or of no kind that matters do nothing."""
    found = ((one.incident_id, effect_of(index, one, settings)) for one in incidents)
    return Effects({name: effect for name, effect in found if effect is not None})


def effect_of(index: RoadIndex, incident: Incident, settings: IncidentSettings) -> Effect | None:
    """What an incident does to roads; None when that is nothing."""
    if incident.state not in _COUNTING or not (incident.closed or incident.kind in settings.slowing_kinds):
        return None
    edges = edges_at(index, incident.latitude, incident.longitude, incident.heading, settings.reach_m)
    return (
        Effect(incident, edges, None if incident.closed else settings.speed_shares[incident.severity])
        if edges
        else None
    )


def edges_at(index: RoadIndex, lat: float, lon: float, heading: float | None, reach_m: float) -> tuple[int, ...]:
    """Positions of the edges that a place is on, ascending.

    Args:
        index: of the graph.
        lat: degrees WGS 84.
        lon: likewise.
        heading: of the traffic that counts, degrees from north; None is both directions. Where no edge leads there,
            both count.
        reach_m: how far a road may be.
    """
    try:
        places = index.places_on_roads(lat, lon, reach_m)
    except (OffTheMap, InvalidPlace):
        return ()
    ways = _headings(index, places)
    if heading is not None:
        along = between_headings(ways, np.array(heading)) <= _SAME_WAY_DEGREES
        if along.any():
            nearest = int(np.flatnonzero(along)[0])
            along &= between_headings(ways, ways[nearest]) <= _SAME_WAY_DEGREES
            return _chosen(places, along)
    aside = between_headings(ways, ways[0])
    return _chosen(places, (aside <= _SAME_WAY_DEGREES) | (aside >= 180 - _SAME_WAY_DEGREES))


def _chosen(places: list[PlaceOnEdge], which: np.ndarray) -> tuple[int, ...]:
    return tuple(sorted(place.edge for place, chosen in zip(places, which.tolist(), strict=True) if chosen))


def _headings(index: RoadIndex, places: list[PlaceOnEdge]) -> np.ndarray:
    """Where edges lead at a place."""
    lines = index.lines[[place.edge for place in places]]
    at = np.array([place.fraction for place in places]) * shapely.length(lines)
    before = shapely.line_interpolate_point(lines, np.maximum(at - _SPAN_M, 0))
    behind = shapely.line_interpolate_point(lines, at + _SPAN_M)
    return headings(shapely.get_coordinates(behind) - shapely.get_coordinates(before))
