"""What the feeds of vehicles become on their way to the rules: one place of one device, in plain numbers."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

#: Which feed said it. A connected car's own values count before those of a tracker in it, see `FEEDS`.
FleetFeed: TypeAlias = Literal["vehicle_data", "gps_data"]

#: By precedence: of two fixes of a device at the same time the first feed's is the vehicle's. A car measures speed at
#: its wheels, also where satellites are hidden, between houses and in tunnels, and at walking pace, where the error of
#: a tracker is as large as the speed.
FEEDS: tuple[FleetFeed, ...] = ("vehicle_data", "gps_data")


class Fix(Struct, frozen=True, array_like=True, gc=False):
    """A place of a device.

    Attributes:
        time_us: event time, microseconds since the epoch, by the producer's clock.
        latitude: degrees WGS 84.
        longitude: likewise.
        speed_kmh: None when it was not told.
        heading: degrees clockwise from north, in [0, 360); None when it was not told.
        make: what the car is, and so on; None where the feed does not say.
        is_transit: of a vehicle of public transport, which is put onto the roads and is nothing else here: a bus and a
            car may have the same id.
    """

    feed: FleetFeed
    device_id: str
    time_us: int
    latitude: float
    longitude: float
    speed_kmh: float | None
    heading: float | None
    make: str | None = None
    model: str | None = None
    year: int | None = None
    fuel_type: str | None = None
    vehicle_type: str | None = None
    is_transit: bool = False
