"""The agent that predicts, on real servers: one round a batch, whoever makes it, whatever becomes of its model."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from redis.asyncio import Redis

from agents.roads.forecasts import RoadForecastsSink
from models.dead_letters import decode_dead_letter
from models.roads.congestion import decode_congestion_event
from models.roads.current import RoadObservation
from models.roads.notifications import RoadNotification, decode_notification
from models.roads.predictions import RoadPrediction, decode_prediction
from models.roads.route_updates import decode_route_update
from models.timestamps import rfc3339
from models.weather.current import encode_current_weather
from tests.forecast.city.city_model import city_model
from tests.forecast.city.observations import observation, records
from tests.forecast.synthetic import ROADS
from tests.tasks import end
from tests.verification.log import end_offsets, read_log
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.telemetry import Telemetry
from trafficapp.forecast.artifacts.shipped import CityModel
from trafficapp.forecast.city.predicting import CityPredictor
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import Settings, load_settings
from trafficapp.state_logs import road_forecast_state_log
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.roads.open_incidents import OpenIncidents
from trafficapp.stores.roads.published_graph import GraphPublisher, graph_key
from trafficapp.stores.weather.city_weather import CityWeather
from trafficapp.topics import (
    DEAD_LETTERS,
    NOTIFICATIONS,
    PREDICTIONS,
    ROUTE_UPDATES,
    congestion_events,
    declared_topics,
    folded_notifications,
    road_observations,
)
from trafficapp.weather.feeds import CURRENT_WEATHER

NOWHERE = Path("nowhere")


class City:
    """A city of its own: settings, the folder of its models, and what was told since it is there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.offset = 0
        self._begin = {topic: self._end(topic) for topic in (PREDICTIONS, NOTIFICATIONS, ROUTE_UPDATES)}

    def _end(self, topic: str) -> int:
        return end_offsets(self.settings.kafka.bootstrap_servers, topic).get(0, 0)

    def told(self, topic: str) -> list[bytes]:
        log = read_log(self.settings.kafka.bootstrap_servers, topic)
        return [one.value or b"" for one in log if one.offset >= self._begin[topic]]

    def rounds(self) -> list[list[RoadPrediction]]:
        found: dict[str, list[RoadPrediction]] = {}
        for one in map(decode_prediction, self.told(PREDICTIONS)):
            found.setdefault(one.timestamp, []).append(one)
        return list(found.values())

    def notifications(self) -> list[RoadNotification]:
        return [decode_notification(value) for value in self.told(NOTIFICATIONS)]

    def feed(self, observations: Iterable[RoadObservation]) -> list[Any]:
        found = records(observations, self.offset)
        self.offset += len(found)
        return found


@pytest.fixture
async def city(kafka_bootstrap: str, redis_url: str, tmp_path: Path) -> City:
    settings = load_settings(
        app_id=f"test-roads-{secrets.token_hex(4)}",
        kafka={"bootstrap_servers": kafka_bootstrap},
        redis={"url": redis_url},
        notifications={"raise_observations": 1},
        forecast={"models_dir": tmp_path / "models", "settle_seconds": 0.1, "round_seconds": 1, "refresh_seconds": 600},
    )
    await create_topics(settings, declared_topics(settings))
    return City(settings)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@asynccontextmanager
async def owner(city: City, redis: Redis) -> AsyncIterator[RoadForecastsSink]:
    """A process that owns the city's partition; at its end it is gone as if killed."""
    settings, outbox = city.settings, Outbox(city.settings)
    model = CityModel(settings.forecast.models_dir, settings.forecast.step_seconds, shipped=NOWHERE)
    roads, state = city_graph(settings.roads), road_forecast_state_log(settings, outbox)
    graph = GraphPublisher(redis, outbox, roads, f"c{secrets.token_hex(4)}")
    weather = CityWeather(redis, settings.weather, roads)
    incidents = OpenIncidents(redis, roads, settings.incidents)
    predictor = CityPredictor(model)
    sink = RoadForecastsSink(settings, outbox, state, Telemetry(), predictor, graph, redis, weather, incidents, roads)
    starts = await sink.load([0])
    assert starts[0] <= city.offset
    rounds = asyncio.create_task(sink.make_rounds(lambda: False))
    try:
        yield sink
    finally:
        await end(rounds)
        sink.release([0])
        # rows that are handed over leave in a task of their own; a producer that is gone meanwhile would end the tests
        await sink._state.flush()
        await outbox.stop()


