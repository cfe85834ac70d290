"""One vehicle of each device, whichever of its feeds speaks: what follows from a fix.

Each fix becomes one record of where the vehicle is then. Order is that of event times, which are the devices' own and
may run ahead of the clock without end; how long a device is silent is measured by the partition's clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import atan2, cos, degrees, radians
from typing import NamedTuple

import msgspec
from msgspec import Struct, structs

from models.fleet.drives import TripEnd
from models.fleet.fences import FenceChange
from models.fleet.fixes import FEEDS, Fix, FleetFeed
from models.fleet.positions import SaidByFeed, VehiclePosition
from models.fleet.travels import Travel, WrongWay
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us, from_epoch_us
from trafficapp.feeds.rules import Told, When
from trafficapp.fleet.buses import PartitionBuses, is_bus_row
from trafficapp.fleet.drives import Drive
from trafficapp.fleet.fences import Fences, fence_of_row, fence_row
from trafficapp.fleet.fleet_rules import FleetRules
from trafficapp.fleet.matching import OnRoad, PartitionMatching
from trafficapp.fleet.topics import VEHICLE_POSITIONS
from trafficapp.fleet.travels import Driving
from trafficapp.fleet.trips import Place
from trafficapp.movement.decimals import hundredths, tenths
from trafficapp.movement.distance import metres_between
from trafficapp.movement.plausibility import QUALITY_ALERTS, Movement, Verdict, quality_alert

#: What alerts call such a vehicle; names of buses are of another world.
KIND = "vehicle"

_encode = msgspec.json.Encoder().encode
#: Both feeds of a device say the same time, and records of a batch have the broker's time of it.
_time = lru_cache(1024)(from_epoch_us)
_RANKS = {feed: rank for rank, feed in enumerate(FEEDS)}
_KMH_PER_METRE_AND_US = 3.6 * MICROSECONDS_PER_SECOND


class _Vehicle(Struct, array_like=True):
    """What is remembered of a device; its state row.

    Attributes:
        heard_us: the partition's clock when it was heard last.
        newest_heard_us: the same of its newest place.
        movement: its newest place, and whether it jumps about.
        rank: of the feed that said the newest place; 0 counts before 1.
        said: what each feed said last.
        before: the place before the newest time.
        computed_kmh: from there to the newest place.
        metres: likewise.
        told_kmh: what was said of the speed at the newest place.
        heading_before: what was known of its direction before the newest time, degrees.
        heading: what is known of it now.
        edge: of the road graph that its newest place is on.
        trace: what matching remembers of it.
        driving: and of the edge that it drives on.
    """

    heard_us: int
    newest_heard_us: int
    movement: Movement
    rank: int
    said: dict[FleetFeed, SaidByFeed]
    before: Place | None = None
    computed_kmh: float | None = None
    heading_before: float | None = None
    heading: float | None = None
    make: str | None = None
    model: str | None = None
    year: int | None = None
    fuel_type: str | None = None
    vehicle_type: str | None = None
    metres: float = 0.0
    told_kmh: float | None = None
    drive: Drive = msgspec.field(default_factory=Drive)
    edge: OnRoad | None = None
    trace: bytes | None = None
    driving: Driving | None = None
    # new fields go to the end: rows that were written without them must stay readable


class _Waiting(NamedTuple):
    """A position that is told when it is known what road it is on.

    Attributes:
        position: without its road.
        vehicle: whose newest place it is; None for a place before that.
        matched: position of its fix in the run that is matched; None where another fix of that time was.
    """

    position: VehiclePosition
    vehicle: _Vehicle | None
    matched: int | None


class PartitionFleet:
    """All devices of a partition; see `trafficapp.feeds.rules.PartitionRules`.

    Args:
        rules: of the settings.
        rows: what was to be remembered.
    """

    def __init__(self, rules: FleetRules, rows: Mapping[bytes, bytes]) -> None:
        self._rules = rules
        changes = {key: fence_of_row(key, row) for key, row in rows.items()}
        self._fences = Fences(rules.settings, filter(None, changes.values()))
        own = (key for key, change in changes.items() if change is None and not is_bus_row(key))
        read = [(key.decode(), _decode_row(rows[key])) for key in own]
        #: The one that was heard last stands last.
        self._vehicles = OrderedDict(sorted(read, key=lambda one: one[1].heard_us))
        #: Those of them whose newest place is not judged, likewise.
        self._driving: OrderedDict[str, _Vehicle] = OrderedDict()
        self._is_judging = False
        self._changed: dict[str, None] = {}
        self._changed_fences: dict[int, FenceChange] = {}
        self._waiting: list[_Waiting] = []
        self._clock_us = 0
        self._matching: PartitionMatching | None = None
        self._buses: PartitionBuses | None = None
        self._look(rows)

    @property
    def lacking(self) -> str | None:
        """See `trafficapp.feeds.rules.LackingRules`."""
        return self._rules.lacking

    def apply(self, message: Fix | FenceChange, when: When) -> Iterable[Told]:
        """Take a fix in: where the vehicle is, and what is to be said of its moves; or a zone that was changed."""
        if isinstance(message, FenceChange):
            if self._fences.take(message):
                self._changed_fences[message.zone_id] = message
            return ()
        if message.is_transit:
            if self._buses is not None:
                self._buses.take(message, when)
            return ()
        device_id, rank = message.device_id, _RANKS[message.feed]
        # before its first tick the clock of a partition shows nothing
        clock_us = when.clock_us or when.record_us
        self._changed[device_id] = None
        vehicle = self._vehicles.get(device_id)
        verdict, is_new = None, True
        told: list[Told] = []
        at = _time(message.time_us)
        said = SaidByFeed(at, message.latitude, message.longitude, message.speed_kmh, message.heading)
        if vehicle is None:
            movement = Movement(message.time_us, message.latitude, message.longitude)
            vehicle = self._vehicles[device_id] = _Vehicle(clock_us, clock_us, movement, rank, {})
        else:
            self._vehicles.move_to_end(device_id)
            vehicle.heard_us = clock_us
            if device_id in self._driving:
                self._driving.move_to_end(device_id)
            newest_us = vehicle.movement.time_us
            if message.time_us > newest_us:
                if self._is_judging:
                    told += self._judge(device_id, vehicle)
                verdict = self._advance(vehicle, message, rank, clock_us)
            elif message.time_us < newest_us:
                if clock_us - vehicle.newest_heard_us < self._rules.set_back_us:
                    self._say(told, _late(vehicle, message, said, when), None, None)
                    return told
                told += self._judge(device_id, vehicle)
                told += self._forget(device_id, vehicle, "clock")
                _set_back(vehicle, message, rank, clock_us)
                told += self._match_anew(device_id)
            else:
                is_new = False
                known = vehicle.said.get(message.feed)
                if known is not None and known.timestamp == at:
                    return ()  # the same once more
                if rank < vehicle.rank:
                    self._correct(vehicle, message, rank)
        if self._is_judging:
            self._driving[device_id] = vehicle
        before, slower_kmh = vehicle.said.get(message.feed), message.speed_kmh
        if before is not None and (faster_kmh := before.speed) is not None and slower_kmh is not None:
            slower_by = faster_kmh - slower_kmh
            if slower_by >= self._rules.braking_kmh:
                speeds, before_us = (faster_kmh, slower_kmh), epoch_us(before.timestamp)
                told += self._rules.drive.brake(device_id, vehicle.drive, vehicle.movement, before_us, speeds)
        vehicle.said[message.feed] = said
        _describe(vehicle, message)
        newest = self._newest(vehicle, message, said, when)
        matched = None
        if is_new and self._matching is not None:
            self._clock_us = clock_us
            matched = self._matching.take(message, when.record_us, vehicle.vehicle_type)
        self._say(told, newest, vehicle, matched)
        if verdict is not None:
            told.append(_alert(device_id, vehicle.movement, verdict))
        return told

    def finish(self) -> Iterator[Told]:
        """Put the fixes of a run onto the graph together, which costs less, and tell where they are."""
        if self._buses is not None:
            yield from map(self._on_road, self._buses.finish())
        if self._matching is None or not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        roads, wrong_ways, travels = self._matching.match(self._clock_us)
        for position, vehicle, matched in waiting:
            if vehicle is not None and matched is not None:
                vehicle.edge = roads[matched]
            if vehicle is None or vehicle.edge is None:
                yield _record(position)
            else:
                road_id, edge = vehicle.edge
                yield _record(structs.replace(position, road_id=road_id, edge=edge))
        for told in wrong_ways:
            yield self._on_road(told)
        yield from map(self._on_road, travels)

    def tick(self, clock_us: int) -> Iterator[Told]:
        """End what goes on of those who were not heard for a while, and forget who was not heard for long."""
        yield from self.finish()
        self._look({})
        if self._matching is not None:
            silent, travels = self._matching.settle(clock_us)
            self._changed.update(dict.fromkeys(silent))
            yield from map(self._on_road, travels)
        if self._buses is not None:
            yield from map(self._on_road, self._buses.tick(clock_us))
        driving, oldest_us = self._driving, clock_us - self._rules.drive.silence_us
        while driving:
            device_id, vehicle = next(iter(driving.items()))
            if vehicle.heard_us > oldest_us:
                break
            del driving[device_id]
            self._changed[device_id] = None
            yield from self._judge(device_id, vehicle)
            yield from self._rules.drive.interrupt(device_id, vehicle.drive, "silence")
        vehicles, oldest_us = self._vehicles, clock_us - self._rules.forget_us
        while vehicles:
            device_id, vehicle = next(iter(vehicles.items()))
            if vehicle.heard_us > oldest_us:
                return
            del vehicles[device_id]
            self._driving.pop(device_id, None)
            self._changed[device_id] = None
            yield from self._judge(device_id, vehicle)
            yield from self._forget(device_id, vehicle, "silence")
            if self._matching is not None:
                self._matching.forget(device_id)
            verdict = vehicle.movement.close()
            if verdict is not None:
                yield _alert(device_id, vehicle.movement, verdict, f"{KIND} {device_id} was not heard any more")

    def erase(self, vehicle_ids: Collection[str]) -> list[Told]:
        """See `trafficapp.feeds.rules.ErasingRules`; what waits of others is told."""
        told = list(self.finish())
        for device_id in vehicle_ids:
            if self._vehicles.pop(device_id, None) is not None:
                self._driving.pop(device_id, None)
                self._changed[device_id] = None
                if self._matching is not None:
                    self._matching.forget(device_id)
            if self._buses is not None:
                self._buses.erase(device_id)
        return told

    def changed_rows(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Each device that changed since the last call."""
        changed, self._changed = self._changed, {}
        traces = {} if self._matching is None else self._matching.remembered(changed)
        for device_id in changed:
            vehicle = self._vehicles.get(device_id)
            if vehicle is not None:
                vehicle.trace, vehicle.driving = traces.get(device_id, (None, None))
            yield device_id.encode(), None if vehicle is None else _encode_row(vehicle)
        if self._buses is not None:
            yield from self._buses.changed_rows()
        fences, self._changed_fences = self._changed_fences, {}
        yield from map(fence_row, fences.values())

    def _look(self, rows: Mapping[bytes, bytes]) -> None:
        """Begin what needs the road graph, if that is there now and was not before."""
        rules = self._rules
        rules.look()
        if rules.drive.is_on and not self._is_judging:
            self._is_judging = True
            self._driving.update(
                (device_id, vehicle)
                for device_id, vehicle in self._vehicles.items()
                if vehicle.drive.judged_us != vehicle.movement.time_us
            )
        if rules.roads is None or self._matching is not None:
            return
        self._matching = PartitionMatching(rules.roads, rules.travels)
        if rules.travels is not None:
            self._buses = PartitionBuses(rules.roads, rules.travels, rows)
        for device_id, vehicle in self._vehicles.items():
            if vehicle.trace is not None:
                self._matching.go_on(device_id, vehicle.trace, vehicle.driving)

    def _on_road(self, message: Travel | WrongWay) -> Told:
        """What a matched vehicle does on a road, to be told."""
        return Told(self._rules.roads_topic, message.edge.encode(), _encode(message))

    def _judge(self, device_id: str, vehicle: _Vehicle) -> Sequence[Told]:
        """Judge the newest place of a vehicle, since it stays as it is."""
        return self._rules.drive.judge(
            device_id,
            vehicle.drive,
            self._fences,
            vehicle.movement,
            vehicle.before,
            vehicle.metres,
            vehicle.told_kmh,
            vehicle.heading,
        )

    def _forget(self, device_id: str, vehicle: _Vehicle, ended_by: TripEnd) -> Iterator[Told]:
        """End what goes on of a vehicle, and what it did before."""
        drive, vehicle.drive = vehicle.drive, Drive()
        return self._rules.drive.forget(device_id, drive, self._fences, vehicle.movement, ended_by)

    def _say(self, told: list[Told], position: VehiclePosition, vehicle: _Vehicle | None, matched: int | None) -> None:
        """Tell a position: now, or when it is matched."""
        if self._matching is None:
            told.append(_record(position))
        else:
            self._waiting.append(_Waiting(position, vehicle, matched))

    def _match_anew(self, device_id: str) -> Iterable[Told]:
        """Forget the trace of a vehicle, once all that came before is matched and told."""
        if self._matching is None:
            return ()
        told = list(self.finish())
        self._matching.forget(device_id)
        return told

    def _advance(self, vehicle: _Vehicle, fix: Fix, rank: int, clock_us: int) -> Verdict | None:
        """Go to a newer place."""
        movement = vehicle.movement
        before = vehicle.before = Place(movement.time_us, movement.latitude, movement.longitude)
        vehicle.heading_before = vehicle.heading
        vehicle.rank, vehicle.newest_heard_us = rank, clock_us
        metres = metres_between(before.latitude, before.longitude, fix.latitude, fix.longitude)
        vehicle.metres = metres
        vehicle.computed_kmh = _kmh(metres, fix.time_us - before.time_us)
        return self._rules.movement.moved(movement, fix.time_us, fix.latitude, fix.longitude, metres)

    def _correct(self, vehicle: _Vehicle, fix: Fix, rank: int) -> None:
        """Take the place of another feed of the same time."""
        vehicle.movement.latitude, vehicle.movement.longitude = fix.latitude, fix.longitude
        vehicle.rank = rank
        if (before := vehicle.before) is not None:
            metres = metres_between(before.latitude, before.longitude, fix.latitude, fix.longitude)
            vehicle.metres = metres
            vehicle.computed_kmh = _kmh(metres, fix.time_us - before.time_us)

    def _newest(self, vehicle: _Vehicle, fix: Fix, said: SaidByFeed, when: When) -> VehiclePosition:
        """Where a vehicle is: what all feeds say of the newest time, the first that says it; else what its way says."""
        speed_kmh = heading = None
        for feed in FEEDS:
            one = vehicle.said.get(feed)
            if one is not None and one.timestamp == said.timestamp:
                speed_kmh = one.speed if speed_kmh is None else speed_kmh
                heading = one.direction if heading is None else heading
        if heading is None:
            heading = self._bearing(vehicle)
        vehicle.heading, vehicle.told_kmh = heading, speed_kmh
        computed_kmh, movement = vehicle.computed_kmh, vehicle.movement
        place = movement.latitude, movement.longitude, computed_kmh if speed_kmh is None else speed_kmh, heading
        # what waits to be matched is told when more may have been said
        feeds = vehicle.said if self._matching is None else dict(vehicle.said)
        return _position(vehicle, place, computed_kmh, not movement.jumps & 1, feeds, fix, said, when)

    def _bearing(self, vehicle: _Vehicle) -> float | None:
        """The way from the place before to the newest, degrees clockwise from north in [0, 360).

        Where they are too near each other, what was known before counts.
        """
        before, newest = vehicle.before, vehicle.movement
        if before is None:
            return vehicle.heading_before
        metres = metres_between(before.latitude, before.longitude, newest.latitude, newest.longitude)
        if metres < self._rules.direction_from_m:
            return vehicle.heading_before
        east = (newest.longitude - before.longitude + 180) % 360 - 180
        shrunk = east * cos(radians((before.latitude + newest.latitude) / 2))
        # what is a little less than 360 is none of it
        return tenths(degrees(atan2(shrunk, newest.latitude - before.latitude)) % 360.0) % 360.0


