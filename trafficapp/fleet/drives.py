"""What vehicles do, out of their places in order: trips, zones, braking, speeding.

A place is judged once a newer one is heard, or nothing for long: until then the other feed of the device may correct
it. So it makes no difference in what order feeds say the same time. What comes late changes nothing. A vehicle that
jumped, or of which an alert says that it jumps about, did not drive there: its trip is over, and it enters no zones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from models.fleet.drives import DrivingEvent, GeofenceEvent, TripEnd, VehicleTrip
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.feeds.rules import Told
from trafficapp.fleet.driving import BrakingRule, Limits, OpenSpeeding, SpeedingRule, braking
from trafficapp.fleet.fences import Fences, Visit
from trafficapp.fleet.topics import DRIVING_EVENTS, GEOFENCE_EVENTS, VEHICLE_TRIPS
from trafficapp.fleet.trips import Place, Track, TripRule
from trafficapp.movement.plausibility import Movement, MovementRule
from trafficapp.settings import FleetSettings

_TOPICS: dict[type[Struct], str] = {
    VehicleTrip: VEHICLE_TRIPS,
    GeofenceEvent: GEOFENCE_EVENTS,
    DrivingEvent: DRIVING_EVENTS,
}
_encode = msgspec.json.Encoder().encode


class Drive(Struct, array_like=True, gc=False):
    """What is remembered of what a vehicle does; part of its state row.

    Attributes:
        judged_us: time of the newest place that was judged, microseconds since the epoch.
        track: of its trips.
        speeding: that goes on.
        inside: zones that it is in, by their ids.
        braked_us: when it was braked harshly last.
    """

    judged_us: int = 0
    track: Track | None = None
    speeding: OpenSpeeding | None = None
    inside: dict[int, Visit] = {}
    braked_us: int | None = None


@dataclass(frozen=True, slots=True)
class DriveRule:
    """The rules in numbers, made once; None is switched off.

    Attributes:
        gap_us: nobody knows what a vehicle did that was not heard for longer.
        silence_us: the same by the clock here.
    """

    movement: MovementRule
    gap_us: int
    silence_us: int
    trips: TripRule | None
    speeding: SpeedingRule | None
    braking: BrakingRule | None
    has_fences: bool

    @classmethod
    def of(cls, settings: FleetSettings, movement: MovementRule, limits: Limits | None) -> DriveRule:
        """The rules of these settings."""
        speeding = None
        if settings.speeding and limits is not None:
            speeding = SpeedingRule.of(settings, limits)
        return cls(
            movement=movement,
            gap_us=settings.trip_gap_seconds * MICROSECONDS_PER_SECOND,
            silence_us=settings.trip_silence_seconds * MICROSECONDS_PER_SECOND,
            trips=TripRule.of(settings) if settings.trips else None,
            speeding=speeding,
            braking=BrakingRule.of(settings) if settings.braking else None,
            has_fences=settings.geofences,
        )

    @property
    def is_on(self) -> bool:
        """Whether places are judged at all."""
        return self.trips is not None or self.speeding is not None or self.has_fences

    def judge(
        self,
        vehicle_id: str,
        drive: Drive,
        fences: Fences,
        movement: Movement,
        before: Place | None,
        metres: float,
        speed_kmh: float | None,
        heading: float | None,
    ) -> Sequence[Told]:
        """Judge the newest place of a vehicle, unless that was done; what follows.

        Args:
            vehicle_id: of the vehicle.
            drive: what is remembered of it.
            fences: all zones.
            movement: with the newest place.
            before: the place before; None when there is none.
            metres: from there.
            speed_kmh: that was told; None when none was.
            heading: of the vehicle; None when it is not known.
        """
        time_us, latitude, longitude = movement.time_us, movement.latitude, movement.longitude
        if time_us == drive.judged_us:
            return ()
        drive.judged_us = time_us
        told: list[Told] = []
        if before is not None:
            elapsed_us = time_us - before.time_us
            most_m = self.movement.slack_m + self.movement.metres_per_us * elapsed_us
            if movement.opened_us is not None or metres > most_m:
                told += self.interrupt(vehicle_id, drive, "jump")
                drive.track = None
                return told
            if elapsed_us > self.gap_us:
                told += self.interrupt(vehicle_id, drive, "gap")
                drive.track = None
        elif movement.opened_us is not None:
            return ()
        if self.trips is not None:
            track = drive.track
            if track is None or before is None:
                drive.track = Track(time_us, latitude, longitude)
            else:
                trip = self.trips.advance(track, before, time_us, latitude, longitude, metres)
                if trip is not None:
                    told.append(told_of(vehicle_id, trip.told(vehicle_id, "stand")))
        if drive.inside or (self.has_fences and not fences.is_empty):
            for event in fences.place(vehicle_id, drive.inside, time_us, latitude, longitude):
                told.append(told_of(vehicle_id, event))
        if self.speeding is not None:
            known = drive.speeding
            drive.speeding = self.speeding.place(known, time_us, latitude, longitude, speed_kmh, heading)
            if drive.speeding is None and known is not None:
                told += self._over(vehicle_id, known)
        return told

    def interrupt(self, vehicle_id: str, drive: Drive, ended_by: TripEnd) -> Iterator[Told]:
        """Nothing that a vehicle does goes on; what follows. It stays in its zones."""
        trip = None if drive.track is None else drive.track.interrupt()
        if trip is not None:
            yield told_of(vehicle_id, trip.told(vehicle_id, ended_by))
        speeding, drive.speeding = drive.speeding, None
        if speeding is not None:
            yield from self._over(vehicle_id, speeding)

    def forget(
        self, vehicle_id: str, drive: Drive, fences: Fences, movement: Movement, ended_by: TripEnd
    ) -> Iterator[Told]:
        """A vehicle is forgotten, or begins anew, after this place; what follows."""
        yield from self.interrupt(vehicle_id, drive, ended_by)
        place = movement.time_us, movement.latitude, movement.longitude
        for event in fences.leave(vehicle_id, drive.inside, *place):
            yield told_of(vehicle_id, event)

    def brake(
        self,
        vehicle_id: str,
        drive: Drive,
        movement: Movement,
        before_us: int,
        speeds_kmh: tuple[float, float],
    ) -> Iterable[Told]:
        """Take in a lower speed of a feed at the newest place; what follows.

        Args:
            vehicle_id: of the vehicle.
            drive: what is remembered of it.
            movement: its newest place.
            before_us: when the feed told the higher speed.
            speeds_kmh: that one, and this one.
        """
        rule, time_us = self.braking, movement.time_us
        if rule is None or movement.opened_us is not None or movement.jumps & 1:
            return ()
        mps2 = rule.deceleration(speeds_kmh[0] - speeds_kmh[1], time_us - before_us)
        if mps2 is None:
            return ()
        last_us, drive.braked_us = drive.braked_us, time_us
        if last_us is not None and before_us - last_us <= rule.pause_us:
            return ()
        place = movement.latitude, movement.longitude
        return (told_of(vehicle_id, braking(vehicle_id, before_us, time_us, place, speeds_kmh, mps2)),)

    def _over(self, vehicle_id: str, speeding: OpenSpeeding) -> Iterator[Told]:
        if self.speeding is not None and speeding.places >= self.speeding.places:
            yield told_of(vehicle_id, speeding.told(vehicle_id))


def told_of(vehicle_id: str, event: VehicleTrip | GeofenceEvent | DrivingEvent) -> Told:
    """The record of what happened."""
    return Told(_TOPICS[type(event)], vehicle_id.encode(), _encode(event))