async def until(city: City, rounds: int) -> list[list[RoadPrediction]]:
    async with asyncio.timeout(180):
        while len(found := await asyncio.to_thread(city.rounds)) < rounds:  # noqa: ASYNC110 - others write the topic
            await asyncio.sleep(0.1)
    return found


def batch(at: float, speeds: dict[str, float], number: int = 0, **changes: Any) -> list[RoadObservation]:
    return [
        observation(road, at, kmh, 1000 * number + place, **changes) for place, (road, kmh) in enumerate(speeds.items())
    ]


async def test_a_batch_is_predicted_at_once_and_everything_follows(city: City, redis: Redis) -> None:
    version = city_model(city.settings.forecast.models_dir).name
    edge = str(city_graph(city.settings.roads).edge_ids[0])
    now = time.time()
    new_road = observation("new", now, 8, 900, edges=[(edge, 1.0)], jam_factor=9.5)
    first = [*batch(now, dict.fromkeys(ROADS, 50.0)), new_road]
    async with owner(city, redis) as sink:
        for run in (city.feed(first[:3]), city.feed(first[3:])):
            await sink.apply(0, run, lambda: True)
        (told,) = await until(city, 1)
        async with asyncio.timeout(180):
            while not city.told(ROUTE_UPDATES) or len(city.notifications()) < 2:  # noqa: ASYNC110 - others write them
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        assert len(city.rounds()) == 1
    assert [(one.road_id, one.source, one.model_version, one.note) for one in told[:6]] == [
        (road, "model", version, "") for road in ROADS
    ]
    for one in told[:6]:
        assert one.current_speed == 50
        assert one.low_kmh[0] is not None
        assert one.high_kmh[0] is not None
        assert one.low_kmh[0] < one.predicted_speed_10min < one.high_kmh[0]
        assert one.prediction_confidence == min(sure for sure in one.confidences if sure is not None)
    new = told[6]
    assert (new.road_id, new.source, new.predicted_speed_30min) == ("new", "last_value", 8)
    assert new.prediction_confidence is None
    assert new.low_kmh == [None] * 3
    assert "does not know this road" in new.note
    (update,) = map(decode_route_update, city.told(ROUTE_UPDATES))
    assert update.roads_updated == 1
    assert {(one.alert_type, one.road_id) for one in city.notifications()} == {
        ("heavy_congestion", "new"), ("severe_traffic", "new"),
    }  # fmt: skip


async def test_what_is_no_observation_is_a_dead_letter_and_counted(city: City, redis: Redis) -> None:
    now = time.time()
    ahead = observation("a", now + 3600, 5, 1, record_timestamp=rfc3339(round(now * 1e6)))
    async with owner(city, redis) as sink:
        found = records([b"none", ahead, observation("a", now, 50, 2)], 0)
        await sink.apply(0, found, lambda: True)
        (told,) = await until(city, 1)
        dropped = sink._telemetry.events_dropped
        assert [dropped.labels(reason)._value.get() for reason in ("invalid_field", "future")] == [1, 1]
    assert [(one.road_id, one.current_speed) for one in told] == [("a", 50)]
    log = read_log(city.settings.kafka.bootstrap_servers, DEAD_LETTERS)
    letters = [decode_dead_letter(record.value or b"") for record in log]
    ours = [one for one in letters if one.topic == road_observations(city.settings)]
    assert [(one.offset, one.reason) for one in ours] == [(0, "invalid_field"), (1, "future")]


