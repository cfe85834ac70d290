"""A feed as somebody adds one: sensors in parking bays. All there is to it, SQL included."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from trafficapp.feeds.declaration import Column, Current, Feed, History

#: What a migration would have.
TABLE = """
    CREATE TABLE parking_bays (
        bay_id text NOT NULL, observed_at timestamptz NOT NULL, occupied boolean NOT NULL,
        lat double precision NOT NULL, lon double precision NOT NULL,
        PRIMARY KEY (bay_id, observed_at)
    ) PARTITION BY RANGE (observed_at)
"""


class ParkingBay(Struct, frozen=True, kw_only=True):
    """Whether a bay is taken, when that changed, and where it is, degrees WGS 84."""

    bay_id: Annotated[str, Meta(min_length=1, max_length=256)]
    occupied: bool
    timestamp: str | int | float
    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]


PARKING_BAYS = Feed(
    name="parking-bays",
    summary="Parking bays, taken or free.",
    topic="parking-bays",
    shape=ParkingBay,
    sample=ParkingBay(bay_id="bay-17", occupied=True, timestamp="2026-01-14T12:00:00Z", lat=44.4985, lon=11.3175),
    key="bay_id",
    zone="Europe/Rome",
    rekey=True,
    path="/api/parking-bays",
    current=Current(
        document="parking_bay:{key}:current", listed="parking_bays:known", seconds=3600, channel="parking:bays"
    ),
    history=History(
        table="parking_bays",
        columns={
            "bay_id": Column("text"),
            "observed_at": Column("timestamptz", of="timestamp"),
            "occupied": Column("boolean"),
            "lat": Column("double precision"),
            "lon": Column("double precision"),
        },
        key=("bay_id", "observed_at"),
        partitioned_by="observed_at",
        days=30,
    ),
)
