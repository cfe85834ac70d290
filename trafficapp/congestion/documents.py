"""Congestion events as they are told."""

from __future__ import annotations

from collections.abc import Sequence

from models.roads.congestion import CongestionCause, CongestionEvent, CongestionPlace, CongestionRoad, CongestionState
from models.timestamps import rfc3339
from trafficapp.congestion.extent import Extent
from trafficapp.congestion.memory import Event
from trafficapp.congestion.slow_roads import SlowRoad
from trafficapp.congestion.suspicion import document_of_suspicion

#: Lengths are compared with that of some minutes before; less of a change is none.
_TREND_SHARE = 0.1


def document_of(
    event: Event, extent: Extent, roads: Sequence[SlowRoad], cause: CongestionCause | None, critical_length_m: float
) -> CongestionEvent:
    """An event that goes on.

    Args:
        event: which.
        extent: of its queue.
        roads: that it is on, or was on last.
        cause: where it is known.
        critical_length_m: a queue that is so long is CRITICAL.
    """
    by_id = {road.road_id: road for road in roads}
    head, tail = by_id[extent.head], by_id[extent.tail]
    return CongestionEvent(
        event_id=event.event_id,
        state=_state(event, extent.length_m),
        severity="CRITICAL" if event.is_critical or extent.length_m >= critical_length_m else "WARNING",
        began_at=rfc3339(event.began_us),
        updated_at=rfc3339(event.changed_us),
        ended_at=None,
        latitude=None if head.end is None else head.end[1],
        longitude=None if head.end is None else head.end[0],
        head=_place(head, head.end),
        tail=_place(tail, tail.begin),
        length_m=round(extent.length_m, 1),
        extent_m=round(extent.extent_m, 1),
        delay_vehicle_hours=round(event.delay_vehicle_hours, 3),
        delay_method="greenshields",
        cause=cause,
        roads=[
            CongestionRoad(
                road_id=road.road_id,
                road_name=road.road_name,
                speed_kmh=road.speed_kmh,
                free_flow_kmh=road.free_kmh,
                since=rfc3339(road.since_us),
                jammed=road.is_jammed and not event.calm_us,
            )
            for road in sorted(by_id.values(), key=lambda one: one.road_id)
        ],
        merged_into=None,
        suspected_incident=None if event.suspicion is None else document_of_suspicion(event.suspicion),
    )


def _state(event: Event, length_m: float) -> CongestionState:
    if event.calm_us:
        return "dissolving"
    before_m = event.lengths[0][1] if event.lengths else 0.0
    if length_m > (1 + _TREND_SHARE) * before_m:
        return "growing"
    return "dissolving" if length_m < (1 - _TREND_SHARE) * before_m else "steady"


def _place(road: SlowRoad, at: tuple[float, float] | None) -> CongestionPlace:
    return CongestionPlace(
        road_id=road.road_id,
        road_name=road.road_name,
        latitude=None if at is None else at[1],
        longitude=None if at is None else at[0],
    )
