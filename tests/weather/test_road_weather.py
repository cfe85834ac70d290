"""The weather of each edge is that of the nearest current station within reach."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from trafficapp.roads.graph.earth import metres_along
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.weather.road_weather import EdgePlaces, RoadWeather, StationWeather, current_stations

NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
REACH_KM = 20.0


def station(name: str, lat: float, lon: float, factor: float = 0.75, minutes_ago: float = 1) -> StationWeather:
    phenomena = () if factor == 1 else ("heavy_rain",)
    return StationWeather(name, lat, lon, NOW - timedelta(minutes=minutes_ago), phenomena, factor)


@pytest.fixture(scope="module")
def graph():  # type: ignore[no-untyped-def]
    return city_graph(RoadSettings())


@pytest.fixture(scope="module")
def places(graph) -> EdgePlaces:  # type: ignore[no-untyped-def]
    return EdgePlaces(graph)


def test_it_is_the_nearest_of_all_by_the_great_circle(graph, places: EdgePlaces) -> None:  # type: ignore[no-untyped-def]
    chance = np.random.default_rng(3)
    stations = [
        station(f"s{number:02}", 44.5 + chance.normal(0, 0.15), 11.32 + chance.normal(0, 0.2), chance.uniform(0.5, 1))
        for number in range(40)
    ]
    weather = places.weather(stations, REACH_KM)
    for edge in range(0, graph.edge_count, 37):
        middle = (graph.shape_offsets[edge] + graph.shape_offsets[edge + 1] - 1) // 2
        lat, lon = graph.shape_lat[middle], graph.shape_lon[middle]
        metres = metres_along(
            np.array([one.latitude for one in stations]), np.array([one.longitude for one in stations]), lat, lon
        )
        found = weather.of_edge(edge)
        assert found is not None
        # the flat map is exact to a percent
        assert metres[stations.index(found)] <= metres.min() * 1.01
        assert weather.factors[edge] == found.factor


def test_a_station_out_of_reach_slows_nothing(places: EdgePlaces) -> None:
    weather = places.weather([station("far", 45.2, 11.32), station("other-side", -44.5, -168.7)], REACH_KM)
    assert (weather.station_of == -1).all()
    assert (weather.factors == 1).all()
    assert (weather.slowing, weather.version, weather.note()) == ((), "", None)
    assert places.weather([station("far", 45.2, 11.32)], 90).slowing


def test_no_station_at_all_slows_nothing(places: EdgePlaces) -> None:
    assert (places.weather([], REACH_KM).factors == 1).all()


def test_fair_weather_nearby_counts_before_rain_far_away(places: EdgePlaces) -> None:
    weather = places.weather([station("fair", 44.5, 11.32, 1.0), station("rain", 44.35, 11.32)], REACH_KM)
    assert weather.version == ""
    assert (weather.factors == 1).all()


def test_what_is_slowed_is_said_with_the_worst_first(graph, places: EdgePlaces) -> None:  # type: ignore[no-untyped-def]
    east, west = float(graph.node_lon.max()), float(graph.node_lon.min())
    weather = places.weather([station("a", 44.5, west, 0.9), station("b", 44.5, east, 0.6)], REACH_KM)
    assert [one.station for one in weather.slowing] == ["b", "a"]
    assert weather.note() == (
        "for heavy rain (station b and 1 more) roads whose speed was not measured are taken to be up to 40 % slower"
    )
    assert weather.version != places.weather([station("a", 44.5, west, 0.9)], REACH_KM).version


def test_only_stations_of_the_last_quarter_of_an_hour_are_current() -> None:
    told = [station("new", 0, 0, minutes_ago=15), station("old", 0, 0, minutes_ago=15.01), station("a", 0, 0)]
    assert [one.station for one in current_stations(told, NOW, 15)] == ["a", "new"]


def test_factors_of_edges_cannot_be_written() -> None:
    weather = RoadWeather((), np.array([-1]))
    with pytest.raises(ValueError, match="read-only"):
        weather.factors[0] = 0
