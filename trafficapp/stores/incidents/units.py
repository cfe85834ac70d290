"""Units among the vehicles whose positions Redis has."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from models.timestamps import epoch_us
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.incidents.units import Unit
from trafficapp.settings import IncidentSettings
from trafficapp.stores.feeds.current import CurrentDocuments

#: ``vehicle:location:{id}`` of the contract.
LOCATIONS = "vehicle:location:{key}"

#: What a vehicle is, is looked at again after so long: it may be told of later than where it is.
_LOOK_AGAIN_SECONDS = 60.0


class _Location(Struct):
    vehicle_id: str
    latitude: float
    longitude: float
    timestamp: str
    vehicle_type: str | None = None
    #: by the broker's clock: that of the device may run ahead
    received_at: str | None = None


_decode = msgspec.json.Decoder(_Location).decode


def locations_of(feeds: Sequence[Feed[Any]]) -> Feed[Any] | None:
    """The feed whose documents say where vehicles are; None where none is switched on."""
    for feed in feeds:
        if isinstance(feed.current, Current) and feed.current.document == LOCATIONS:
            return feed
    return None


class Units:
    """Finds units.

    The first question reads where all vehicles are, later ones where units are, and vehicles that were not seen before.

    Args:
        feed: see `locations_of`.
        settings: which vehicles are units.
    """

    def __init__(self, feed: Feed[Any], settings: IncidentSettings) -> None:
        self._feed = feed
        self._types = frozenset(name.lower() for name in settings.unit_types)
        self._named: Mapping[str, str] = settings.units
        self._lately_us = round(settings.unit_seconds * 1e6)
        #: Vehicles that are none, and when that was looked at, monotonic.
        self._others: dict[str, float] = {}

    async def heard(self, client: Redis, now_us: int) -> list[Unit]:
        """Units that were heard lately, in order of their ids.

        Raises:
            Exception: one of `trafficapp.stores.redis.connection.UNAVAILABLE`.
        """
        documents, now = CurrentDocuments(client, self._feed), time.monotonic()
        listed = await documents.keys()
        known = self._others
        self._others = {key: known[key] for key in listed if now - known.get(key, -1e9) < _LOOK_AGAIN_SECONDS}
        found = []
        for document in await documents.documents([key for key in listed if key not in self._others]):
            unit = self._unit(document)
            if isinstance(unit, str):
                self._others[unit] = now
            elif unit is not None and now_us - unit.heard_us <= self._lately_us:
                found.append(unit)
        return found

    def _unit(self, document: bytes) -> Unit | str | None:
        """The unit of a document; the id of a vehicle that is none."""
        try:
            location = _decode(document)
            heard_us = epoch_us(location.received_at or location.timestamp)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, OverflowError):
            return None
        told = self._named.get(location.vehicle_id) or location.vehicle_type or ""
        if location.vehicle_id not in self._named and told.strip().lower() not in self._types:
            return location.vehicle_id
        return Unit(location.vehicle_id, told.strip().lower(), location.latitude, location.longitude, heard_us)
