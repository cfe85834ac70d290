"""What the web asks of the tables of what vehicles did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from models.fleet.drives import DrivingEvent, FleetSummary, GeofenceEvent, VehicleTrip
from trafficapp.administration.zones import LonLat
from trafficapp.movement.decimals import hundredths, tenths

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Pool

_Shape = TypeVar("_Shape", bound=Struct)

#: $1 vehicle, [$2, $3) span, $4 and $5 corners of a ring.
_TRIPS_WHERE = """
    ($1::text IS NULL OR vehicle_id = $1)
    AND ($2::timestamptz IS NULL OR ended_at >= $2) AND ($3::timestamptz IS NULL OR ended_at < $3)
    AND ($4::float8[] IS NULL OR lies_inside($4, $5::float8[], began_longitude, began_latitude)
         OR lies_inside($4, $5::float8[], ended_longitude, ended_latitude))
"""
_DRIVING_WHERE = """
    ($1::text IS NULL OR vehicle_id = $1)
    AND ($2::timestamptz IS NULL OR ended_at >= $2) AND ($3::timestamptz IS NULL OR ended_at < $3)
    AND ($4::float8[] IS NULL OR lies_inside($4, $5::float8[], longitude, latitude))
"""
_TRIPS = f"""
    SELECT * FROM vehicle_trips WHERE {_TRIPS_WHERE}
        AND ($6::timestamptz IS NULL OR (ended_at, vehicle_id) < ($6, $7::text))
    ORDER BY ended_at DESC, vehicle_id DESC LIMIT $8
"""  # noqa: S608 - of constants
_DRIVING = f"""
    SELECT * FROM driving_events WHERE {_DRIVING_WHERE}
        AND ($6::timestamptz IS NULL OR (ended_at, vehicle_id, event) < ($6, $7::text, $8::text))
        AND ($9::text IS NULL OR event = $9)
    ORDER BY ended_at DESC, vehicle_id DESC, event DESC LIMIT $10
"""  # noqa: S608 - likewise
#: $4 id or name of a zone.
_GEOFENCES = """
    SELECT *, observed_at AS timestamp FROM geofence_events
    WHERE ($1::text IS NULL OR vehicle_id = $1)
        AND ($2::timestamptz IS NULL OR observed_at >= $2) AND ($3::timestamptz IS NULL OR observed_at < $3)
        AND ($4::text IS NULL OR zone = $4 OR zone_id::text = $4) AND ($5::text IS NULL OR event = $5)
        AND ($6::timestamptz IS NULL
             OR (observed_at, vehicle_id, zone_id, event) < ($6, $7::text, $8::bigint, $9::text))
    ORDER BY observed_at DESC, vehicle_id DESC, zone_id DESC, event DESC LIMIT $10
"""
_TRIP_SUMS = f"""
    SELECT count(*) AS trips, count(DISTINCT vehicle_id) AS vehicles, coalesce(sum(distance_m), 0) AS distance_m,
        coalesce(sum(moving_seconds), 0) AS moving_seconds, coalesce(sum(standing_seconds), 0) AS standing_seconds
    FROM vehicle_trips WHERE {_TRIPS_WHERE}
"""  # noqa: S608 - likewise
_DRIVING_COUNTS = f"""
    SELECT count(*) FILTER (WHERE event = 'harsh_braking') AS brakings,
        count(*) FILTER (WHERE event = 'speeding') AS speedings
    FROM driving_events WHERE {_DRIVING_WHERE}
"""  # noqa: S608 - likewise


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; None asks for all.

    Attributes:
        since: aware, by the vehicles' clocks.
        until: likewise; not this one.
        ring: of a zone, closed.
    """

    vehicle_id: str | None
    since: datetime | None
    until: datetime | None
    ring: Sequence[LonLat] | None = None

    @property
    def parameters(self) -> tuple[Any, ...]:
        """As the queries have them."""
        longitudes = latitudes = None
        if self.ring is not None:
            longitudes, latitudes = [corner[0] for corner in self.ring], [corner[1] for corner in self.ring]
        return self.vehicle_id, self.since, self.until, longitudes, latitudes

    @property
    def can_be_there(self) -> bool:
        """Postgres keeps no NUL."""
        return self.vehicle_id is None or "\0" not in self.vehicle_id


async def trips(pool: Pool, wanted: Wanted, limit: int, after: tuple[datetime, str] | None = None) -> list[VehicleTrip]:
    """Trips that ended in the span, and began or ended in the ring; the newest first, behind one of them."""
    if not wanted.can_be_there:
        return []
    rows = await pool.fetch(_TRIPS, *wanted.parameters, *(after or (None, None)), limit)
    return [_as(VehicleTrip, row) for row in rows]


async def driving_events(
    pool: Pool, wanted: Wanted, event: str | None, limit: int, after: tuple[datetime, str, str] | None = None
) -> list[DrivingEvent]:
    """Events that ended in the span; the newest first, behind one of them."""
    if not wanted.can_be_there:
        return []
    rows = await pool.fetch(_DRIVING, *wanted.parameters, *(after or (None, None, None)), event, limit)
    return [_as(DrivingEvent, row) for row in rows]


async def geofence_events(
    pool: Pool,
    wanted: Wanted,
    zone: str | None,
    event: str | None,
    limit: int,
    after: tuple[datetime, str, int, str] | None = None,
) -> list[GeofenceEvent]:
    """What happened at a zone, given by its id or the name that it had then; the newest first, behind one of them."""
    if not wanted.can_be_there or "\0" in (zone or ""):
        return []
    asked = (*wanted.parameters[:3], zone, event)
    rows = await pool.fetch(_GEOFENCES, *asked, *(after or (None, None, None, None)), limit)
    return [_as(GeofenceEvent, row) for row in rows]


async def summary(pool: Pool, wanted: Wanted) -> FleetSummary:
    """Figures of the trips and events that `trips` and `driving_events` list."""
    if not wanted.can_be_there:
        wanted = Wanted("", wanted.since, wanted.until)
    async with pool.acquire() as connection:
        sums = await connection.fetchrow(_TRIP_SUMS, *wanted.parameters)
        events = await connection.fetchrow(_DRIVING_COUNTS, *wanted.parameters)
    assert sums is not None  # noqa: S101 - sums of nothing are a row, too
    assert events is not None  # noqa: S101 - likewise
    km, moving = sums["distance_m"] / 1000, sums["moving_seconds"]
    return FleetSummary(
        vehicles=sums["vehicles"],
        trips=sums["trips"],
        distance_km=hundredths(km),
        moving_seconds=moving,
        standing_seconds=sums["standing_seconds"],
        average_trip_km=hundredths(km / sums["trips"]) if sums["trips"] else None,
        average_moving_speed_kmh=tenths(km / moving * 3600) if moving else None,
        harsh_brakings=events["brakings"],
        speedings=events["speedings"],
        harsh_brakings_per_100_km=hundredths(events["brakings"] / km * 100) if km else None,
        speedings_per_100_km=hundredths(events["speedings"] / km * 100) if km else None,
    )


def _as(shape: type[_Shape], row: asyncpg.Record) -> _Shape:
    return shape(**{name: row[name] for name in shape.__struct_fields__})
