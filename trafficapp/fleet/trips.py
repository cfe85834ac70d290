"""Trips of a vehicle: from where it begins to move to where it moved last, out of its places in order.

A vehicle stands while it is near an anchor. A place farther away is the end of a leg from there, or, after a stand,
from the place just before. A leg that is quick enough is driven; what is slower is part of the stand.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from models.fleet.drives import TripEnd, VehicleTrip
from models.timestamps import MICROSECONDS_PER_SECOND, from_epoch_us
from trafficapp.movement.decimals import tenths
from trafficapp.movement.distance import metres_between
from trafficapp.settings import FleetSettings


class OpenTrip(Struct, array_like=True, gc=False):
    """A trip that goes on; times in microseconds since the epoch.

    Attributes:
        end_us: when the last driven leg ended; likewise the place.
        distance_m: up to there.
        moving_us: of it, driven.
        crept_m: slow legs since then, which count once it drives again.
        is_trip: whether it got far enough from its beginning to be one.
    """

    begin_us: int
    begin_latitude: float
    begin_longitude: float
    end_us: int
    end_latitude: float
    end_longitude: float
    distance_m: float = 0.0
    moving_us: int = 0
    crept_m: float = 0.0
    is_trip: bool = False

    def told(self, vehicle_id: str, ended_by: TripEnd) -> VehicleTrip:
        """What is told of it when it is over."""
        return VehicleTrip(
            vehicle_id=vehicle_id,
            began_at=from_epoch_us(self.begin_us),
            ended_at=from_epoch_us(self.end_us),
            distance_m=tenths(self.distance_m),
            moving_seconds=self.moving_us / MICROSECONDS_PER_SECOND,
            standing_seconds=(self.end_us - self.begin_us - self.moving_us) / MICROSECONDS_PER_SECOND,
            began_latitude=self.begin_latitude,
            began_longitude=self.begin_longitude,
            ended_latitude=self.end_latitude,
            ended_longitude=self.end_longitude,
            ended_by=ended_by,
        )


class Track(Struct, array_like=True, gc=False):
    """What is remembered of a vehicle's way; part of its state row.

    Attributes:
        time_us: of the anchor, microseconds since the epoch.
        latitude: of the anchor, degrees WGS 84.
        longitude: likewise.
        trip: the one that goes on.
    """

    time_us: int
    latitude: float
    longitude: float
    trip: OpenTrip | None = None

    def interrupt(self) -> OpenTrip | None:
        """End the trip: it, if it was one."""
        trip, self.trip = self.trip, None
        return trip if trip is not None and trip.is_trip else None


class Place(Struct, array_like=True, gc=False):
    """Where a vehicle was, and when: microseconds since the epoch."""

    time_us: int
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class TripRule:
    """The rule in numbers, made once.

    Attributes:
        metres_per_us: slower is standing.
        standing_m: nearer to the anchor is standing.
        stand_us: of standing that ends a trip.
        from_m: from its beginning makes it a trip.
    """

    metres_per_us: float
    standing_m: float
    stand_us: int
    from_m: float

    @classmethod
    def of(cls, settings: FleetSettings) -> TripRule:
        """The rule of these settings."""
        return cls(
            metres_per_us=settings.moving_kmh / 3.6 / MICROSECONDS_PER_SECOND,
            standing_m=settings.standing_m,
            stand_us=settings.trip_stand_seconds * MICROSECONDS_PER_SECOND,
            from_m=settings.trip_from_m,
        )

    def advance(
        self,
        track: Track,
        before: Place,
        time_us: int,
        latitude: float,
        longitude: float,
        metres: float,
    ) -> OpenTrip | None:
        """Take in the next place of a vehicle; the trip that is over, if there is one.

        Args:
            track: of the vehicle.
            before: the place before.
            time_us: of this one.
            latitude: likewise.
            longitude: likewise.
            metres: from the place before.
        """
        from_us, from_latitude, from_longitude = track.time_us, track.latitude, track.longitude
        far = metres
        if from_us != before.time_us:
            far = metres_between(from_latitude, from_longitude, latitude, longitude)
        trip = track.trip
        if far >= self.standing_m:
            elapsed_us = time_us - from_us
            is_driven = far >= self.metres_per_us * elapsed_us
            if not is_driven and metres >= self.metres_per_us * (time_us - before.time_us):
                # it left the stand from the place before
                is_driven, far = True, metres
                from_us, from_latitude, from_longitude = before.time_us, before.latitude, before.longitude
                elapsed_us = time_us - from_us
            if is_driven:
                if trip is None:
                    trip = track.trip = OpenTrip(from_us, from_latitude, from_longitude, 0, 0.0, 0.0)
                trip.end_us, trip.end_latitude, trip.end_longitude = time_us, latitude, longitude
                trip.distance_m += trip.crept_m + far
                trip.crept_m = 0.0
                trip.moving_us += elapsed_us
                if not trip.is_trip:
                    reached = metres_between(trip.begin_latitude, trip.begin_longitude, latitude, longitude)
                    trip.is_trip = reached >= self.from_m
            elif trip is not None:
                trip.crept_m += far
            track.time_us, track.latitude, track.longitude = time_us, latitude, longitude
        if trip is not None and time_us - trip.end_us >= self.stand_us:
            return track.interrupt()
        return None
