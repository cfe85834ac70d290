"""Whether a vehicle can have moved as it says: one alert for one that jumps about, not one for each jump.

The places of a vehicle are kept whatever they are; the alert says that they are not to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from msgspec import Struct

from models.city_alerts import CityAlert, alert_id_of
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.movement.distance import metres_between
from trafficapp.settings.quality import MovementSettings

#: Key: what it is about. Value: `CityAlert`.
QUALITY_ALERTS = "quality_alerts"
IMPLAUSIBLE_MOVEMENT = "implausible_movement"


class Verdict(NamedTuple):
    """What a move leads to.

    Attributes:
        step: of the alert.
        opened_us: time of the move that raised it, microseconds since the epoch.
    """

    step: Literal["opened", "resolved"]
    opened_us: int


class Movement(Struct, array_like=True, gc=False):
    """What is remembered of a vehicle; part of its state row.

    Attributes:
        time_us: of the newest place, microseconds since the epoch.
        latitude: of the newest place, degrees WGS 84.
        longitude: likewise.
        jumps: a bit for each of the newest moves, the newest lowest: 1 is an impossible one.
        possible: possible moves since the last impossible one, counted while an alert is open.
        opened_us: time of the move that raised the open alert; None while there is none.
    """

    time_us: int
    latitude: float
    longitude: float
    jumps: int = 0
    possible: int = 0
    opened_us: int | None = None

    def close(self) -> Verdict | None:
        """End the alert, also of a vehicle that is forgotten: what it leads to, None when none is open."""
        if self.opened_us is None:
            return None
        verdict = Verdict("resolved", self.opened_us)
        self.opened_us, self.jumps, self.possible = None, 0, 0
        return verdict


@dataclass(frozen=True, slots=True)
class MovementRule:
    """The rule in numbers, made once.

    Attributes:
        metres_per_us: nobody moves faster.
        slack_m: how wrong a place may be.
        judged: bits of `Movement.jumps` that are looked at.
        most: impossible moves among them that raise an alert.
        calm: possible moves in a row that end it.
    """

    metres_per_us: float
    slack_m: float
    judged: int
    most: int
    calm: int

    @classmethod
    def of(cls, settings: MovementSettings) -> MovementRule:
        """The rule of these settings."""
        return cls(
            metres_per_us=settings.speed_limit_kmh / 3.6 / MICROSECONDS_PER_SECOND,
            slack_m=settings.slack_m,
            judged=(1 << settings.judged_moves) - 1,
            most=settings.implausible_moves,
            calm=settings.plausible_moves,
        )

    def move(self, movement: Movement, time_us: int, latitude: float, longitude: float) -> Verdict | None:
        """Take in the next place of a vehicle, and say what follows.

        One that is not newer than the newest says nothing about moves, and changes nothing: an older one came late,
        and of two at the same time one repeats or contradicts the other.
        """
        if time_us <= movement.time_us:
            return None
        metres = metres_between(movement.latitude, movement.longitude, latitude, longitude)
        return self.moved(movement, time_us, latitude, longitude, metres)

    def moved(
        self, movement: Movement, time_us: int, latitude: float, longitude: float, metres: float
    ) -> Verdict | None:
        """The same of a place that is newer, and so many metres from the newest."""
        is_jump = metres > self.slack_m + self.metres_per_us * (time_us - movement.time_us)
        movement.time_us, movement.latitude, movement.longitude = time_us, latitude, longitude
        movement.jumps = (movement.jumps << 1 | is_jump) & self.judged
        if movement.opened_us is None:
            if movement.jumps.bit_count() < self.most:
                return None
            movement.opened_us, movement.possible = time_us, 0
            return Verdict("opened", time_us)
        movement.possible = 0 if is_jump else movement.possible + 1
        return movement.close() if movement.possible >= self.calm else None


def quality_alert(
    kind: str, subject: str, movement: Movement, verdict: Verdict, note: str = "", met_us: int = 0
) -> CityAlert:
    """What is told of a verdict.

    Args:
        kind: of vehicle, for people, such as ``bus``; together with the subject it names the alert, so it has to be
            the same for both steps.
        subject: the id of the vehicle.
        movement: of the vehicle, after the move.
        verdict: what the rule said.
        note: why it is over, where it is not that the vehicle moves as one can.
        met_us: by the partition's clock, when the vehicle was met. One that is forgotten and tells its old times again
            raises another alert.
    """
    is_over = verdict.step == "resolved"
    if is_over:
        message = note or f"{kind} {subject} moves as a vehicle can again"
    else:
        message = f"{kind} {subject} jumps about: its places are too far apart for the time between them"
    at = rfc3339(movement.time_us)
    return CityAlert(
        alert_id=alert_id_of(IMPLAUSIBLE_MOVEMENT, f"{kind}\0{subject}\0{met_us}", verdict.opened_us),
        revision=int(is_over),
        alert_type=IMPLAUSIBLE_MOVEMENT,
        state=verdict.step,
        severity="WARNING",
        subject=subject,
        title="Implausible movement",
        message=message,
        timestamp=at,
        opened_at=rfc3339(verdict.opened_us),
        resolved_at=at if is_over else None,
        latitude=movement.latitude,
        longitude=movement.longitude,
    )
