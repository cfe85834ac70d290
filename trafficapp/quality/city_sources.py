"""Roads, stations and vehicles as sources: what the rules about them read of each feed, and the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from models.quality.sources import SourceReading
from models.roads.current import RoadObservation
from models.timestamps import epoch_us
from models.transit.messages import VehicleLocation
from models.weather.readings import WeatherReading
from trafficapp.feeds.declaration import Convert, Origin
from trafficapp.feeds.rules import Rules
from trafficapp.quality.sources import make_rules
from trafficapp.settings import Settings
from trafficapp.settings.quality import ReadingSettings

#: Speeds so near free flow are what a feed tells of empty roads, and do not change.
_FREE_FLOW_SHARE = 0.95

CITY_SOURCES: Rules[SourceReading] = Rules(
    name="city-sources",
    summary="How far roads, stations and vehicles of public transport are to be trusted, by their readings.",
    key="kind:source_id",
    shape=SourceReading,
    make=make_rules,
    # they are compared with one another
    partitions=1,
)


def road_readings(settings: Settings) -> Convert:
    """What turns an observation of a road into a reading; speeds that nobody measured are none."""
    rules = settings.readings

    def messages(road: RoadObservation, time_us: int) -> Iterator[tuple[str, Struct]]:
        # what was told without the time of its record says nothing of clocks
        record_us = epoch_us(road.record_timestamp) if road.record_timestamp else time_us
        if road.is_measured:
            yield _keyed(_road(road, time_us, record_us, rules))

    return messages


def _road(road: RoadObservation, time_us: int, record_us: int, rules: ReadingSettings) -> SourceReading:
    speed, free = road.current_speed, road.free_flow_speed
    return SourceReading(
        "road",
        road.road_id,
        time_us,
        record_us,
        (speed,),
        f"{speed:g} km/h",
        possible=speed <= rules.most_kmh and speed <= rules.most_free_flow_share * max(free, 10.0),
        moves=speed < _FREE_FLOW_SHARE * free,
        # speeds of vehicles come when there are vehicles
        regular=road.vehicles is None,
    )


def station_readings(settings: Settings) -> Callable[[WeatherReading, int, Origin], Iterable[tuple[str, Struct]]]:
    """What turns a reading of a weather station into one for the rules."""
    least, most = settings.readings.temperature_c

    def messages(reading: WeatherReading, time_us: int, origin: Origin) -> Iterator[tuple[str, Struct]]:
        values = (reading.temperature, reading.humidity, reading.wind_speed)
        if reading.temperature is None:
            return
        told = f"{reading.temperature:g} °C"
        yield _keyed(
            SourceReading(
                "station",
                reading.device_id,
                time_us,
                origin.record_us,
                tuple(value for value in values if value is not None),
                told,
                possible=least <= reading.temperature <= most and 0 <= (reading.humidity or 0) <= 100,
            )
        )

    return messages


def vehicle_readings(_: Settings) -> Callable[[VehicleLocation, int, Origin], Iterable[tuple[str, Struct]]]:
    """What turns a place of a vehicle of public transport into a reading: a receiver that is frozen, a wrong clock."""

    def messages(vehicle: VehicleLocation, time_us: int, origin: Origin) -> Iterator[tuple[str, Struct]]:
        place = (vehicle.latitude, vehicle.longitude)
        yield _keyed(
            SourceReading(
                "vehicle",
                vehicle.vehicle_id,
                time_us,
                origin.record_us,
                place,
                f"{place[0]:.6f}, {place[1]:.6f}",
                moves=vehicle.status == "in_service",
                # when they are late or gone is told by other rules, which know what is planned
                regular=False,
            )
        )

    return messages


def beside(
    messages: Callable[[Settings], Convert],
    readings: Callable[[Settings], Callable[..., Iterable[tuple[str, Struct]]]],
) -> Callable[[Settings], Convert]:
    """What turns a message into what other rules read, and into readings for these."""

    def of(settings: Settings) -> Convert:
        others, mine = messages(settings), readings(settings)

        def convert(message: Struct, time_us: int, origin: Origin) -> Iterator[tuple[str, Struct]]:
            yield from others(message, time_us)
            yield from mine(message, time_us, origin)

        return convert

    return of


def _keyed(reading: SourceReading) -> tuple[str, SourceReading]:
    return f"{reading.kind}:{reading.source_id}", reading
