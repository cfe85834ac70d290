"""What is declared of the feeds of weather: which messages are accepted, and how old a document says it is."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from models.cameras.detections import Rejected
from models.timestamps import epoch_us
from models.weather.current import CurrentWeather
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.postgres.sink import postgres_time
from trafficapp.weather.feeds import CURRENT_WEATHER, WEATHER_READINGS

NOON_US = epoch_us("2026-01-14T12:00:00Z")
READING: dict[str, Any] = {"device_id": "a", "timestamp": "2026-01-14T12:00:00Z", "location": [44.5, 11.3]}


def accepted(changes: dict[str, Any], settings: Settings | None = None) -> Any:
    value = json.dumps(READING | changes).encode()
    return FeedDecoder(WEATHER_READINGS, settings or load_settings()).check(b"any", value, NOON_US)


def test_numbers_may_be_text_and_what_is_not_told_is_not_known() -> None:
    message = accepted({"temperature": "-1.5", "airQualityIndex": " 377.39 ", "location": ["44.5", "11.3"]}).message
    assert (message.temperature, message.air_quality_index, message.location) == (-1.5, 377.39, [44.5, 11.3])
    assert (message.humidity, message.pm2_5, message.weather_condition) == (None, None, None)
    assert accepted({"temperature": None, "device_id": 17}).message.device_id == "17"


@pytest.mark.parametrize("told", ["", "abc", "NaN", "inf", "1,5", True, [], "1e999"])
def test_what_is_no_number_is_refused(told: Any) -> None:
    with pytest.raises(Rejected) as refused:
        accepted({"temperature": told})
    assert refused.value.reason == "invalid_field"


def test_times_are_of_the_zone_of_the_setting_and_may_be_far_ahead_unless_a_setting_refuses_that() -> None:
    rome = load_settings(weather={"time_zone": "Europe/Rome"})
    assert accepted({"timestamp": "2026-01-14T13:00:00.25"}, rome).time_us == NOON_US + 250_000
    assert accepted({"timestamp": 1_768_392_000}).time_us == NOON_US
    assert accepted({"timestamp": "2036-01-14T12:00:00Z"}).time_us > NOON_US
    guarded = load_settings(weather={"future_seconds": 60})
    with pytest.raises(Rejected, match="ahead of the record"):
        accepted({"timestamp": "2026-01-14T12:01:01Z"}, guarded)


def test_the_row_has_the_records_time() -> None:
    row = accepted({"timestamp": "2026-01-14T14:00:00Z", "temperature": 3}).row
    columns = list(WEATHER_READINGS.history.columns)  # type: ignore[union-attr]
    found = dict(zip(columns, row, strict=True))
    assert found["received_at"] == postgres_time(NOON_US)
    assert found["observed_at"] == postgres_time(NOON_US + 7200 * 1_000_000)
    assert (found["station"], found["temperature"], found["humidity"]) == ("a", 3.0, None)


@pytest.mark.parametrize(
    ("minutes", "told_current", "is_current"),
    [(0, True, True), (15, True, True), (15.01, True, False), (1, False, False)],
)
def test_a_document_says_how_old_it_is(minutes: float, told_current: bool, is_current: bool) -> None:
    sample = msgspec.structs.replace(CURRENT_WEATHER.sample, is_current=told_current)
    received = datetime.fromisoformat(sample.received_at)
    make = CURRENT_WEATHER.current.as_of  # type: ignore[union-attr]
    assert make is not None
    document = make(load_settings())(msgspec.json.encode(sample), received + timedelta(minutes=minutes))
    found = msgspec.json.decode(document, type=CurrentWeather)
    assert (found.age_seconds, found.is_current) == (round(60 * minutes, 1), is_current)
    assert found.received_at == sample.received_at
