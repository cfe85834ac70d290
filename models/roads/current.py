"""Speeds of roads: what the feed said after it was checked, and the body of ``/traffic/current``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from models.cameras.detections import event_time_us

#: From the jam factor: ``high`` and ``medium`` begin at the settings ``roads.jam_factor_high`` and ``…_medium``.
RoadCongestionLevel = Literal["low", "medium", "high"]

#: What an event or a road may be called, in characters. In JSON one of them takes six bytes at most.
RoadIdentifier = Annotated[str, Meta(min_length=1, max_length=256)]
RoadName = Annotated[str, Meta(max_length=256)]

#: An edge by its name, with the share of it that a road covers.
_Covered = tuple[str, Annotated[float, Meta(ge=0, le=1)]]

#: An observation of more bytes is not sent, and refused where it is read: what follows from one is never larger than
#: a topic or a store takes. A line of a thousand places with all their digits takes 50,000.
MOST_OBSERVATION_BYTES = 256 << 10

#: Edges of the graph that a road is on at most.
MOST_EDGES_OF_A_ROAD = 1000

#: What a speed is, by the feed's confidence in it (as in HERE Traffic v7): above 0.7 it was measured, above 0.5 it is
#: what was usual there at such times, else it is the speed limit. Who tells no confidence has measured.
SpeedFrom = Literal["measured", "historical", "speed_limit"]
HISTORICAL_CONFIDENCE, SPEED_LIMIT_CONFIDENCE = 0.7, 0.5

#: A speed of vehicles that is believed less raises no notification: one or two of them may have stopped somewhere.
RAISING_CREDIBILITY = 0.6

#: The jam factor of a road on which nobody may drive.
CLOSED_JAM_FACTOR = 10.0

#: The event ids of a simulated city begin with it, so that whoever keeps them knows.
SIMULATED_ID = "simulated-"


class RoadObservation(Struct, frozen=True, kw_only=True, gc=False):
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
        closed: whether the feed says that nobody may drive there; its speeds and jam factor are as told all the same.
        confidence: 0..1 in the speed, as the feed tells it; None when it does not.
        vehicles: of how many vehicles the speed is, where they were put onto the road here; None of what others tell.
        credibility: 0..1 in a speed of vehicles, by how many they are; None of what others tell. It is measured,
            however few they are, so it has nothing to do with `speed_from`.
    """

    event_id: RoadIdentifier
    timestamp: str
    road_id: RoadIdentifier
    road_name: str
    current_speed: Annotated[float, Meta(ge=0)]
    free_flow_speed: Annotated[float, Meta(gt=0)]
    jam_factor: Annotated[float, Meta(ge=0, le=10)]
    congestion_level: RoadCongestionLevel
    speed_ratio: float
    rush_hour: bool
    coordinates: list[tuple[float, float]]
    edges: Annotated[list[_Covered], Meta(max_length=MOST_EDGES_OF_A_ROAD)]
    graph_version: str
    source_partition: int
    source_offset: int
    record_timestamp: str = ""
    closed: bool = False
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    vehicles: Annotated[int, Meta(ge=1)] | None = None
    credibility: Annotated[float, Meta(ge=0, le=1)] | None = None

    @property
    def is_measured(self) -> bool:
        """Whether its speed is one that vehicles had: others are neither learnt from nor shown as measured."""
        return not self.closed and speed_from(self.confidence) == "measured"

    @property
    def is_raising(self) -> bool:
        """Whether it is believed enough to raise a notification."""
        return self.credibility is None or self.credibility >= RAISING_CREDIBILITY

    @property
    def record_us(self) -> int:
        """The time of its record, microseconds since the epoch; its own where none is told.

        Raises:
            ValueError, OverflowError: it is no time, or one before 1970 or beyond the year 9998.
        """
        return event_time_us(self.record_timestamp or self.timestamp)


class RoadNow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A road in ``/traffic/current``; what is usual is left out.

    Attributes:
        last_updated: when its speed was measured, or what is told instead of one.
        closed: nobody may drive there; the speed says nothing then.
        confidence: in the speed, 0..1; left out when the feed tells none.
        speed_from: whether the speed was measured, is what is usual there, or the speed limit; null of a closed road.
        vehicles: of how many vehicles the speed is, where they were put onto the road here; left out otherwise.
        credibility: in a speed of vehicles, 0..1, by how many they are; left out otherwise.
    """

    road_id: str
    road_name: str
    current_speed: float
    jam_factor: float
    congestion_level: RoadCongestionLevel
    last_updated: str
    closed: bool = False
    confidence: float | None = None
    speed_from: SpeedFrom | None = "measured"
    vehicles: int | None = None
    credibility: float | None = None


def speed_from(confidence: float | None) -> SpeedFrom:
    """What a speed is that is told with this confidence."""
    if confidence is None or confidence > HISTORICAL_CONFIDENCE:
        return "measured"
    return "historical" if confidence > SPEED_LIMIT_CONFIDENCE else "speed_limit"


encode_road_observation = msgspec.json.Encoder().encode
decode_road_observation = msgspec.json.Decoder(RoadObservation).decode