async def test_who_takes_over_makes_the_owed_round_and_raises_nothing_twice(city: City, redis: Redis) -> None:
    now = time.time()
    async with owner(city, redis) as sink:
        await sink.apply(0, city.feed(batch(now - 300, {"a": 7.0, "b": 50.0})), lambda: True)
        await until(city, 1)
        async with asyncio.timeout(180):
            while not city.notifications():  # noqa: ASYNC110 - others write the topic
                await asyncio.sleep(0.05)
        before = city.offset
        owed = city.feed(batch(now + 1, {"a": 6.0, "b": 4.0, "c": 60.0}, 1))
        await sink.apply(0, owed, lambda: True)
        # killed before the round that is owed
    async with owner(city, redis) as sink:
        # the state says where to read on
        assert (await sink.load([0]))[0] == before
        await sink.apply(0, owed, lambda: True)
        # there may be a round of the take-over before it
        async with asyncio.timeout(180):
            while len((await until(city, 2))[-1]) < 3 or not city.notifications():  # noqa: ASYNC110 - others write it
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)
        rounds = city.rounds()
    assert {one.road_id: one.current_speed for one in rounds[-1]} == {"a": 6, "b": 4, "c": 60}
    raised = {(one.event_id, one.road_id, one.alert_type) for one in city.notifications()}
    assert sorted((road, kind) for _, road, kind in raised) == [
        ("a", "congestion"), ("a", "heavy_congestion"), ("b", "heavy_congestion"), ("b", "sudden_jam"),
    ]  # fmt: skip
    # a third one has nothing new to say, but predicts
    async with owner(city, redis):
        await until(city, len(city.rounds()) + 1)
    assert {(one.event_id, one.road_id, one.alert_type) for one in city.notifications()} == raised


