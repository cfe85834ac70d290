"""What the demo sets for the feeds of its city."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.timestamps import epoch_us
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.decoder import FeedDecoder, sample_of
from trafficapp.settings import load_settings
from trafficapp.stack.city_settings import city_environment
from trafficapp.stack.workers import SIMULATION, source_spec

BOUNDS = (44.4696, 11.2844, 44.5271, 11.3517)
DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("areas", "transit", "riders", "fleet", "incidents", "weather", "still-cameras")


def test_what_is_set_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICAPP_WEATHER__TIME_ZONE", "UTC")
    found = city_environment(load_settings())
    assert found["TRAFFICAPP_FLEET__TIME_ZONE"] == "Europe/Rome"
    assert "TRAFFICAPP_WEATHER__TIME_ZONE" not in found
    assert found["TRAFFICAPP_CITY__BOUNDS"] == "[44.4696, 11.2844, 44.5271, 11.3517]"
    monkeypatch.setenv("TRAFFICAPP_CITY__BOUNDS", "[44.0, 11.0, 45.0, 12.0]")
    assert "TRAFFICAPP_CITY__BOUNDS" not in city_environment(load_settings())


def test_the_settings_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in city_environment(load_settings()).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.city.bounds == BOUNDS
    assert settings.fleet.matching
    zoned = (settings.fleet, settings.transit, settings.riders, settings.incidents, settings.weather)
    assert {section.time_zone for section in (*zoned, settings.areas, settings.still_cameras)} == {"Europe/Rome"}
    assert city_environment(settings) == {}


def test_the_source_plays_the_feeds_unless_it_is_to_do_without(tmp_path: Path) -> None:
    assert "--without-feeds" not in source_spec(SIMULATION, tmp_path, {}).command
    assert "--without-feeds" in source_spec(SIMULATION, tmp_path, {}, with_feeds=False).command


def test_what_samples_and_pages_tell_is_in_the_city_of_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in city_environment(load_settings()).items():
        monkeypatch.setenv(name, value)
    settings, now = load_settings(), datetime.now(UTC)
    for feed in FEEDS:
        if not feed.is_ours:
            FeedDecoder(feed, settings).check(*sample_of(feed, now), epoch_us(now))
    south, west, north, east = BOUNDS
    for page in PAGES:
        told = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        latitudes = [float(one) for one in re.findall(r"\b44\.\d{3,}", told)]
        longitudes = [float(one) for one in re.findall(r"\b11\.3\d{2,}", told)]
        assert all(south < one < north for one in latitudes), page
        assert all(west < one < east for one in longitudes), page
