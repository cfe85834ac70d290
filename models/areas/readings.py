"""Readings of area counters as they are kept and shown."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class AreaReading(Struct, frozen=True, kw_only=True):
    """A reading of an area counter, checked. What is null is not known.

    Attributes:
        reading_id: a UUID that follows from all the rest: the same reading has the same one, however often it comes.
        stream_id: the counter, a UUID in small letters with dashes.
        timestamp: RFC 3339.
        day_month_year: ``DD_MM_YYYY``, the day where the counter stands.
        location: what people call the place.
        longitude: degrees WGS 84.
        latitude: likewise.
        total_in_area: how many vehicles are there.
        estimated_max_people: how many fit, as estimated.
        label: the counter's word for it.
        type: what is counted, or by what.
        more: fields of this installation, by name (setting ``areas.columns``).
    """

    reading_id: str
    stream_id: str
    timestamp: str
    day_month_year: str
    location: str | None = None
    longitude: float | None = None
    latitude: float | None = None
    total_in_area: int | None = None
    estimated_max_people: int | None = None
    label: str | None = None
    type: str | None = None
    more: dict[str, Any] = {}


class Area(Struct, frozen=True, kw_only=True):
    """An area as of its newest reading, with its address.

    Attributes:
        fulladdress: of the place; null until it was found.
        city: likewise.
        province: likewise.
        address_source: who named it.
        address_distance_m: how far the named place is away, metres.
        created_at: when the first reading came, RFC 3339.
        more: fields of this installation, by name.
    """

    stream_id: str
    timestamp: str
    day_month_year: str | None = None
    location: str | None = None
    longitude: float | None = None
    latitude: float | None = None
    total_in_area: int | None = None
    estimated_max_people: int | None = None
    label: str | None = None
    type: str | None = None
    fulladdress: str | None = None
    city: str | None = None
    province: str | None = None
    address_source: str | None = None
    address_distance_m: float | None = None
    created_at: str | None = None
    more: dict[str, Any] = {}
