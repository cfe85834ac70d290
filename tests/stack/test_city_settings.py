"""What the demo sets for the feeds of its city."""

from __future__ import annotations

from pathlib import Path

import pytest

from trafficapp.settings import load_settings
from trafficapp.stack.city_settings import city_environment
from trafficapp.stack.workers import SIMULATION, source_spec


def test_what_is_set_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICAPP_WEATHER__TIME_ZONE", "UTC")
    found = city_environment(load_settings())
    assert found["TRAFFICAPP_FLEET__TIME_ZONE"] == "Europe/Rome"
    assert "TRAFFICAPP_WEATHER__TIME_ZONE" not in found
    assert found["TRAFFICAPP_CITY__BOUNDS"] == "[44.4796, 11.2944, 44.5171, 11.3417]"
    monkeypatch.setenv("TRAFFICAPP_CITY__BOUNDS", "[44.0, 11.0, 45.0, 12.0]")
    assert "TRAFFICAPP_CITY__BOUNDS" not in city_environment(load_settings())


def test_the_settings_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in city_environment(load_settings()).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.city.bounds == (44.4796, 11.2944, 44.5171, 11.3417)
    zoned = (settings.fleet, settings.transit, settings.riders, settings.incidents, settings.weather)
    assert {section.time_zone for section in (*zoned, settings.areas, settings.still_cameras)} == {"Europe/Rome"}
    assert city_environment(settings) == {}


def test_the_source_plays_the_feeds_unless_it_is_to_do_without(tmp_path: Path) -> None:
    assert "--without-feeds" not in source_spec(SIMULATION, tmp_path, {}).command
    assert "--without-feeds" in source_spec(SIMULATION, tmp_path, {}, with_feeds=False).command
