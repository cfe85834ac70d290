"""How a vehicle is driven: harsh braking by what one feed says of its speed, speeding by the limit of the road."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from models.fleet.drives import DrivingEvent
from models.timestamps import MICROSECONDS_PER_SECOND, from_epoch_us
from trafficapp.movement.decimals import hundredths
from trafficapp.settings import FleetSettings


class Limits(Protocol):
    """Where how fast may be driven."""

    @property
    def lowest_kmh(self) -> float:
        """No road has a lower limit."""
        ...

    def limit_at(self, latitude: float, longitude: float, heading: float | None) -> float | None:
        """The limit of the road that a vehicle is on, km/h; None where that is not known.

        Args:
            latitude: degrees WGS 84.
            longitude: likewise.
            heading: degrees clockwise from north; None when it is not known.
        """
        ...

    def lowest_near(self, latitude: float, longitude: float) -> float | None:
        """No road that a vehicle may be on here has a lower limit than this, km/h; None where there is none."""
        ...


class OpenSpeeding(Struct, array_like=True, gc=False):
    """A vehicle is too fast; part of its state row.

    Attributes:
        places: in a row that were too fast.
        speed_kmh: the worst one; its road's limit and place follow.
    """

    begin_us: int
    end_us: int
    places: int
    speed_kmh: float
    limit_kmh: float
    latitude: float
    longitude: float

    def told(self, vehicle_id: str) -> DrivingEvent:
        """What is told of it when it is over."""
        return DrivingEvent(
            vehicle_id=vehicle_id,
            event="speeding",
            began_at=from_epoch_us(self.begin_us),
            ended_at=from_epoch_us(self.end_us),
            latitude=self.latitude,
            longitude=self.longitude,
            speed_kmh=self.speed_kmh,
            limit_kmh=self.limit_kmh,
        )


@dataclass(frozen=True, slots=True)
class SpeedingRule:
    """The rule in numbers, made once.

    Attributes:
        over_kmh: above the limit is allowed, or `over_share` of it where that is more.
        places: in a row are speeding.
        least_kmh: nobody is too fast who is not faster; looked at first, as most are not.
    """

    limits: Limits
    over_kmh: float
    over_share: float
    places: int
    least_kmh: float

    @classmethod
    def of(cls, settings: FleetSettings, limits: Limits) -> SpeedingRule:
        """The rule of these settings."""
        over = settings.speeding_over_kmh, settings.speeding_over_share
        return cls(limits, *over, settings.speeding_places, limits.lowest_kmh)

    def place(
        self,
        known: OpenSpeeding | None,
        time_us: int,
        latitude: float,
        longitude: float,
        speed_kmh: float | None,
        heading: float | None,
    ) -> OpenSpeeding | None:
        """Take in a place: how fast it is too fast up to here, None when it is not."""
        if speed_kmh is None or speed_kmh <= self.least_kmh:
            return None
        lowest_kmh = self.limits.lowest_near(latitude, longitude)
        if lowest_kmh is None or speed_kmh <= self._allowed(lowest_kmh):
            return None
        limit_kmh = self.limits.limit_at(latitude, longitude, heading)
        if limit_kmh is None or speed_kmh <= self._allowed(limit_kmh):
            return None
        if known is None:
            return OpenSpeeding(time_us, time_us, 1, speed_kmh, limit_kmh, latitude, longitude)
        known.end_us = time_us
        known.places += 1
        if speed_kmh - limit_kmh > known.speed_kmh - known.limit_kmh:
            known.speed_kmh, known.limit_kmh = speed_kmh, limit_kmh
            known.latitude, known.longitude = latitude, longitude
        return known

    def _allowed(self, limit_kmh: float) -> float:
        return limit_kmh + max(self.over_kmh, limit_kmh * self.over_share)


@dataclass(frozen=True, slots=True)
class BrakingRule:
    """The rule in numbers, made once.

    Attributes:
        mps2: deceleration from which braking is harsh.
        most_mps2: and up to which it is braking.
        least_us: between the two speeds.
        pause_us: what comes within it is the same braking.
        least_kmh: a smaller drop cannot be harsh; looked at first.
    """

    mps2: float
    most_mps2: float
    least_us: int
    pause_us: int
    least_kmh: float

    @classmethod
    def of(cls, settings: FleetSettings) -> BrakingRule:
        """The rule of these settings."""
        return cls(
            mps2=settings.braking_mps2,
            most_mps2=settings.braking_most_mps2,
            least_us=round(settings.braking_least_seconds * MICROSECONDS_PER_SECOND),
            pause_us=settings.braking_pause_seconds * MICROSECONDS_PER_SECOND,
            least_kmh=settings.braking_mps2 * settings.braking_least_seconds * 3.6 * 0.999,
        )

    def deceleration(self, drop_kmh: float, elapsed_us: int) -> float | None:
        """Of a drop of speed, m/s²; None when it is no harsh braking."""
        if elapsed_us < self.least_us:
            return None
        mps2 = drop_kmh / 3.6 / elapsed_us * MICROSECONDS_PER_SECOND
        return mps2 if self.mps2 <= mps2 <= self.most_mps2 else None


def braking(
    vehicle_id: str,
    before_us: int,
    time_us: int,
    place: tuple[float, float],
    speeds_kmh: tuple[float, float],
    mps2: float,
) -> DrivingEvent:
    """What is told of a harsh braking.

    Args:
        vehicle_id: of the vehicle.
        before_us: when the higher speed was told.
        time_us: when the lower one.
        place: where, latitude and longitude.
        speeds_kmh: both.
        mps2: its deceleration.
    """
    return DrivingEvent(
        vehicle_id=vehicle_id,
        event="harsh_braking",
        began_at=from_epoch_us(before_us),
        ended_at=from_epoch_us(time_us),
        latitude=place[0],
        longitude=place[1],
        speed_kmh=speeds_kmh[0],
        to_speed_kmh=speeds_kmh[1],
        deceleration_mps2=hundredths(mps2),
    )
