"""The other feeds of the simulated city: they tell of the same traffic as its roads and cameras, and of each other."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest
from PIL import Image

from models.timestamps import epoch_us
from models.timetables.runs import Fix
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.movement.distance import metres_between
from trafficapp.settings import Settings, load_settings
from trafficapp.simulation.chance import DayChance, Incident
from trafficapp.simulation.city import City, Floats
from trafficapp.simulation.days import CityNow
from trafficapp.simulation.feeds.buses import ROOM, VEHICLE_LOCATIONS, VEHICLE_ROUTES, Buses
from trafficapp.simulation.feeds.city_feeds import FEED_TOPICS, CityFeeds
from trafficapp.simulation.feeds.forms import FeedZones
from trafficapp.simulation.feeds.incidents import EMERGENCY_INCIDENTS, TRAFFIC_INCIDENTS
from trafficapp.simulation.feeds.lines import Line, bus_lines
from trafficapp.simulation.feeds.pictures import TRAFFIC_CAMERA_DATA
from trafficapp.simulation.feeds.riders import RIDER_TAPPED_ON
from trafficapp.simulation.feeds.squares import RADIUS_M, TRAFFIC_DATA
from trafficapp.simulation.feeds.timetable import write_feed
from trafficapp.simulation.live import LiveCity
from trafficapp.simulation.probes import places_along
from trafficapp.simulation.vehicles import Fleet, Vehicles
from trafficapp.simulation.views import CameraView
from trafficapp.sources.outgoing import Outgoing
from trafficapp.stack.city_settings import city_environment
from trafficapp.timetables.feed_files import Problems, opened
from trafficapp.timetables.operations import Operations
from trafficapp.timetables.reading import read_timetable
from trafficapp.timetables.storage import load
from trafficapp.topics import EVENTS_RAW, GPS_DATA, ROADS_RAW, VEHICLE_DATA
from trafficapp.transit.path import RoutePath

START = datetime(2026, 11, 18, 7, 30, tzinfo=UTC)
#: An hour before the city's traffic day begins nobody is under way, so its traffic is computed at once.
EARLY = datetime(2026, 11, 18, 2, 30, tzinfo=UTC)
ROME = ZoneInfo("Europe/Rome")
ZONES = FeedZones(ROME, ROME, ROME, ROME, ROME)


@dataclass
class Told:
    outgoing: list[Outgoing]
    feeds: CityFeeds

    def of(self, topic: str) -> list[dict[str, Any]]:
        return [orjson.loads(each.value or b"") for each in self.outgoing if each.topic == topic]


@dataclass
class Traffic:
    """The traffic of some minutes, and vehicles that do not move meanwhile."""

    begin: datetime
    speeds: list[Floats]
    fleet: Fleet
    chance: DayChance

    @classmethod
    def of(cls, city: City, begin: datetime, minutes: int, more: tuple[Incident, ...] = ()) -> Traffic:
        now = CityNow(city, 5, ROME, more)
        first, _ = now.at(begin)
        speeds = [now.at(begin + timedelta(minutes=minute))[0].speed_kmh[0] for minute in range(minutes)]
        return cls(begin, speeds, Vehicles(city, first, np.random.default_rng(1)).fleet, now.chance)

    def told(self, city: City, minutes: int) -> Told:
        """What the feeds tell."""
        demand = self.chance.demand(self.begin)
        feeds = CityFeeds(city, 5, ROME, ZONES, timedelta(0), epoch_us(self.begin), demand)
        outgoing: list[Outgoing] = []
        for second in range(60 * minutes):
            played = self.begin + timedelta(seconds=second)
            speed_kmh = self.speeds[second // 60]
            outgoing += feeds.messages(self.chance, played, speed_kmh, self.fleet, epoch_us(played))
        return Told(outgoing, feeds)


def until(live: LiveCity, seconds: int) -> Iterator[Outgoing]:
    """What is sent early in the morning."""
    first_us = epoch_us(EARLY)
    return takewhile(lambda each: each.event_time_us < first_us + seconds * 1_000_000, live.messages(first_us))


@pytest.fixture(scope="module")
def demo() -> Settings:
    """The settings of ``make demo``."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in city_environment(load_settings()).items():
            environment.setenv(name, value)
        return load_settings()


