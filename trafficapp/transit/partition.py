"""All vehicles of a partition: what their messages and their silence lead to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush

import msgspec

from models.fleet.fixes import Fix
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from models.transit.inner import Position, RouteOf, TransitMessage
from models.transit.vehicles import LiveVehicleRow, TransitRoute, TransitVehicle, VehicleAlert
from trafficapp.feeds.rules import Told, When
from trafficapp.fleet.travels import is_traffic
from trafficapp.movement.decimals import tenths
from trafficapp.movement.plausibility import QUALITY_ALERTS, Movement, MovementRule, Verdict, quality_alert
from trafficapp.settings.quality import MovementSettings
from trafficapp.settings.transit import TransitSettings
from trafficapp.transit.breakdowns import BreakdownRule
from trafficapp.transit.delays import DelayRule
from trafficapp.transit.occupancy import occupancy
from trafficapp.transit.path import RoutePath
from trafficapp.transit.progress import Progress, ProgressRule
from trafficapp.transit.state import Route, Vehicle, read_row, route_row, vehicle_row
from trafficapp.transit.topics import BREAKDOWN_ALERTS, DELAY_ALERTS, LIVE_VEHICLE_TABLE

#: Vehicles are one kind in the names of alerts: what type they are may change.
_KIND = "transit vehicle"

_HOUR_US = 3_600 * MICROSECONDS_PER_SECOND
_encode = msgspec.json.Encoder().encode


class TransitPartition:
    """The rules of transit for the vehicles of a partition.

    Vehicles and their routes are remembered by vehicle_id. Of a vehicle the message with the latest time of its own
    counts, of two with the same time the one that came later; an earlier one, and one that says nothing new, is but a
    sign of life.

    Args:
        settings: about transit.
        movement: about what a vehicle can do.
        vehicles_topic: where the newest states are told.
        routes_topic: where routes are told, completed.
        rows: what was to be remembered.
        fixes_topic: where fixes of road vehicles go that are put onto the road graph; None where they are not.
    """

    def __init__(
        self,
        settings: TransitSettings,
        movement: MovementSettings,
        vehicles_topic: str,
        routes_topic: str,
        rows: Mapping[bytes, bytes],
        fixes_topic: str | None = None,
    ) -> None:
        self._fixes_topic = fixes_topic
        self._vehicles_topic, self._routes_topic = vehicles_topic, routes_topic
        self._capacity = settings.capacity
        self._closed_within_m = settings.closed_within_m
        self._forget_us = round(settings.forget_hours * _HOUR_US)
        self._forget_route_us = round(settings.route_days * 24 * _HOUR_US)
        self._movement = MovementRule.of(movement)
        self._progress = ProgressRule.of(settings)
        self._delay = DelayRule.of(settings)
        self._breakdown = BreakdownRule.of(settings)
        self._vehicles: dict[str, Vehicle] = {}
        self._routes: dict[str, Route] = {}
        self._paths: dict[str, RoutePath] = {}  # made when they are first needed
        self._changed_vehicles: dict[str, None] = {}  # as sets, in order
        self._changed_routes: dict[str, None] = {}
        for key, row in rows.items():
            vehicle_id, read = read_row(key, row)
            if isinstance(read, Vehicle):
                self._vehicles[vehicle_id] = read
            else:
                self._routes[vehicle_id] = read
        # one entry a vehicle or route, some of them out of date: `_due` says which counts
        self._due = {vehicle_id: self._due_us(vehicle_id) for vehicle_id in self._vehicles.keys() | self._routes.keys()}
        self._dues = [(due_us, vehicle_id) for vehicle_id, due_us in self._due.items()]
        heapify(self._dues)

    def apply(self, message: TransitMessage, when: When) -> Iterable[Told]:
        """Take a message in; what follows from it, in order."""
        told: list[Told] = []
        if isinstance(message, RouteOf):
            self._take_route(message, when, told)
        else:
            self._take_position(message, when, told)
        self._wait_for(message.vehicle_id)
        return told

    def tick(self, clock_us: int) -> Iterable[Told]:
        """The partition's clock has moved on; what follows from silence, in order."""
        told: list[Told] = []
        dues = self._dues
        while dues and dues[0][0] <= clock_us:
            due_us, vehicle_id = heappop(dues)
            if self._due.get(vehicle_id) != due_us:
                continue
            del self._due[vehicle_id]
            told.extend(self._miss(vehicle_id, clock_us))
            if vehicle_id in self._vehicles or vehicle_id in self._routes:
                self._wait_for(vehicle_id)
        return told

    def erase(self, vehicle_ids: Collection[str]) -> Iterable[Told]:
        """See `trafficapp.feeds.rules.ErasingRules`: compacted topics lose vehicle and route."""
        told: list[Told] = []
        for vehicle_id in vehicle_ids:
            if self._vehicles.pop(vehicle_id, None) is not None:
                self._changed_vehicles[vehicle_id] = None
                told.append(Told(LIVE_VEHICLE_TABLE, vehicle_id.encode(), None))
            if (route := self._routes.pop(vehicle_id, None)) is not None:
                self._changed_routes[vehicle_id] = None
                told.append(Told(self._routes_topic, route.route_id.encode(), None))
            self._paths.pop(vehicle_id, None)
            self._due.pop(vehicle_id, None)
        return told

    def changed_rows(self) -> Iterable[tuple[bytes, bytes | None]]:
        """What is to be remembered of each vehicle that changed since the last call, and of its route."""
        rows = [vehicle_row(vehicle_id, self._vehicles.get(vehicle_id)) for vehicle_id in self._changed_vehicles]
        rows += [route_row(vehicle_id, self._routes.get(vehicle_id)) for vehicle_id in self._changed_routes]
        self._changed_vehicles.clear()
        self._changed_routes.clear()
        return rows

    # ------------------------------------------------------------------ messages

    def _take_route(self, message: RouteOf, when: When, told: list[Told]) -> None:
        vehicle_id, before = message.vehicle_id, self._routes.get(message.vehicle_id)
        if before is not None and when.record_us < before.told_us:
            return
        self._routes[vehicle_id] = Route(message.route_id, message.path, when.record_us, when.clock_us)
        self._changed_routes[vehicle_id] = None
        if before is None or before.path != message.path:
            self._paths.pop(vehicle_id, None)
            if (vehicle := self._vehicles.get(vehicle_id)) is not None:
                vehicle.progress = None
                self._changed_vehicles[vehicle_id] = None
        path = self._paths[vehicle_id] = RoutePath(message.path, self._closed_within_m)
        shown = TransitRoute(
            route_id=message.route_id,
            vehicle_id=vehicle_id,
            vehicle_type=message.vehicle_type,
            path=message.path,
            length_m=round(path.length_m, 1),
            is_closed=path.is_closed,
            expected_travel_time_minutes=message.minutes,
            timestamp=rfc3339(when.record_us),
        )
        told.append(Told(self._routes_topic, message.route_id.encode(), _encode(shown)))

    def _take_position(self, position: Position, when: When, told: list[Told]) -> None:
        vehicle_id, clock_us = position.vehicle_id, when.clock_us
        self._changed_vehicles[vehicle_id] = None
        vehicle = self._vehicles.get(vehicle_id)
        silent_us, verdict = 0, None
        if vehicle is None:
            self._vehicles[vehicle_id] = vehicle = _met(position, when)
            vehicle.progress = self._advanced(vehicle_id, vehicle, None, 0)
        else:
            silent_us = clock_us - vehicle.heard_us
            delay = None if vehicle.delay is None else self._delay.over(vehicle_id, vehicle, when)
            vehicle.heard_us, vehicle.record_us = clock_us, max(when.record_us, vehicle.record_us)
            if delay is not None:
                told.append(_told(DELAY_ALERTS, vehicle_id, delay))
            if not _is_news(position, vehicle):
                if delay is not None:
                    told.append(self._state(vehicle_id, vehicle, rfc3339(vehicle.time_us)))
                return
            was_at, elapsed_us = (vehicle.latitude, vehicle.longitude), position.time_us - vehicle.time_us
            _renew(vehicle, position)
            verdict = self._movement.move(vehicle.movement, position.time_us, position.latitude, position.longitude)
            vehicle.progress = self._advanced(vehicle_id, vehicle, was_at, elapsed_us)
        broken = self._breakdown.judge(vehicle_id, vehicle, clock_us, silent_us)
        last_updated = rfc3339(vehicle.time_us)
        told.append(Told(LIVE_VEHICLE_TABLE, vehicle_id.encode(), _encode(_live_row(position, last_updated))))
        told.append(self._state(vehicle_id, vehicle, last_updated))
        if broken is not None:
            told.append(_told(BREAKDOWN_ALERTS, vehicle_id, broken))
        if verdict is not None:
            told.append(_doubted(vehicle_id, vehicle, verdict))
        if self._fixes_topic is not None and _is_on_a_road(vehicle):
            told.append(Told(self._fixes_topic, vehicle_id.encode(), _encode(_fix(position))))

    def _advanced(
        self, vehicle_id: str, vehicle: Vehicle, was_at: tuple[float, float] | None, elapsed_us: int
    ) -> Progress | None:
        """Where the vehicle is on its route now; None without one."""
        path = self._path(vehicle_id)
        if path is None:
            return None
        is_at = (vehicle.latitude, vehicle.longitude)
        return self._progress.follow(path, vehicle.progress, was_at, is_at, elapsed_us)

    def _path(self, vehicle_id: str) -> RoutePath | None:
        path = self._paths.get(vehicle_id)
        if path is None and (route := self._routes.get(vehicle_id)) is not None:
            path = self._paths[vehicle_id] = RoutePath(route.path, self._closed_within_m)
        return path

    def _state(self, vehicle_id: str, vehicle: Vehicle, last_updated: str) -> Told:
        """The newest state of a vehicle, to be shown."""
        word, percentage = occupancy(vehicle.type.lower(), vehicle.passengers, self._capacity)
        progress, route = vehicle.progress, self._routes.get(vehicle_id)
        at_m = rounds = share = off_m = None
        path = None if progress is None else self._path(vehicle_id)
        if progress is not None and path is not None:
            off_m = tenths(progress.off_m)
            if progress.at_m is not None:
                at_m, rounds = tenths(progress.at_m), progress.rounds
                share = int(progress.at_m / path.length_m * 10_000 + 0.5) / 10_000
        shown = TransitVehicle(
            vehicle_id=vehicle_id,
            type=vehicle.type,
            latitude=vehicle.latitude,
            longitude=vehicle.longitude,
            passenger_count=vehicle.passengers,
            status=vehicle.status,
            last_updated=last_updated,
            occupancy_status=word,
            occupancy_percentage=percentage,
            route_id=None if route is None else route.route_id,
            progress_m=at_m,
            progress_share=share,
            rounds=rounds,
            off_route_m=off_m,
            delayed_since=None if vehicle.delay is None else rfc3339(vehicle.record_us),
            broken_down_since=None if vehicle.breakdown is None else rfc3339(vehicle.breakdown.opened_us),
            plausible=vehicle.movement.opened_us is None,
        )
        return Told(self._vehicles_topic, vehicle_id.encode(), _encode(shown))

    # ------------------------------------------------------------------ silence

    def _due_us(self, vehicle_id: str) -> int:
        """By the partition's clock, when there is something to look at again."""
        vehicle = self._vehicles.get(vehicle_id)
        if vehicle is None:
            return self._routes[vehicle_id].used_us + self._forget_route_us
        forgotten_us, delay_us = vehicle.heard_us + self._forget_us, self._delay.due_us(vehicle)
        return forgotten_us if delay_us is None or delay_us > forgotten_us else delay_us

    def _wait_for(self, vehicle_id: str) -> None:
        due_us, known_us = self._due_us(vehicle_id), self._due.get(vehicle_id)
        # a time that is put off is looked at when the earlier one has come
        if known_us is None or due_us < known_us:
            self._due[vehicle_id] = due_us
            heappush(self._dues, (due_us, vehicle_id))

    def _miss(self, vehicle_id: str, clock_us: int) -> Iterator[Told]:
        """What follows from the silence of a vehicle, if anything."""
        vehicle = self._vehicles.get(vehicle_id)
        if vehicle is None:
            if clock_us >= self._due_us(vehicle_id):
                del self._routes[vehicle_id]
                self._paths.pop(vehicle_id, None)
                self._changed_routes[vehicle_id] = None
        elif clock_us - vehicle.heard_us >= self._forget_us:
            yield from self._forget(vehicle_id, vehicle, clock_us)
        elif (delay := self._delay.missed(vehicle_id, vehicle, clock_us)) is not None:
            self._changed_vehicles[vehicle_id] = None
            yield _told(DELAY_ALERTS, vehicle_id, delay)
            yield self._state(vehicle_id, vehicle, rfc3339(vehicle.time_us))

    def _forget(self, vehicle_id: str, vehicle: Vehicle, clock_us: int) -> Iterator[Told]:
        if (delay := self._delay.forgotten(vehicle_id, vehicle, clock_us)) is not None:
            yield _told(DELAY_ALERTS, vehicle_id, delay)
        if (broken := self._breakdown.forgotten(vehicle_id, vehicle, clock_us)) is not None:
            yield _told(BREAKDOWN_ALERTS, vehicle_id, broken)
        if (verdict := vehicle.movement.close()) is not None:
            yield _doubted(vehicle_id, vehicle, verdict, f"{_KIND} {vehicle_id} is forgotten: it says nothing any more")
        yield Told(LIVE_VEHICLE_TABLE, vehicle_id.encode(), None)
        del self._vehicles[vehicle_id]
        self._paths.pop(vehicle_id, None)
        self._changed_vehicles[vehicle_id] = None
        if (route := self._routes.get(vehicle_id)) is not None:
            self._routes[vehicle_id] = msgspec.structs.replace(route, used_us=clock_us)
            self._changed_routes[vehicle_id] = None


