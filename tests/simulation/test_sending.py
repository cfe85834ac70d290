"""The command sends to a real broker what the feed's checks accept."""

from __future__ import annotations

from collections import Counter

import pytest
from click.testing import CliRunner

from models.roads.messages import decode_road_message
from tests.verification.log import end_offsets, read_log
from trafficapp.cli import main
from trafficapp.engine.kafka import create_topics
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import load_settings
from trafficapp.simulation.city import City
from trafficapp.simulation.feeds.buses import VEHICLE_LOCATIONS, VEHICLE_ROUTES
from trafficapp.simulation.feeds.city_feeds import FEED_TOPICS
from trafficapp.simulation.feeds.pictures import TRAFFIC_CAMERA_DATA
from trafficapp.simulation.feeds.squares import TRAFFIC_DATA
from trafficapp.topics import EVENTS_RAW, GPS_DATA, ROADS_RAW, declared_topics
from trafficapp.weather.topics import WEATHER_DATA


async def test_all_feeds_arrive(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch, city: City) -> None:
    settings = load_settings(kafka={"bootstrap_servers": kafka_bootstrap})
    await create_topics(settings, declared_topics(settings, FEEDS))
    topics = (ROADS_RAW, EVENTS_RAW, GPS_DATA, *FEED_TOPICS)
    first = {topic: end_offsets(kafka_bootstrap, topic) for topic in topics}
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    arguments = ["--duration", "20s", "--past-minutes", "55", "--start-hour", "8", "--incident", "b63[1]@5s/20min"]
    result = CliRunner().invoke(main, ["simulate", *arguments])
    assert result.exit_code == 0, result.output
    assert "08:00 local time" in result.output
    sent = {
        topic: [each for each in read_log(kafka_bootstrap, topic) if each.offset >= first[topic].get(each.partition, 0)]
        for topic in topics
    }
    observed = Counter(decode_road_message(record.value).road_id for record in sent[ROADS_RAW])
    assert set(observed) == set(city.graph.edge_ids.tolist())
    assert set(observed.values()) == {12}
    # on a side street nobody may come along within these seconds
    assert len({record.key for record in sent[EVENTS_RAW]}) >= 36
    assert len(sent[GPS_DATA]) > 10
    # ten buses every five seconds, three stations and four squares
    told = {topic: len(records) for topic, records in sent.items()}
    assert (told[VEHICLE_ROUTES] >= 10, told[VEHICLE_LOCATIONS] >= 20, told[WEATHER_DATA] >= 3) == (True, True, True)
    assert {record.key for record in sent[VEHICLE_ROUTES]} > {b"route-11-1", b"route-33-2"}
    assert (told[TRAFFIC_DATA] >= 4, told[TRAFFIC_CAMERA_DATA] >= 4) == (True, True)


def test_an_incident_on_no_road_is_refused() -> None:
    result = CliRunner().invoke(main, ["simulate", "--incident", "nowhere@5s/20min"])
    assert result.exit_code == 2
    assert "the graph has no edge 'nowhere'" in result.output
