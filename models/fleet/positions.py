"""Where vehicles are: the topic ``vehicle-positions``, and what the API answers."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from models.fleet.fixes import FleetFeed


class SaidByFeed(Struct, frozen=True, gc=False):
    """What one of a device's feeds said last.

    Attributes:
        timestamp: when, by the device's clock.
        latitude: degrees WGS 84.
        longitude: likewise.
        speed: km/h; null when it was not told.
        direction: degrees clockwise from north; null when it was not told.
    """

    timestamp: datetime
    latitude: float
    longitude: float
    speed: float | None
    direction: float | None


class VehiclePosition(Struct, frozen=True, gc=False):
    """Where a vehicle is, after one more fix of it.

    Of two feeds of a device the newer fix counts; of two at the same time that of ``vehicle_data``, whose car measures
    its speed at its wheels. What the other said stands in ``feeds``.

    Attributes:
        vehicle_id: the id of the device.
        latitude: degrees WGS 84.
        longitude: likewise.
        speed: km/h. What the device said; when it said none, how fast it got here from the place before; else null.
        direction: degrees clockwise from north, in [0, 360). What the device said; else where it came from says it, or
            what was known before; else null.
        timestamp: when it was there, by the device's clock, which may run ahead without end.
        received_at: when the broker took the fix.
        computed_speed: km/h, from the place before by the great circle; null for the first place and for late ones.
        plausible: whether it can have got here from the place before.
        make: what is known of the vehicle.
        feeds: what each feed said last, by its topic.
        feed: whose fix this record is of.
        fix_latitude: what that fix itself said, where another one of the same time counts; likewise what follows.
    """

    vehicle_id: str
    latitude: float
    longitude: float
    speed: float | None
    direction: float | None
    timestamp: datetime
    received_at: datetime
    computed_speed: float | None
    plausible: bool
    make: str | None
    model: str | None
    year: int | None
    fuel_type: str | None
    vehicle_type: str | None
    feeds: dict[FleetFeed, SaidByFeed]
    feed: FleetFeed
    fix_latitude: float
    fix_longitude: float
    fix_speed: float | None
    fix_direction: float | None


class VehicleLocation(Struct, frozen=True, kw_only=True):
    """Where a vehicle is, as maps read it.

    Attributes:
        latitude: degrees WGS 84.
        longitude: likewise.
        speed: km/h; null when it is not known.
        direction: degrees clockwise from north; null when it is not known.
        timestamp: by the device's clock.
    """

    vehicle_id: str
    latitude: float
    longitude: float
    speed: float | None
    direction: float | None
    timestamp: datetime


class TrajectoryPoint(Struct, frozen=True, kw_only=True):
    """A place of a vehicle's way.

    Attributes:
        timestamp: by the device's clock.
        latitude: degrees WGS 84.
        longitude: likewise.
        speed: km/h as the feed said; null when it did not.
        direction: degrees clockwise from north; likewise.
        computed_speed: km/h from the place before; null where there was none or the fix came late.
        plausible: whether it can have got here from the place before.
        feed: which feed said it: of two at the same time ``vehicle_data``.
    """

    timestamp: datetime
    latitude: float
    longitude: float
    speed: float | None
    direction: float | None
    computed_speed: float | None
    plausible: bool
    feed: FleetFeed