_encode_row = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(_Vehicle).decode


def _set_back(vehicle: _Vehicle, fix: Fix, rank: int, clock_us: int) -> None:
    """Begin anew at an earlier time: how far it moved meanwhile is not known. An open alert stays open."""
    movement = vehicle.movement
    movement.time_us, movement.latitude, movement.longitude = fix.time_us, fix.latitude, fix.longitude
    movement.jumps &= ~1
    vehicle.newest_heard_us, vehicle.rank, vehicle.said = clock_us, rank, {}
    vehicle.before = vehicle.computed_kmh = vehicle.heading_before = None
    vehicle.metres = 0.0


def _describe(vehicle: _Vehicle, fix: Fix) -> None:
    """Take over what a fix says of the vehicle."""
    if fix.feed == "vehicle_data":
        vehicle.make = fix.make or vehicle.make
        vehicle.model = fix.model or vehicle.model
        vehicle.year = fix.year or vehicle.year
        vehicle.fuel_type = fix.fuel_type or vehicle.fuel_type
    else:
        vehicle.vehicle_type = fix.vehicle_type or vehicle.vehicle_type


def _late(vehicle: _Vehicle, fix: Fix, said: SaidByFeed, when: When) -> VehiclePosition:
    """Where a vehicle was before its newest place: as that fix alone says it, since nobody knows what lay between."""
    known = vehicle.said.get(fix.feed)
    if known is None or known.timestamp < said.timestamp:
        vehicle.said[fix.feed] = said
    place = fix.latitude, fix.longitude, fix.speed_kmh, fix.heading
    return _position(vehicle, place, None, True, {fix.feed: said}, fix, said, when)


