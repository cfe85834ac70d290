"""Messages of area counters, topics ``traffic_data`` and ``ws_incoming``, and of the WebSocket ``/ws``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from models.cameras.detections import Timestamp

#: What the column ``integer`` of Postgres holds of counts.
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
#: What is no place is refused with a hint, so decoding lets it pass.
Latitude = Annotated[float, Meta(extra_json_schema={"minimum": -90, "maximum": 90})]
Longitude = Annotated[float, Meta(extra_json_schema={"minimum": -180, "maximum": 180})]


class AreaMessage(Struct, frozen=True, kw_only=True):
    """What an area counter saw. Numbers may be written as text; null is not known.

    Attributes:
        stream_id: the counter, a UUID.
        timestamp: ISO 8601 with ``T`` or a space and any offset, or epoch seconds or milliseconds.
        location: what people call the place.
        longitude: degrees WGS 84; both or none.
        latitude: likewise.
        total_in_area: how many vehicles are there.
        numbers_of_cars: what older counters call it.
        estimated_max_people: how many fit, as estimated.
        label: the counter's word for it, such as ``normal``.
        type: what is counted, or by what.
    """

    stream_id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
    timestamp: Timestamp
    location: str | None = None
    longitude: Longitude | None = None
    latitude: Latitude | None = None
    total_in_area: Count | UnsetType | None = UNSET
    numbers_of_cars: Count | UnsetType | None = UNSET
    estimated_max_people: Count | None = None
    label: str | None = None
    type: str | None = None


class IngestAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a message: it is kept from now on, since Kafka has it, or it was not taken.

    Attributes:
        status: of what was taken; what was not has none.
        stream_id: of the reading that was taken.
        timestamp: likewise, RFC 3339.
        error: what became of it, in words that clients know, where it was not taken.
        reason: a stable word for that; for a message that is wrong the one of dead letters, else ``forbidden`` or
            ``unavailable``.
        detail: what exactly is wrong, for a person.
    """

    status: Literal["accepted"] | None = None
    stream_id: str | None = None
    timestamp: str | None = None
    error: str | None = None
    reason: str | None = None
    detail: str | None = None