@pytest.fixture(scope="module")
def lines(city: City) -> tuple[Line, ...]:
    return bus_lines(city)


@pytest.fixture(scope="module")
def traffic(city: City) -> Traffic:
    incident = Incident(city.graph.position_of_edge["b63[1]"], START + timedelta(minutes=1), 9, 0.95)
    return Traffic.of(city, START, 12, (incident,))


@pytest.fixture(scope="module")
def told(city: City, traffic: Traffic) -> Told:
    return traffic.told(city, 12)


def test_lines_follow_roads_and_turns_that_are_allowed(city: City, lines: tuple[Line, ...]) -> None:
    turns = set(zip(city.graph.turn_from.tolist(), city.graph.turn_to.tolist(), strict=True))
    assert {len(line.routes) for line in lines} == {1, 2}
    for line in lines:
        for route, after in zip(line.routes, (*line.routes[1:], line.routes[0]), strict=True):
            assert set(pairwise((*route.edges, after.edges[0]))) <= turns
            assert RoutePath(route.path, 100).is_closed == (len(line.routes) == 1)
            assert all(stop.at_m < route.length_m for stop in route.stops)
            assert route.edge_at(0) == route.edges[0]
            assert route.edge_at(route.length_m) == route.edges[-1]


def test_buses_are_on_the_route_that_they_told_last(told: Told) -> None:
    paths: dict[str, RoutePath] = {}
    off_m = []
    for each in told.outgoing:
        message = orjson.loads(each.value or b"")
        if each.topic == VEHICLE_ROUTES:
            paths[message["vehicle_id"]] = RoutePath([tuple(place) for place in message["path"]], 100)
        elif each.topic == VEHICLE_LOCATIONS:
            path = paths[message["vehicle_id"]]
            at = path.on_map(message["latitude"], message["longitude"])
            found = path.between(*at, 0, path.length_m, 0, 0, 0)
            assert found is not None
            off_m.append(found.off_m)
    assert len(off_m) > 1000
    assert max(off_m) < 3


def test_buses_drive_the_trips_of_the_demos_timetable(told: Told, lines: tuple[Line, ...], tmp_path: Path) -> None:
    """Where buses are it expects them to be, some of them late by a jam."""
    write_feed(tmp_path / "gtfs.zip", lines, ROME, START)
    problems = Problems()
    with opened(str(tmp_path / "gtfs.zip")) as files:
        operations = Operations(read_timetable(files, problems), Settings().transit, 0)
    assert not problems.lines()
    late = []
    for message in told.of(VEHICLE_LOCATIONS):
        names, place = (message["vehicle_id"], message["trip_id"]), (message["latitude"], message["longitude"])
        list(operations.fix(Fix(*names, *place, epoch_us(message["timestamp"]), message["start_date"])))
        run = operations.runs[message["vehicle_id"]]
        if run.has_begun and (late_s := operations.late_s(run)) is not None:
            late.append(late_s)
    assert operations.left_out.total() == 0
    assert len(operations.runs) == 10
    assert np.percentile(late, 5) > -130
    assert np.percentile(late, 60) < 420


def test_what_is_started_with_the_demo_has_its_timetable(demo: Settings, tmp_path: Path) -> None:
    environment = city_environment(load_settings(), tmp_path / "timetable")
    assert environment["TRAFFICAPP_TRANSIT__TIMETABLE_DIR"] == str(tmp_path / "timetable")
    assert len(load(tmp_path / "timetable").routes) == 5
    assert demo.transit.timetable_dir is None
    own = load_settings(transit={"timetable_dir": tmp_path / "own"})
    assert "TRAFFICAPP_TRANSIT__TIMETABLE_DIR" not in city_environment(own, tmp_path / "other")


def test_each_bus_tells_every_five_seconds_and_drives_no_faster_than_its_roads(told: Told) -> None:
    drives = defaultdict(list)
    for message in told.of(VEHICLE_LOCATIONS):
        drives[message["vehicle_id"]].append(message)
    assert len(drives) == 10
    for drive in drives.values():
        for before, after in pairwise(drive):
            seconds = (epoch_us(after["timestamp"]) - epoch_us(before["timestamp"])) / 1e6
            assert seconds % 5 == 0
            places = (before["latitude"], before["longitude"], after["latitude"], after["longitude"])
            assert metres_between(*places) < 62 / 3.6 * seconds + 1