async def test_what_was_raised_but_not_sent_is_sent_by_the_next_owner(
    city: City, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owner(city, redis) as sink:
        killed = asyncio.Event()

        async def die(partition: int) -> None:
            if sink._untold.get(partition):
                killed.set()
                await asyncio.Event().wait()

        monkeypatch.setattr(sink, "_tell", die)
        await sink.apply(0, city.feed(batch(time.time(), {"a": 7.0})), lambda: True)
        async with asyncio.timeout(180):
            await killed.wait()
        assert city.notifications() == []
    for _ in range(2):
        async with owner(city, redis):
            await until(city, len(city.rounds()) + 1)
    assert [one.alert_type for one in city.notifications()] == ["heavy_congestion"] * 2
    assert len(set(city.told(NOTIFICATIONS))) == 1


async def test_what_roads_of_a_congestion_event_raise_is_told_as_one(city: City, redis: Redis) -> None:
    graph = city_graph(city.settings.roads)
    edges = [int(graph.turn_from[0]), int(graph.turn_to[0])]
    names = graph.edge_ids[edges].tolist()
    now = time.time()
    log: list[RoadObservation] = []
    for number, (speed, jam_factor) in enumerate([(50.0, 1.0), (5.0, 7.0), (4.0, 9.5)]):
        log += batch(now - 120 + 60 * number, dict.fromkeys(names, speed), number, jam_factor=jam_factor)
    log = [structs.replace(one, edges=[(one.road_id, 1.0)]) for one in log]
    async with owner(city, redis) as sink:
        await sink.apply(0, city.feed(log[:4]), lambda: True)
        await until(city, 1)
        await sink.apply(0, city.feed(log[4:]), lambda: True)
        async with asyncio.timeout(180):
            while not any(one.alert_type == "congestion" for one in city.notifications()):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    (begun,) = (one for one in city.notifications() if one.alert_type == "congestion")
    assert (begun.change, begun.road_id, begun.folded) == ("begun", names[1], False)
    assert "severe_traffic" not in {one.alert_type for one in city.notifications()}
    read = partial(read_log, city.settings.kafka.bootstrap_servers)
    folded = [decode_notification(one.value or b"") for one in read(folded_notifications(city.settings))]
    severe = {
        (one.road_id, one.congestion_event_id, one.folded) for one in folded if one.alert_type == "severe_traffic"
    }
    assert severe == {(name, begun.congestion_event_id, True) for name in names}
    events = [decode_congestion_event(one.value or b"") for one in read(congestion_events(city.settings))]
    assert {one.event_id for one in events} == {begun.congestion_event_id}
    assert [road.road_id for road in events[-1].roads] == sorted(names)
    # the head fell from 83 % of free flow to 7 %, and the road before it stands because of that
    suspected = events[-1].suspected_incident
    assert suspected is not None
    assert (suspected.road_id, suspected.state) == (names[1], "unconfirmed")
    assert begun.message.endswith(f"cause: suspected incident, unconfirmed, {suspected.confidence:.0%} by rule")


async def test_a_damaged_model_is_refused_and_the_old_one_serves_on(city: City, redis: Redis) -> None:
    folder = city.settings.forecast.models_dir
    now = time.time()
    async with owner(city, redis) as sink:
        gauge = sink._telemetry.forecasts
        await sink.apply(0, city.feed(batch(now, dict.fromkeys(ROADS, 40.0))), lambda: True)
        assert "no model is promoted" in (await until(city, 1))[0][0].note
        served = city_model(folder, datetime(2026, 5, 1, tzinfo=UTC)).name
        await sink.apply(0, city.feed(batch(now + 1, dict.fromkeys(ROADS, 41.0), 1)), lambda: True)
        assert {one.model_version for one in (await until(city, 2))[1]} == {served}
        assert gauge.refused._value.get() == 0
        for number, name in enumerate(("model.onnx", "arrays.npz"), 2):
            later = city_model(folder, datetime(2026, 5, number, tzinfo=UTC))
            content = (later / name).read_bytes()
            (later / name).write_bytes(content[: len(content) // 2])
            await sink.apply(0, city.feed(batch(now + number, dict.fromkeys(ROADS, 42.0), number)), lambda: True)
            assert {one.model_version for one in (await until(city, number + 1))[number]} == {served}
            # it is said behind the round
            async with asyncio.timeout(180):
                while gauge.refused._value.get() != 1:  # noqa: ASYNC110 - whoever sets it tells nobody
                    await asyncio.sleep(0.05)


async def test_stale_speeds_fall_back_to_what_is_usual_and_say_so(city: City, redis: Redis) -> None:
    city_model(city.settings.forecast.models_dir)
    long_ago = time.time() - 1500
    async with owner(city, redis) as sink:
        speeds = batch(long_ago, {"north": 40.0, "unknown": 30.0}) + batch(time.time(), {"east": 50.0}, 1)
        await sink.apply(0, city.feed(speeds), lambda: True)
        (told,) = await until(city, 1)
    # of an unknown road that is silent nothing can be said
    assert [(one.road_id, one.source) for one in told] == [("north", "time_of_day"), ("east", "model")]
    assert told[0].current_speed is None
    assert "no speed was measured for 2" in told[0].note
    assert told[0].prediction_confidence is not None
    assert (await redis.exists(graph_key("bologna"))) == 0


async def test_a_model_of_other_steps_is_not_used(city: City, redis: Redis) -> None:
    city_model(city.settings.forecast.models_dir)
    other = city.settings.model_copy(
        update={"forecast": city.settings.forecast.model_copy(update={"step_seconds": 600})}
    )
    city.settings = other
    async with owner(city, redis) as sink:
        await sink.apply(0, city.feed(batch(time.time(), {"north": 40.0})), lambda: True)
        (told,) = await until(city, 1)
    assert (told[0].source, told[0].predicted_speed_30min) == ("last_value", 40)
    assert "trained with steps of 300 s, those of the settings are 600 s" in told[0].note


async def test_a_silent_road_is_predicted_slower_in_bad_weather_and_what_is_measured_is_not(
    city: City, redis: Redis
) -> None:
    model = city_model(city.settings.forecast.models_dir)
    graph = city_graph(city.settings.roads)
    edge, now = str(graph.edge_ids[0]), time.time()
    place = int(graph.shape_offsets[0])
    station = f"s{secrets.token_hex(4)}"
    current = structs.replace(
        CURRENT_WEATHER.sample,
        station=station,
        received_at=rfc3339(round((now - 60) * 1e6)),
        latitude=float(graph.shape_lat[place]),
        longitude=float(graph.shape_lon[place]),
        phenomena=["heavy_snow"],
        speed_factor=0.6,
    )
    await redis.set(f"weather:{station}", encode_current_weather(current))
    await redis.zadd("weather:stations", {station: now})
    silent = observation(ROADS[0], now - 1500, 50.0, 1, edges=[(edge, 1.0)])
    measured = observation(ROADS[1], now, 50.0, 2, edges=[(edge, 1.0)])
    try:
        async with owner(city, redis) as sink:
            await sink.apply(0, city.feed([silent, measured]), lambda: True)
            (told,) = await until(city, 1)
    finally:
        await redis.delete(f"weather:{station}", "weather:stations")
    by_road = {one.road_id: one for one in told}
    assert (by_road[ROADS[0]].source, by_road[ROADS[0]].weather_factor) == ("time_of_day", 0.6)
    assert by_road[ROADS[0]].note.endswith(f"40 % slower for heavy snow (station {station})")
    assert (by_road[ROADS[1]].source, by_road[ROADS[1]].weather_factor) == ("model", None)
    assert model.name == by_road[ROADS[1]].model_version
