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
from msgspec.structs import replace

from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us, rfc3339
from models.timetables.agency import (
    MOST_INFORMED,
    MOST_PERIODS,
    MOST_STOPS,
    AgencyAlert,
    AgencyStopTime,
    AgencyTrip,
    AlertPeriod,
    InformedEntity,
)

#: A feed may be ahead of our clock by so much (gtfs-rt-validator, E050).
FUTURE_S = 60.0
#: Longest names that topics take.
_LONGEST_ID = 256
_LONGEST_TEXT = 10_000
#: Alerts are told again so often, as long as they are in the feed: what is not told again is forgotten.
_AGAIN_S = 1200.0


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
        alerts: those that are new, that changed, or that are in the feed no more.
        trips: all that it says of trips.
        known_alerts: all that are in the feed, by id.
        left_out: entities that were not taken, by reason.
    """

    timestamp_s: float
    vehicles: list[ReportedVehicle]
    alerts: list[AgencyAlert]
    trips: list[AgencyTrip]
    known_alerts: dict[str, AgencyAlert]
    left_out: Counter[str]


@dataclass
class FeedReader:
    """Reads one feed again and again.

    Attributes:
        kind: type of its vehicles.
        most_age_s: what is older is not of now.
        source: host that the feed comes from.
        timestamp_s: of the newest header that was taken.
        told_s: of each vehicle, when what was taken of it last was so.
        alerts: those that are in the feed, by id.
        alerts_told_s: when all of them were told last.
    """

    kind: str = "bus"
    most_age_s: float = 300.0
    source: str = "agency"
    timestamp_s: float = 0.0
    told_s: dict[str, float] = field(default_factory=dict)
    alerts: dict[str, AgencyAlert] = field(default_factory=dict)
    alerts_told_s: float = 0.0

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
        alerts, trips = dict[str, AgencyAlert](), list[AgencyTrip]()
        for entity in feed.entity:
            told = self._told(entity, timestamp_s, now_s)
            if isinstance(told, ReportedVehicle):
                vehicles.append(told)
            elif isinstance(told, AgencyAlert):
                alerts[told.alert_id] = told
            elif isinstance(told, AgencyTrip):
                trips.append(told)
            else:
                left_out[told] += 1
        steps = self._alert_steps(alerts, rfc3339(round(timestamp_s * MICROSECONDS_PER_SECOND)))
        return Snapshot(timestamp_s, vehicles, steps, trips, alerts, left_out)

    def _told(
        self, entity: gtfs_rt.FeedEntity, timestamp_s: float, now_s: float
    ) -> ReportedVehicle | AgencyAlert | AgencyTrip | str:
        """What an entity says, or why it is of no use."""
        if not entity.is_deleted and entity.HasField("vehicle"):
            return self._vehicle(entity, timestamp_s, now_s)
        if not entity.is_deleted and entity.HasField("alert"):
            return _alert(entity, self.source, timestamp_s)
        if not entity.is_deleted and entity.HasField("trip_update"):
            return _trip(entity.trip_update, self.source, timestamp_s)
        return _kind_of(entity)

    def _alert_steps(self, alerts: dict[str, AgencyAlert], timestamp: str) -> list[AgencyAlert]:
        """What is to be told of alerts: what is new, what says something else, and what is there no more."""
        steps = [
            alert
            for name, alert in alerts.items()
            if (known := self.alerts.get(name)) is None or replace(known, timestamp=alert.timestamp) != alert
        ]
        gone = [alert for name, alert in self.alerts.items() if name not in alerts]
        return steps + [replace(alert, is_over=True, timestamp=timestamp) for alert in gone]

    def alerts_again(self, now_s: float) -> list[AgencyAlert]:
        """All alerts that are in the feed, when they were not told for long; none else."""
        if not self.alerts or now_s - self.alerts_told_s < _AGAIN_S:
            return []
        self.alerts_told_s = now_s
        return list(self.alerts.values())

    def was_sent(self, snapshot: Snapshot) -> None:
        """What it says is known to others now."""
        self.timestamp_s, self.alerts = snapshot.timestamp_s, snapshot.known_alerts
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
    return "shapes" if entity.HasField("shape") else "other entities"


def _alert(entity: gtfs_rt.FeedEntity, source: str, timestamp_s: float) -> AgencyAlert | str:
    """An alert, or why it is of no use."""
    told, name = entity.alert, f"{source} {entity.id}"
    header, language = _text(told.header_text)
    description, _ = _text(told.description_text)
    if len(name) > _LONGEST_ID or not entity.id:
        return "alerts without a usable name"
    if not header and not description:
        return "alerts that say nothing"
    return AgencyAlert(
        alert_id=name,
        source=source,
        header=(header or description)[:_LONGEST_TEXT],
        description=description[:_LONGEST_TEXT],
        url=_text(told.url)[0] or None,
        cause=gtfs_rt.Alert.Cause.Name(told.cause),
        effect=gtfs_rt.Alert.Effect.Name(told.effect),
        severity=gtfs_rt.Alert.SeverityLevel.Name(told.severity_level) if told.HasField("severity_level") else None,
        language=language,
        periods=[
            AlertPeriod(from_at=_time(one.start) if one.start else None, until_at=_time(one.end) if one.end else None)
            for one in told.active_period[:MOST_PERIODS]
        ],
        informed=[_informed(one) for one in told.informed_entity[:MOST_INFORMED]],
        timestamp=rfc3339(round(timestamp_s * MICROSECONDS_PER_SECOND)),
    )


def _informed(told: gtfs_rt.EntitySelector) -> InformedEntity:
    return InformedEntity(
        agency_id=told.agency_id or None,
        route_id=told.route_id or told.trip.route_id or None,
        route_type=told.route_type if told.HasField("route_type") else None,
        direction_id=told.direction_id if told.HasField("direction_id") else None,
        stop_id=told.stop_id or None,
        trip_id=told.trip.trip_id or None,
        start_date=told.trip.start_date or None,
        start_time=told.trip.start_time or None,
    )


def _trip(told: gtfs_rt.TripUpdate, source: str, timestamp_s: float) -> AgencyTrip | str:
    """How a trip goes, or why that is of no use."""
    trip = told.trip
    name = " ".join(filter(None, (trip.trip_id, trip.start_date, trip.start_time)))
    if not trip.trip_id or len(name) > _LONGEST_ID:
        return "trip updates without a usable trip"
    skipped = gtfs_rt.TripUpdate.StopTimeUpdate.SKIPPED
    return AgencyTrip(
        run_id=name,
        source=source,
        trip_id=trip.trip_id,
        start_date=trip.start_date or None,
        start_time=trip.start_time or None,
        route_id=trip.route_id or None,
        vehicle_id=told.vehicle.id or None,
        relationship=gtfs_rt.TripDescriptor.ScheduleRelationship.Name(trip.schedule_relationship),
        delay_seconds=told.delay if told.HasField("delay") else None,
        stops=[
            AgencyStopTime(
                stop_sequence=one.stop_sequence if one.HasField("stop_sequence") else None,
                stop_id=one.stop_id or None,
                arrives_at=_time(one.arrival.time) if one.arrival.time else None,
                departs_at=_time(one.departure.time) if one.departure.time else None,
                delay_seconds=one.arrival.delay if one.arrival.HasField("delay") else None,
                is_skipped=one.schedule_relationship == skipped,
            )
            for one in told.stop_time_update[:MOST_STOPS]
        ],
        timestamp=_time(told.timestamp or timestamp_s),
    )


def _text(told: gtfs_rt.TranslatedString) -> tuple[str, str | None]:
    """A text and its language: the one without a language, or the first one."""
    ranked = sorted(told.translation, key=lambda one: bool(one.language))
    return (ranked[0].text.strip(), ranked[0].language or None) if ranked else ("", None)


def _time(seconds: float) -> str:
    return rfc3339(round(seconds) * MICROSECONDS_PER_SECOND)


def _epoch_s(timestamp: str) -> float:
    return epoch_us(timestamp) / MICROSECONDS_PER_SECOND
