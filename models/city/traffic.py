"""How traffic flows on a road and in the whole city, as the dashboard of the city reads it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

CityCongestionLevel: TypeAlias = Literal["light", "moderate", "heavy", "severe"]


class RoadTraffic(Struct, frozen=True, kw_only=True):
    """A road now: ``traffic:road:{road_id}`` and ``/api/traffic/live/{road_id}``.

    Attributes:
        average_speed: km/h, as the feed of road speeds measured it; where it did not, the mean of the vehicles on it;
            null when nobody knows.
        vehicle_count: connected cars and trackers that were on it within the last minutes.
        congestion_level: by the speed through that of free flow: light from 0.67, moderate from 0.5, heavy from 0.3,
            severe below. Null without a speed.
        timestamp: when it was last heard of, RFC 3339 UTC.
    """

    road_id: str
    average_speed: float | None
    vehicle_count: int
    congestion_level: CityCongestionLevel | None
    timestamp: str


class CitySummary(Struct, frozen=True, kw_only=True):
    """The city now: ``city:summary``, ``/api/analytics/city-summary``, and ``city_analytics`` on ``/ws/realtime``.

    Attributes:
        total_vehicles: connected cars and trackers of the last hour.
        active_emergencies: that are not resolved.
        average_city_speed: km/h, of all measured roads by their length: what somebody would drive on average who drove
            over each of them. Null without any.
        congested_roads: that are heavy or severe.
        timestamp: when it was reckoned, RFC 3339 UTC.
        healthy_share: of the roads that have a level, 0 to 1: those that speed and congested roads are of. Who is
            unhealthy by ``/api/quality`` is left out. Null without any.
    """

    total_vehicles: int
    active_emergencies: int
    average_city_speed: float | None
    congested_roads: int
    timestamp: str
    healthy_share: float | None = None
