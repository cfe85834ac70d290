"""Speeds of roads: what the feed said after it was checked, and the body of ``/traffic/current``."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from models.timestamps import epoch_us

#: From the jam factor: ``high`` and ``medium`` begin at the settings ``roads.jam_factor_high`` and ``…_medium``.
RoadCongestionLevel = Literal["low", "medium", "high"]

#: The event ids of a simulated city begin with it, so that whoever keeps them knows.
SIMULATED_ID = "simulated-"


class RoadObservation(Struct, frozen=True, kw_only=True):
    """One accepted message of ``traffic-raw``, completed: topic of checked observations, ``road:{id}:current``.

    The same message may be sent again after a crash; it is the same then, byte for byte, and known by its source.

    Attributes:
        timestamp: when the speed was measured, RFC 3339 UTC.
        current_speed, free_flow_speed: km/h.
        jam_factor: 0 (free) to 10 (closed), as the feed says.
        speed_ratio: current through free-flow speed, 4 decimals; may exceed 1.
        rush_hour: whether the local hour of the city is one of ``roads.rush_hours``.
        coordinates: the road's line as [longitude, latitude], in driving direction.
        edges: edges of the road graph that the road is on, each with the share of it that the road covers.
        graph_version: of the graph that these edges are of; "" when there is none.
        source_partition, source_offset: where the message stands in ``traffic-raw``.
        record_timestamp: of its record there, RFC 3339 UTC: whether an observation is ahead or late is judged by this
            alone, and by no clock of a worker. "" in those that were sent before it was told.
    """

    event_id: str
    timestamp: str
    road_id: str
    road_name: str
    current_speed: float
    free_flow_speed: float
    jam_factor: float
    congestion_level: RoadCongestionLevel
    speed_ratio: float
    rush_hour: bool
    coordinates: list[tuple[float, float]]
    edges: list[tuple[str, float]]
    graph_version: str
    source_partition: int
    source_offset: int
    record_timestamp: str = ""

    @property
    def record_us(self) -> int:
        """The time of its record, microseconds since the epoch; its own where none is told.

        Raises:
            ValueError, OverflowError: it is no time.
        """
        return epoch_us(self.record_timestamp or self.timestamp)


class RoadNow(Struct, frozen=True, kw_only=True):
    """A road in ``/traffic/current``; ``last_updated`` is when its speed was measured."""

    road_id: str
    road_name: str
    current_speed: float
    jam_factor: float
    congestion_level: RoadCongestionLevel
    last_updated: str


encode_road_observation = msgspec.json.Encoder().encode
decode_road_observation = msgspec.json.Decoder(RoadObservation).decode
