"""Messages of every feed of a city as producers send them, made quickly: for `tests.bench.city`."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

#: South, west, north, east.
BOUNDS = (44.40, 11.20, 44.60, 11.50)
#: Keys that most feeds have: devices, buses.
KEYS = 2_000


class Source(NamedTuple):
    """A feed.

    Attributes:
        share: of all messages.
        make: given a number that counts up, key and value as of now.
    """

    topic: str
    share: float
    make: Callable[[int], tuple[bytes, bytes]]


_chance = random.Random(1)
_IDS = [f"{number:08x}-0b1e-4b9f-8a53-{number:012x}" for number in range(KEYS)]


def _place(number: int) -> tuple[float, float]:
    """Somewhere along the line of a key, as far as a car gets by now."""
    south, west, north, east = BOUNDS
    along = (time.time() * 8e-5 + number * 1e-4) % (north - south)
    return round(south + along, 6), round(west + number % KEYS / KEYS * (east - west), 6)


def _ms() -> int:
    return time.time_ns() // 1_000_000


def _car(number: int) -> tuple[bytes, bytes]:
    lat, lon = _place(number)
    device = f"car-{number % KEYS}"
    value = (
        f'{{"id":"{number:032x}","device_id":"{device}","timestamp":{_ms()},"location":[{lat},{lon}],"speed":34.2,'
        f'"direction":"North-East","make":"Fiat","model":"Panda","year":2024,"fuel_type":"Hybrid"}}'
    )
    return f"{number:032x}".encode(), value.encode()


def _tracker(number: int) -> tuple[bytes, bytes]:
    lat, lon = _place(number)
    value = (
        f'{{"id":"{number:032x}","device_id":"car-{number % KEYS}","timestamp":{_ms()},"speed":33.0,'
        f'"location":[{lat},{lon}],"direction":45.0,"vehicle_type":"private"}}'
    )
    return f"{number:032x}".encode(), value.encode()


def _bus(number: int) -> tuple[bytes, bytes]:
    lat, lon = _place(number)
    name = f"bus-{number % KEYS}"
    value = (
        f'{{"vehicle_id":"{name}","type":"bus","latitude":{lat},"longitude":{lon},"passenger_count":17,'
        f'"status":"in_service","timestamp":{_ms()}}}'
    )
    return name.encode(), value.encode()


def _tap(number: int) -> tuple[bytes, bytes]:
    lat, lon = _place(number % 50)
    value = (
        f'{{"event_id":"{number:032x}","rider_id":"r-{number}","station_id":"ST-{number % 50}","latitude":{lat},'
        f'"longitude":{lon},"timestamp":{_ms()}}}'
    )
    return f"{number:032x}".encode(), value.encode()


def _weather(number: int) -> tuple[bytes, bytes]:
    lat, lon = _place(number % 200)
    value = (
        f'{{"id":"{number:032x}","device_id":"station-{number % 200}","timestamp":{_ms()},"location":[{lat},{lon}],'
        f'"temperature":{_chance.uniform(5, 20):.1f},"weather_condition":"Cloudy","humidity":71.0,"wind_speed":14.0,'
        f'"precipitation":{_chance.uniform(0, 1):.1f},"airQualityIndex":{_chance.uniform(20, 90):.2f}}}'
    )
    return f"{number:032x}".encode(), value.encode()


def _area(number: int) -> tuple[bytes, bytes]:
    lat, lon = _place(number % 300)
    value = (
        f'{{"stream_id":"{_IDS[number % 300]}","timestamp":{_ms()},"location":"Piazza","longitude":{lon},'
        f'"latitude":{lat},"total_in_area":{number % 80},"estimated_max_people":120,"label":"normal","type":"car"}}'
    )
    return b"", value.encode()


def _incident(number: int) -> tuple[bytes, bytes]:
    lat, lon = _place(number * 7)
    value = (
        f'{{"incident_id":"inc-{number % 1000}","type":"accident","latitude":{lat},"longitude":{lon},"severity":3,'
        f'"description":"as of {number}","timestamp":{_ms()}}}'
    )
    return f"inc-{number % 1000}".encode(), value.encode()


def _emergency(number: int) -> tuple[bytes, bytes]:
    lat, lon = _place(number * 7)
    value = (
        f'{{"id":"{number:032x}","device_id":"unit","incidentId":"em-{number % 1000}","timestamp":{_ms()},'
        f'"location":[{lat},{lon}],"incident_type":"Accident","status":"Active","description":""}}'
    )
    return f"{number:032x}".encode(), value.encode()


#: How a city sends: cars and trackers most, incidents hardly ever.
SOURCES = (
    Source("vehicle_data", 0.38, _car),
    Source("gps_data", 0.20, _tracker),
    Source("vehicle_locations", 0.17, _bus),
    Source("rider_tapped_on", 0.15, _tap),
    Source("traffic_data", 0.05, _area),
    Source("weather_data", 0.04, _weather),
    Source("traffic_incidents", 0.005, _incident),
    Source("emergency_incident_data", 0.005, _emergency),
)


def mixed() -> Iterator[tuple[str, bytes, bytes]]:
    """Messages of all feeds by their shares, without end: topic, key, value."""
    order = _chance.choices(SOURCES, [source.share for source in SOURCES], k=10_000)
    for number in itertools.count():
        source = order[number % len(order)]
        yield source.topic, *source.make(number)


def of_one(source: Source) -> Iterator[tuple[str, bytes, bytes]]:
    """Messages of one feed, without end."""
    for number in itertools.count():
        yield source.topic, *source.make(number)
