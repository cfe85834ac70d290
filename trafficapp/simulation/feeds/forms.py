"""How producers of the city's feeds write ids and times."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from models.timestamps import from_epoch_us
from trafficapp.settings import Settings

_UTC = ZoneInfo("UTC")
_IDS_AT_ONCE = 256
_ID_BYTES = 16


class MessageIds:
    """Random ids (UUIDs, version 4), the same ones from the same chance.

    Args:
        chance: their source.
    """

    def __init__(self, chance: np.random.Generator) -> None:
        self._chance = chance
        self._ids: list[str] = []

    def next(self) -> str:
        """Another one."""
        if not self._ids:
            digits = self._chance.bytes(_ID_BYTES * _IDS_AT_ONCE).hex()
            self._ids = [_uuid(digits[at : at + 32]) for at in range(0, len(digits), 32)]
        return self._ids.pop()


class LocalClock:
    """A producer's clock, which shows the time of its zone.

    Args:
        zone: of the producer.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._told = (-1, "", "")

    def naive(self, time_us: int) -> str:
        """The local time without an offset, as the producers of Smart City write it."""
        return self._texts(time_us)[1]

    def with_offset(self, time_us: int) -> str:
        """The local time with its offset, as area counters write it: ``2025-12-02T15:21:42+0700``."""
        return self._texts(time_us)[2]

    def _texts(self, time_us: int) -> tuple[int, str, str]:
        if self._told[0] != time_us:
            local = from_epoch_us(time_us).astimezone(self._zone)
            naive = local.replace(tzinfo=None).isoformat()
            self._told = time_us, naive, f"{naive}{local:%z}"
        return self._told


@dataclass(frozen=True)
class FeedZones:
    """Zones in which producers write times that have no offset; what reads them must have the same.

    Attributes:
        cars: of connected cars.
        trackers: of trackers.
        incidents: of the emergency desk.
        weather: of weather stations.
        still_cameras: of still cameras.
    """

    cars: ZoneInfo = _UTC
    trackers: ZoneInfo = _UTC
    incidents: ZoneInfo = _UTC
    weather: ZoneInfo = _UTC
    still_cameras: ZoneInfo = _UTC

    @classmethod
    def of(cls, settings: Settings) -> FeedZones:
        """The zones that the settings say."""
        return cls(
            cars=ZoneInfo(settings.fleet.time_zone),
            trackers=ZoneInfo(settings.fleet.gps_zone),
            incidents=ZoneInfo(settings.incidents.time_zone),
            weather=ZoneInfo(settings.weather.time_zone),
            still_cameras=ZoneInfo(settings.still_cameras.time_zone),
        )


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
