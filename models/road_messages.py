"""Messages of the road-speed feed as producers send them: topic ``traffic-raw``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from models.detections import MAX_MESSAGE_BYTES, UNDECODABLE, Rejected
from models.roads import RoadIdentifier, RoadName

#: [longitude, latitude], and an altitude from those who have one.
_Place = Annotated[list[float], Meta(min_length=2, max_length=3)]
_MOST_POINTS = 1000


class RoadMessage(Struct, kw_only=True, frozen=True, gc=False):
    """A message as producers send it; further fields are ignored, and so is their opinion of the congestion.

    Attributes:
        timestamp: when the speed was measured: ISO 8601, or epoch seconds or milliseconds.
        road_id: of an edge or road of the graph, else whatever the producer calls it; the record key is the same.
        road_name: may be empty: the graph's name is used then.
        current_speed, free_flow_speed: km/h.
        jam_factor: 0 is free, 10 is closed.
        coordinates: the road's line as [longitude, latitude] in driving direction; may be empty where the graph knows
            the id.
    """

    event_id: RoadIdentifier
    timestamp: str | int | float
    road_id: RoadIdentifier
    road_name: RoadName
    current_speed: float
    free_flow_speed: float
    jam_factor: Annotated[float, Meta(ge=0, le=10)]
    coordinates: Annotated[list[_Place], Meta(max_length=_MOST_POINTS)]


_decode = msgspec.json.Decoder(RoadMessage).decode


def decode_road_message(value: bytes | None) -> RoadMessage:
    """Read a message.

    Raises:
        Rejected: it has not the form of one; ids may be numbers.
    """
    if not value:
        raise Rejected("empty", "the message has no value")
    if len(value) > MAX_MESSAGE_BYTES:
        raise Rejected("too_large", f"the message has {len(value):,} bytes, and {MAX_MESSAGE_BYTES:,} are read")
    try:
        return _decode(value)
    except UNDECODABLE:
        pass  # a closer look names the fault, or forgives it
    try:
        message: Any = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not_json", str(error)) from None
    if not isinstance(message, dict):
        raise Rejected("invalid_field", f"expected an object, got {type(message).__name__}")
    for name in ("event_id", "road_id"):
        if isinstance(message.get(name), int) and not isinstance(message[name], bool):
            message[name] = str(message[name])
    try:
        return msgspec.convert(message, RoadMessage)
    except msgspec.ValidationError as error:
        reason = "missing_field" if "missing required field" in str(error) else "invalid_field"
        raise Rejected(reason, str(error)) from None