def test_jams_hold_buses(city: City, lines: tuple[Line, ...]) -> None:
    def driven_m(speed_kmh: float) -> float:
        chance = np.random.default_rng(3)
        told = CityFeeds(city, 5, ROME, ZONES, timedelta(0), 0, 0.0)
        buses = Buses(lines, told.riders, chance, 0.0, ROME, 0)
        metres = 0.0
        for second in range(60):
            before = [bus.at_m for bus in buses.buses]
            list(buses.step(np.full(city.graph.edge_count, speed_kmh), 8, second * 1_000_000))
            # who begins another route does not drive back
            metres += sum(max(bus.at_m - at_m, 0.0) for bus, at_m in zip(buses.buses, before, strict=True))
        return metres / len(buses.buses)

    free, jammed = driven_m(40), driven_m(4)
    assert 250 < free < 60 * 40 / 3.6
    assert jammed < free / 3


def test_who_gets_on_has_tapped_at_a_station_where_the_bus_stands(told: Told) -> None:
    taps, buses = told.of(RIDER_TAPPED_ON), told.feeds.buses.buses
    assert len(taps) == sum(bus.boarded for bus in buses) > 10
    begun = {}
    for message in told.of(VEHICLE_LOCATIONS):
        begun.setdefault(message["vehicle_id"], message["passenger_count"])
    for bus in buses:
        assert 0 <= bus.passengers <= ROOM
        # one may have got on or off before the bus told for the first time
        assert abs(begun[bus.vehicle_id] + bus.boarded - bus.left - bus.passengers) <= 5
    places = defaultdict(list)
    for message in told.of(VEHICLE_LOCATIONS):
        places[epoch_us(message["timestamp"]) // 5_000_000].append((message["latitude"], message["longitude"]))
    for tap in taps:
        here, time_us = (tap["latitude"], tap["longitude"]), epoch_us(tap["timestamp"])
        # gates are up to 0.001 degrees around their station
        # in the last seconds nobody tells again
        around = places[time_us // 5_000_000 + 1] or places[time_us // 5_000_000]
        near = [metres_between(*here, *place) for place in around]
        assert min(near) < 250
    assert len({tap["event_id"] for tap in taps}) == len(taps)


def test_an_incident_is_told_closed_and_cleared(city: City, told: Told) -> None:
    desk = [each for each in told.of(TRAFFIC_INCIDENTS) if each["incident_id"].endswith("b63[1]")]
    assert [(each["type"], each["severity"]) for each in desk] == [("accident", 5 - 1), ("road_closure", 5)]
    assert {each["incident_id"] for each in desk} == {f"inc-{epoch_us(START) // 1_000_000 + 60}-b63[1]"}
    here = (desk[0]["latitude"], desk[0]["longitude"])
    emergency = [each for each in told.of(EMERGENCY_INCIDENTS) if metres_between(*here, *each["location"]) < 1]
    assert [each["status"] for each in emergency] == ["Active", "Resolved"]
    assert len({each["incidentId"] for each in emergency}) == 1
    assert len({each["id"] for each in emergency}) == 2
    assert [each["timestamp"] for each in emergency] == ["2026-11-18T08:31:40", "2026-11-18T08:40:00"]


def test_squares_count_who_is_around(city: City, traffic: Traffic, told: Told) -> None:
    fleet = traffic.fleet
    lat, lon, _ = places_along(city.graph, fleet.edge, fleet.position_m)
    first = told.of(TRAFFIC_DATA)[:4]
    assert {each["timestamp"] for each in first} == {"2026-11-18T08:30:00+0100"}
    for square in first:
        around = [
            metres_between(square["latitude"], square["longitude"], *place) <= RADIUS_M
            for place in zip(lat.tolist(), lon.tolist(), strict=True)
        ]
        # what is counted is looked up in steps of two metres; buses come on top
        assert square["total_in_area"] == pytest.approx(sum(around), abs=3)
    assert sum(square["total_in_area"] for square in first) > 10
    assert all(each.key is None for each in told.outgoing if each.topic == TRAFFIC_DATA)


def test_still_cameras_show_who_is_around(told: Told) -> None:
    counted = told.of(TRAFFIC_DATA)[:4]
    for square, told_by in zip(counted, told.of(TRAFFIC_CAMERA_DATA)[:4], strict=True):
        assert told_by["location"] == [square["latitude"], square["longitude"]]
        assert told_by["timestamp"] == "2026-11-18T08:30:00"
        png = Image.open(io.BytesIO(base64.b64decode(told_by["snapshot"], validate=True)))
        png.load()
        assert (png.format, png.size) == ("PNG", (96, 96))
        shades = [shade for _, shade in png.getcolors() or ()]
        assert len(shades) == (3 if square["total_in_area"] else 2)
        dark = sum(count for count, shade in png.getcolors() or () if shade == min(shades))
        # a vehicle is a dot of nine pixels; some stand side by side
        assert dark <= 9 * square["total_in_area"]


def test_rain_is_told_as_it_slows(city: City) -> None:
    chance = DayChance(city, 5, START.date(), ROME)
    free = chance.inputs(300).free_speed
    for rain, mm_h, word, share in ((0.1, 1.0, "Light rain", 0.90), (0.5, 5.0, "Rain", 0.83), (1, 10.0, "Heavy", 0.75)):
        chance._rain[:] = rain
        assert chance.inputs(300).free_speed == pytest.approx(free * share)
        feeds = CityFeeds(city, 5, ROME, ZONES, timedelta(0), 0, 0.0)
        readings = feeds._stations.readings(0, START.astimezone(ROME), chance.rain_mm_h(START), 0.5, epoch_us(START))
        told = [orjson.loads(each.value or b"") for each in readings]
        assert [each["precipitation"] for each in told] == [mm_h] * 3
        assert all(each["weather_condition"].startswith(word) for each in told)
        assert {each["timestamp"] for each in told} == {"2026-11-18T08:30:00"}


def test_at_night_buses_stand_and_nobody_taps(city: City) -> None:
    told = Traffic.of(city, EARLY, 6).told(city, 6)
    last = {each["vehicle_id"]: each["status"] for each in told.of(VEHICLE_LOCATIONS)}
    assert set(last.values()) <= {"end_of_service", "in_service", "broken_down"}
    assert list(last.values()).count("end_of_service") >= 7
    assert told.of(RIDER_TAPPED_ON) == []


def test_every_message_is_accepted_by_its_feed(demo: Settings, told: Told) -> None:
    decoders = {feed.topic: FeedDecoder(feed, demo) for feed in FEEDS if feed.topic in FEED_TOPICS}
    for each in told.outgoing:
        accepted = decoders[each.topic].check(each.key, each.value, each.event_time_us)
        if each.topic not in {VEHICLE_ROUTES, TRAFFIC_INCIDENTS, EMERGENCY_INCIDENTS}:
            assert -1_000_000 < accepted.time_us - each.event_time_us <= 0
    assert {each.topic for each in told.outgoing} == set(FEED_TOPICS)


def test_cars_tell_of_the_same_moment_as_their_trackers(
    demo: Settings, city: City, views: tuple[CameraView, ...]
) -> None:
    decoders = {feed.topic: FeedDecoder(feed, demo) for feed in FEEDS if feed.topic in {GPS_DATA, VEHICLE_DATA}}
    times: dict[str, set[tuple[str, int]]] = {GPS_DATA: set(), VEHICLE_DATA: set()}
    for message in until(LiveCity(city, views, 5, ROME, zones=FeedZones.of(demo)), seconds=10):
        if message.topic in times:
            accepted = decoders[message.topic].check(message.key, message.value, message.event_time_us)
            assert accepted.time_us == message.event_time_us
            times[message.topic].add((accepted.key, accepted.time_us))
    assert times[VEHICLE_DATA]
    assert times[VEHICLE_DATA] < times[GPS_DATA]


def test_the_same_seed_tells_the_same(city: City, traffic: Traffic, told: Told) -> None:
    again = traffic.told(city, 3).outgoing
    assert again == told.outgoing[: len(again)]


def test_without_feeds_there_are_trackers_and_cameras_alone(city: City, views: tuple[CameraView, ...]) -> None:
    live = LiveCity(city, views, 5, ROME, has_feeds=False)
    assert {message.topic for message in until(live, seconds=5)} == {ROADS_RAW, EVENTS_RAW, GPS_DATA}