def _position(
    vehicle: _Vehicle,
    place: tuple[float, float, float | None, float | None],
    computed_kmh: float | None,
    plausible: bool,
    feeds: dict[FleetFeed, SaidByFeed],
    fix: Fix,
    said: SaidByFeed,
    when: When,
) -> VehiclePosition:
    latitude, longitude, speed_kmh, heading = place
    # by place, which is twice as quick as by name
    return VehiclePosition(
        fix.device_id,
        latitude,
        longitude,
        speed_kmh,
        heading,
        said.timestamp,
        _time(when.record_us),
        computed_kmh,
        plausible,
        vehicle.make,
        vehicle.model,
        vehicle.year,
        vehicle.fuel_type,
        vehicle.vehicle_type,
        feeds,
        fix.feed,
        fix.latitude,
        fix.longitude,
        fix.speed_kmh,
        fix.heading,
    )


def _record(position: VehiclePosition) -> Told:
    return Told(VEHICLE_POSITIONS, position.vehicle_id.encode(), _encode(position))


def _kmh(metres: float, elapsed_us: int) -> float:
    return hundredths(metres / elapsed_us * _KMH_PER_METRE_AND_US)


def _alert(device_id: str, movement: Movement, verdict: Verdict, note: str = "") -> Told:
    alert = quality_alert(KIND, device_id, movement, verdict, note)
    return Told(QUALITY_ALERTS, device_id.encode(), _encode(alert))
