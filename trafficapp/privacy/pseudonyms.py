"""Ids of vehicles as keyed hashes, which are the same throughout a day of the city and say nothing without the key.

The key of a day is HMAC-SHA256 of the secret key and the date (RFC 2104), the hash of an id BLAKE2b keyed with it
(RFC 7693, 2.9), 128 bits. So an id follows from a message alone, as everything in the log does: every worker, and every
replay, has the same. Whoever has no key cannot try plates, and cannot tell that vehicles of two days are one. Whoever
destroys the key has made all days so, also for himself (docs/decisions/0028).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import Any

from msgspec import structs

from trafficapp.analytics.local_hours import time_zone
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.shapes import written_name
from trafficapp.settings import Settings

_HASH_BYTES = 16
#: What such an id begins with, so that people see what it is.
PREFIX = "p-"
#: Hours of a clock never begin at another quarter of an hour of UTC.
_QUARTER_US = 900 * 1_000_000
_DAYS_REMEMBERED, _VEHICLES_REMEMBERED = 512, 65_536


class Pseudonyms:
    """Hashes ids.

    Args:
        key: the secret.
        zone: whose midnights part the days.
    """

    def __init__(self, key: bytes, zone: tzinfo) -> None:
        self._key, self._zone = key, zone
        # found once: the same vehicles are seen again and again
        self._day_of = lru_cache(_DAYS_REMEMBERED)(self._day)
        self._key_of = lru_cache(_DAYS_REMEMBERED)(self._day_key)
        self._hashed = lru_cache(_VEHICLES_REMEMBERED)(self._hash)

    def of(self, vehicle_id: str, time_us: int) -> str:
        """The id of a vehicle on the day of a time, microseconds since the epoch."""
        return self._hashed(vehicle_id, self._day_of(time_us // _QUARTER_US))

    def on(self, vehicle_id: str, day: date) -> str:
        """The id of a vehicle on a day."""
        return self._hashed(vehicle_id, day.isoformat())

    def _day(self, quarter: int) -> str:
        moment = datetime.fromtimestamp(quarter * _QUARTER_US // 1_000_000, UTC)
        try:
            return moment.astimezone(self._zone).date().isoformat()
        except OverflowError:  # the last day that there is, which began elsewhere before
            return moment.date().isoformat()

    def _day_key(self, day: str) -> bytes:
        return hmac.digest(self._key, b"trafficapp vehicle ids of " + day.encode(), "sha256")

    def _hash(self, vehicle_id: str, day: str) -> str:
        said = vehicle_id.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(said, key=self._key_of(day), digest_size=_HASH_BYTES).digest()
        return PREFIX + b32encode(digest).decode().rstrip("=").lower()


def hashing(feed: Feed[Any], pseudonyms: Pseudonyms) -> Callable[[Any, int], Any]:
    """What replaces the ids in a message of a feed and its time, microseconds since the epoch."""
    own = [name for name in feed.shape.__struct_fields__ if written_name(feed.shape, name) in feed.personal]

    def hashed(message: Any, time_us: int) -> Any:
        changes = {name: pseudonyms.of(str(said), time_us) for name in own if (said := getattr(message, name))}
        return structs.replace(message, **changes)

    return hashed


def pseudonyms_of(settings: Settings) -> Pseudonyms | None:
    """What hashes ids; None where they stay as they are."""
    return known_pseudonyms_of(settings) if settings.privacy.hash_vehicle_ids else None


def known_pseudonyms_of(settings: Settings) -> Pseudonyms | None:
    """The same, also where ids are not hashed any more but were; None without a key."""
    key = settings.privacy.key()
    return None if key is None else Pseudonyms(key, time_zone(settings.roads.zone))
