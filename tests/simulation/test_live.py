"""What is sent of the simulated city: the three kinds of messages tell the same story."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest

from models.timestamps import epoch_us
from trafficapp.roads.graph.earth import metres_along
from trafficapp.simulation.city import City
from trafficapp.simulation.live import LiveCity, clock_shift, daylight_hour
from trafficapp.simulation.views import CameraView
from trafficapp.topics import EVENTS_RAW, GPS_DATA, ROADS_RAW, VEHICLE_DATA

START = datetime(2026, 11, 18, 7, 30, tzinfo=UTC)
MINUTES = 10

Messages = dict[str, list[tuple[int, dict[str, Any]]]]


def messages_of(live: LiveCity, minutes: float = MINUTES) -> Messages:
    first_us = epoch_us(START)
    found: Messages = defaultdict(list)
    for message in takewhile(lambda each: each.event_time_us < first_us + minutes * 60e6, live.messages(first_us)):
        minute = (message.event_time_us - first_us) // 60_000_000
        found[str(message.topic)].append((minute, orjson.loads(message.value or b"")))
    return found


@pytest.fixture(scope="module")
def sent(city: City, views: tuple[CameraView, ...], rome: ZoneInfo) -> Messages:
    return messages_of(LiveCity(city, views, 5, rome, past_minutes=55))


def test_cameras_and_roads_agree_minute_by_minute(city: City, views: tuple[CameraView, ...], sent: Messages) -> None:
    told = {
        (m["road_id"], minute): m["current_speed"]
        for minute, m in sent[ROADS_RAW]
        if m["timestamp"] >= "2026-11-18T07:30"
    }
    assert len(told) == 243 * MINUTES
    seen = defaultdict(list)
    edge_of = {view.camera_id: str(city.graph.edge_ids[view.edge]) for view in views}
    for minute, message in sent[EVENTS_RAW]:
        seen[edge_of[message["camera_id"]], minute].append(message["speed_estimate"])
    assert {edge for edge, _ in seen} == set(edge_of.values())
    off = np.array([np.mean(speeds) - told[key] for key, speeds in seen.items() if len(speeds) >= 40])
    assert len(off) > 250
    assert abs(off.mean()) < 1.0
    assert abs(off).mean() < 3.0


def test_probes_drive_where_they_say_at_the_speeds_of_the_roads(city: City, sent: Messages) -> None:
    fixes = [message for _, message in sent[GPS_DATA]]
    devices = defaultdict(list)
    for fix in fixes:
        devices[fix["device_id"]].append(fix)
    assert 30 < len(devices) < 1000
    straight = []
    for drive in devices.values():
        for before, after in pairwise(drive):
            seconds = (epoch_us(after["timestamp"]) - epoch_us(before["timestamp"])) / 1e6
            assert seconds == 5
            straight.append(
                float(metres_along(*(np.array([place]) for place in (*before["location"], *after["location"])))[0])
            )
    # nobody drives faster than about 60 km/h; junctions, up to 65 m wide, are passed in no time; noise is 5 m
    assert np.percentile(straight, 99) < 5 * 60 / 3.6 + 20
    assert max(straight) < 5 * 60 / 3.6 + 65 + 40
    lat, lon = np.array([fix["location"] for fix in fixes]).T
    assert lat.min() > city.graph.shape_lat.min() - 0.001
    assert lon.max() < city.graph.shape_lon.max() + 0.001
    mean = np.mean([m["current_speed"] for _, m in sent[ROADS_RAW]])
    assert 5 < np.mean([fix["speed"] for fix in fixes]) < mean


def test_connected_cars_tell_what_their_trackers_tell(sent: Messages) -> None:
    cars = {(car["device_id"], car["timestamp"]): car for _, car in sent[VEHICLE_DATA]}
    trackers = {(fix["device_id"], fix["timestamp"]): fix for _, fix in sent[GPS_DATA]}
    assert len(cars) > 100
    assert len(cars) < len(trackers) / 3
    for moment, car in cars.items():
        fix = trackers[moment]
        assert (car["location"], car["direction"]) == (fix["location"], fix["direction"])
        assert car["speed"] == pytest.approx(fix["speed"], abs=0.051)
        assert fix["vehicle_type"] == "car"
        assert car["id"] != fix["id"]
    makes = defaultdict(set)
    for car in cars.values():
        makes[car["device_id"]].add((car["make"], car["model"], car["year"], car["fuel_type"]))
    assert all(len(told) == 1 for told in makes.values())


def test_the_past_hour_of_the_feed_comes_first_one_speed_a_step(sent: Messages) -> None:
    times = sorted({m["timestamp"] for _, m in sent[ROADS_RAW] if m["timestamp"] < "2026-11-18T07:30"})
    assert times[0].startswith("2026-11-18T06:37:30")
    assert times[-1].startswith("2026-11-18T07:27:30")
    assert len(times) == 11


def test_the_same_seed_sends_the_same(
    city: City, views: tuple[CameraView, ...], rome: ZoneInfo, sent: Messages
) -> None:
    again = messages_of(LiveCity(city, views, 5, rome, past_minutes=55), minutes=0.5)
    for topic, messages in again.items():
        assert messages == sent[topic][: len(messages)]


def test_pictures_look_as_recorded(sent: Messages) -> None:
    for _, message in sent[EVENTS_RAW][:2000]:
        box, centre = message["bbox"], message["centroid"]
        assert centre["x"] == pytest.approx(box["x"] + box["w"] / 2, abs=0.2)
        assert -200 < box["x"] < 1920
        assert 540 < box["y"] + box["h"] < 1300
        assert message["class"] in {"car", "van", "truck", "bus"}
        assert message["timestamp"] % 1000 == 0
        assert 0.5 <= message["confidence"] < 1


def test_night_can_be_played_as_the_morning_of_a_working_day(rome: ZoneInfo) -> None:
    sunday_night = datetime(2026, 11, 22, 23, 15, tzinfo=UTC)
    assert daylight_hour(sunday_night, rome) == 8
    played = (sunday_night + clock_shift(sunday_night, rome, 8)).astimezone(rome)
    assert (played.weekday(), played.hour, played.minute) == (0, 8, 0)
    saturday_noon = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
    assert daylight_hour(saturday_noon, rome) is None
    assert clock_shift(saturday_noon, rome, None) == timedelta(0)