def _met(position: Position, when: When) -> Vehicle:
    """A vehicle that was not known."""
    latitude, longitude, time_us = position.latitude, position.longitude, position.time_us
    return Vehicle(
        type=position.kind,
        latitude=latitude,
        longitude=longitude,
        passengers=position.passengers,
        status=position.status,
        time_us=time_us,
        met_us=when.clock_us,
        heard_us=when.clock_us,
        record_us=when.record_us,
        stood_at=(latitude, longitude),
        stood_us=time_us,
        movement=Movement(time_us, latitude, longitude),
    )


def _renew(vehicle: Vehicle, position: Position) -> None:
    vehicle.type, vehicle.passengers, vehicle.status = position.kind, position.passengers, position.status
    vehicle.latitude, vehicle.longitude, vehicle.time_us = position.latitude, position.longitude, position.time_us


def _is_on_a_road(vehicle: Vehicle) -> bool:
    """Whether what a vehicle drives says something of a road: it is in service, and can have got to where it is."""
    movement = vehicle.movement
    if movement.opened_us is not None or movement.jumps & 1:
        return False
    return vehicle.status == "in_service" and is_traffic(vehicle.type)


def _fix(position: Position) -> Fix:
    return Fix(
        "gps_data",
        position.vehicle_id,
        position.time_us,
        position.latitude,
        position.longitude,
        None,
        None,
        vehicle_type=position.kind,
        is_transit=True,
    )


def _is_news(position: Position, vehicle: Vehicle) -> bool:
    """Whether it is newer than what is known of the vehicle, or says something else of the same time."""
    if position.time_us != vehicle.time_us:
        return position.time_us > vehicle.time_us
    return (
        position.latitude != vehicle.latitude
        or position.longitude != vehicle.longitude
        or position.status != vehicle.status
        or position.passengers != vehicle.passengers
        or position.kind != vehicle.type
    )


def _live_row(position: Position, last_updated: str) -> LiveVehicleRow:
    return LiveVehicleRow(
        vehicle_id=position.vehicle_id,
        type=position.kind,
        latitude=position.latitude,
        longitude=position.longitude,
        passenger_count=position.passengers,
        status=position.status,
        last_updated=last_updated,
    )


def _told(topic: str, vehicle_id: str, alert: VehicleAlert) -> Told:
    return Told(topic, vehicle_id.encode(), _encode(alert))


def _doubted(vehicle_id: str, vehicle: Vehicle, verdict: Verdict, note: str = "") -> Told:
    alert = quality_alert(_KIND, vehicle_id, vehicle.movement, verdict, note, vehicle.met_us)
    return Told(QUALITY_ALERTS, vehicle_id.encode(), _encode(alert))
