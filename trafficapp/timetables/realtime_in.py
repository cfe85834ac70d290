"""GTFS Realtime feeds of others: read with care, into messages of our own topics.

A body that is empty or has no header is no feed without vehicles: what was known stays. A feed that has not changed, or
is older than what was read, says nothing new; one that is old says nothing of now.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf.message import DecodeError
from google.transit import gtfs_realtime_pb2 as gtfs_rt
from msgspec import Struct

from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us, rfc3339

#: A feed may be ahead of our clock by so much (gtfs-rt-validator, E050).
FUTURE_S = 60.0
#: Longest names that topics take.
_LONGEST_ID = 256


class UnusableBody(Exception):
    """What came is no feed, or none of now; the text says why, for people."""


class ReportedVehicle(Struct, frozen=True, kw_only=True, gc=False):
    """A vehicle as ``vehicle_locations`` has it, with what others say of its trip.

    Attributes:
        vehicle_id: of the vehicle.
        type: such as ``bus``.
        latitude: degrees WGS 84.
        longitude: likewise.
        timestamp: RFC 3339.
        status: others do not tell; who is in the feed is in service.
        trip_id: of the agency's timetable.
        route_id: likewise.
        start_date: service day of the trip, YYYYMMDD.
        start_time: of trips by frequency, such as 25:10:00.
    """

    vehicle_id: str
    type: str
    latitude: float
    longitude: float
    timestamp: str
    status: str = "in_service"
    trip_id: str | None = None
    route_id: str | None = None
    start_date: str | None = None
    start_time: str | None = None


class Snapshot(NamedTuple):
    """What a feed says anew.

    Attributes:
        timestamp_s: of its header, seconds since the epoch; when it was read, where it has none.
        vehicles: those that are newer than before.
        left_out: entities that were not taken, by reason.
    """

    timestamp_s: float
    vehicles: list[ReportedVehicle]
    left_out: Counter[str]


@dataclass
class FeedReader:
    """Reads one feed again and again.

    Attributes:
        kind: type of its vehicles.
        most_age_s: what is older is not of now.
        timestamp_s: of the newest header that was taken.
        told_s: of each vehicle, when what was taken of it last was so.
    """

    kind: str = "bus"
    most_age_s: float = 300.0
    timestamp_s: float = 0.0
    told_s: dict[str, float] = field(default_factory=dict)

    def read(self, body: bytes, now_s: float) -> Snapshot | None:
        """Read a body; nothing is remembered of it before `was_sent`.

        Returns:
            None when it is the feed that was read before, or an older one.

        Raises:
            UnusableBody: it is none, or not of now; what was known stays.
        """
        feed = decoded(body)
        timestamp_s = float(feed.header.timestamp) or now_s
        if timestamp_s > now_s + FUTURE_S:
            raise UnusableBody(f"the feed is of a time {timestamp_s - now_s:,.0f} s ahead of our clock")
        if timestamp_s <= self.timestamp_s:
            return None
        if now_s - timestamp_s > self.most_age_s:
            raise UnusableBody(f"the feed is {now_s - timestamp_s:,.0f} s old; {self.most_age_s:,.0f} s are allowed")
        vehicles, left_out = list[ReportedVehicle](), Counter[str]()
        for entity in feed.entity:
            if entity.is_deleted or not entity.HasField("vehicle"):
                left_out[_kind_of(entity)] += 1
                continue
            told = self._vehicle(entity, timestamp_s, now_s)
            if isinstance(told, str):
                left_out[told] += 1
            else:
                vehicles.append(told)
        return Snapshot(timestamp_s, vehicles, left_out)

    def was_sent(self, snapshot: Snapshot) -> None:
        """What it says is known to others now."""
        self.timestamp_s = snapshot.timestamp_s
        self.told_s = {
            name: told_s for name, told_s in self.told_s.items() if told_s > snapshot.timestamp_s - 2 * self.most_age_s
        } | {vehicle.vehicle_id: _epoch_s(vehicle.timestamp) for vehicle in snapshot.vehicles}

    def _vehicle(self, entity: gtfs_rt.FeedEntity, timestamp_s: float, now_s: float) -> ReportedVehicle | str:
        told = entity.vehicle
        vehicle_id = told.vehicle.id or told.vehicle.label or entity.id
        at_s = float(told.timestamp) or timestamp_s
        if not told.HasField("position"):
            return "vehicles without a place"
        place = round(told.position.latitude, 6), round(told.position.longitude, 6)
        if not (-90 <= place[0] <= 90 and -180 <= place[1] <= 180) or place == (0.0, 0.0):
            return "vehicles at no place"
        if not 0 < len(vehicle_id) <= _LONGEST_ID:
            return "vehicles without a usable name"
        if at_s > now_s + FUTURE_S:
            return "vehicles of a time ahead of our clock"
        if now_s - at_s > self.most_age_s:
            return "vehicles that were not heard of for long"
        if at_s <= self.told_s.get(vehicle_id, 0.0):
            return "vehicles that say nothing new"
        trip = told.trip
        return ReportedVehicle(
            vehicle_id=vehicle_id,
            type=self.kind,
            latitude=place[0],
            longitude=place[1],
            timestamp=rfc3339(round(at_s * MICROSECONDS_PER_SECOND)),
            trip_id=trip.trip_id or None,
            route_id=trip.route_id or None,
            start_date=trip.start_date or None,
            start_time=trip.start_time or None,
        )


def decoded(body: bytes) -> gtfs_rt.FeedMessage:
    """A body as a feed.

    Raises:
        UnusableBody: it is empty, no protobuf, or has no header.
    """
    if not body:
        raise UnusableBody("the body is empty")
    feed = gtfs_rt.FeedMessage()
    try:
        feed.ParseFromString(body)
    except DecodeError:
        raise UnusableBody(f"the body is no GTFS Realtime feed; it begins with {body[:40]!r}") from None
    if not feed.header.gtfs_realtime_version:
        raise UnusableBody("the feed has no header")
    if feed.header.incrementality != gtfs_rt.FeedHeader.FULL_DATASET:
        raise UnusableBody("the feed is differential, which GTFS Realtime does not specify yet")
    return feed


def _kind_of(entity: gtfs_rt.FeedEntity) -> str:
    if entity.is_deleted:
        return "deleted entities"
    for name, words in (("trip_update", "trip updates"), ("alert", "alerts"), ("shape", "shapes")):
        if entity.HasField(name):
            return words
    return "other entities"


def _epoch_s(timestamp: str) -> float:
    return epoch_us(timestamp) / MICROSECONDS_PER_SECOND
