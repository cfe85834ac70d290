"""Messages of ``/ws/realtime`` and answers about the city's services, as the dashboard of the city reads them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

RealtimeType: TypeAlias = Literal[
    "connection", "vehicles", "emergencies", "weather", "traffic", "city_analytics", "pong"
]


class RealtimeMessage(Struct, frozen=True, kw_only=True):
    """A message of ``/ws/realtime``.

    Attributes:
        type: what it tells of.
        data: a list of vehicles, emergencies, stations or roads; of ``city_analytics`` the summary; of ``connection``
            and ``pong`` an object with no news.
        timestamp: when it was sent, RFC 3339 UTC.
    """

    type: RealtimeType
    data: Any
    timestamp: str


class RedisComponent(Struct, frozen=True):
    """Redis, as this worker sees it."""

    connected: bool
    responsive: bool


class SocketsComponent(Struct, frozen=True):
    """The WebSocket clients of this worker, of all addresses."""

    active_connections: int


class Components(Struct, frozen=True):
    """What a worker needs to answer."""

    redis: RedisComponent
    websockets: SocketsComponent


class ServiceHealth(Struct, frozen=True, kw_only=True):
    """Whether the city's API can answer; degraded without Redis."""

    service: str
    status: Literal["healthy", "degraded"]
    components: Components
    timestamp: str


class DataPoints(Struct, frozen=True):
    """How much is known at present."""

    vehicles: int
    emergencies: int
    traffic_conditions: int


class ApiStatus(Struct, frozen=True):
    """The API of this worker."""

    websocket_connections: int
    redis_healthy: bool


class Stats(Struct, frozen=True, kw_only=True):
    """How much the API has."""

    data_points: DataPoints
    api_status: ApiStatus
    timestamp: str
