"""What of area counters is accepted, and what is made of it."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.areas.readings import AreaReading
from models.cameras.detections import Rejected
from models.timestamps import epoch_us, rfc3339
from tests.areas.counters import NOON_US, STREAM, area_settings, encoded, reading
from trafficapp.areas.reading import AreaReader

READER = AreaReader(area_settings())
UNGUARDED = AreaReader(area_settings(future_seconds=None))


def read(reader: AreaReader | None = None, record_us: int = NOON_US, **changes: Any) -> AreaReading:
    return (reader or READER).check(None, encoded(**changes), record_us).message


def refused(reader: AreaReader | None = None, **changes: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(reader, **changes)
    return caught.value


def test_a_reading_is_brought_to_one_form() -> None:
    found = READER.check(b"any key", encoded(), NOON_US)
    assert found.time_us == NOON_US
    assert msgspec.to_builtins(found.message) == reading() | {
        "timestamp": "2025-12-02T08:21:42Z",
        "day_month_year": "02_12_2025",
        "reading_id": found.message.reading_id,
        "more": {},
    }
    assert READER.check(None, encoded(), NOON_US).message == found.message


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("2025-12-02T15:21:42+0700", "2025-12-02T08:21:42Z"),
        ("2025-11-17 14:16:17+0700", "2025-11-17T07:16:17Z"),
        ("2025-12-02T15:21:42+07:00", "2025-12-02T08:21:42Z"),
        ("2025-12-02T08:21:42Z", "2025-12-02T08:21:42Z"),
        ("2025-12-02T08:21:42.9999999Z", "2025-12-02T08:21:42.999999Z"),
        ("2025-12-02 08:21:42", "2025-12-02T08:21:42Z"),
        (1764663702, "2025-12-02T08:21:42Z"),
        (1764663702000, "2025-12-02T08:21:42Z"),
        ("1764663702", "2025-12-02T08:21:42Z"),
    ],
)
def test_times_come_in_any_form(told: Any, means: str) -> None:
    assert read(timestamp=told).timestamp == means


def test_a_time_without_an_offset_is_of_the_zone_of_the_settings() -> None:
    reader = AreaReader(area_settings(time_zone="Asia/Ho_Chi_Minh"))
    found = read(reader, timestamp="2025-12-02 03:21:42")
    assert (found.timestamp, found.day_month_year) == ("2025-12-01T20:21:42Z", "02_12_2025")


@pytest.mark.parametrize(
    ("told", "zone", "day"),
    [
        # where the counter stands it is the second already
        ("2025-12-02T03:21:42+0700", "UTC", "02_12_2025"),
        ("2025-12-01T23:30:00-02", "UTC", "01_12_2025"),
        ("2025-12-01T20:21:42Z", "UTC", "01_12_2025"),
        # UTC says nothing of where somebody stands
        ("2025-12-01T20:21:42Z", "Asia/Ho_Chi_Minh", "02_12_2025"),
        ("2025-12-01T20:21:42+00:00", "Asia/Ho_Chi_Minh", "02_12_2025"),
        (1764620502, "Asia/Ho_Chi_Minh", "02_12_2025"),
        ("20251202T032142+0700", "UTC", "02_12_2025"),
        ("2025-12-01T23:30:00-0200", "Asia/Ho_Chi_Minh", "01_12_2025"),
    ],
)
def test_the_day_is_that_of_where_the_counter_stands(told: Any, zone: str, day: str) -> None:
    assert read(AreaReader(area_settings(time_zone=zone)), timestamp=told).day_month_year == day


@given(
    st.integers(86_400, 4_000_000_000),
    st.integers(-14 * 60, 14 * 60).filter(lambda minutes: minutes != 0),
)
def test_the_day_is_the_one_that_a_calendar_there_shows(seconds: int, minutes: int) -> None:
    local = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes)))
    found = read(UNGUARDED, timestamp=local.isoformat())
    assert found.day_month_year == local.strftime("%d_%m_%Y")
    assert found.timestamp == rfc3339(epoch_us(local.astimezone(UTC)))


def test_numbers_may_be_written_as_text() -> None:
    told = read(longitude="105.8201", latitude=" 21.0031", total_in_area="12", estimated_max_people="40.0")
    assert told == read()
    assert read(total_in_area=12.0, estimated_max_people=40.0) == read()


def test_an_older_counter_calls_it_numbers_of_cars() -> None:
    assert read(total_in_area=..., numbers_of_cars=7).total_in_area == 7
    assert read(total_in_area=..., numbers_of_cars="7").total_in_area == 7
    assert read(total_in_area=5, numbers_of_cars=7).total_in_area == 5
    assert read(total_in_area=0, numbers_of_cars=7).total_in_area == 0
    assert read(total_in_area=None, numbers_of_cars=7).total_in_area == 7


def test_null_is_not_known_and_never_0() -> None:
    names = ("location", "longitude", "latitude", "total_in_area", "estimated_max_people", "label", "type")
    found = read(**dict.fromkeys(names))
    assert [getattr(found, name) for name in names] == [None] * len(names)
    assert read(total_in_area=..., numbers_of_cars=None).total_in_area is None


def test_texts_of_any_length_are_kept_and_numbers_as_texts_are_texts() -> None:
    found = read(label="x" * 100_000, location=17, type=3)
    assert (found.label, found.location, found.type) == ("x" * 100_000, "17", "3")


@pytest.mark.parametrize("told", [STREAM, STREAM.upper(), STREAM.replace("-", ""), f" {STREAM}\n"])
def test_a_stream_has_one_name(told: str) -> None:
    assert read(stream_id=told) == read()


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("missing_field", {"stream_id": ...}),
        ("missing_field", {"timestamp": ...}),
        ("missing_field", {"total_in_area": ...}),
        ("invalid_field", {"stream_id": None}),
        ("invalid_field", {"stream_id": "gate 4"}),
        ("invalid_field", {"stream_id": 4}),
        ("invalid_field", {"stream_id": STREAM[:-1]}),
        ("invalid_field", {"stream_id": f"{{{STREAM}}}"}),
        ("invalid_field", {"total_in_area": -1}),
        ("invalid_field", {"total_in_area": 2**31}),
        ("invalid_field", {"total_in_area": 1.5}),
        ("invalid_field", {"total_in_area": True}),
        ("invalid_field", {"total_in_area": "many"}),
        ("invalid_field", {"estimated_max_people": "1.5"}),
        ("invalid_place", {"latitude": 105.8201, "longitude": 21.0031}),
        ("invalid_place", {"longitude": -180.1}),
        ("invalid_field", {"latitude": "NaN"}),
        ("invalid_field", {"latitude": None}),
        ("invalid_field", {"longitude": ...}),
        ("invalid_field", {"label": ["a"]}),
        ("invalid_timestamp", {"timestamp": "yesterday"}),
        ("invalid_timestamp", {"timestamp": ""}),
        ("invalid_timestamp", {"timestamp": -5}),
        ("future", {"timestamp": "2025-12-03T08:21:43Z"}),
    ],
)
def test_what_is_wrong_is_refused_with_the_reason(reason: str, changes: dict[str, Any]) -> None:
    assert refused(**changes).reason == reason


def test_places_outside_of_the_city_are_refused_and_swapped_ones_with_a_hint() -> None:
    reader = AreaReader(area_settings(), (20.5, 105.2, 21.4, 106.1))
    assert read(reader) == read()
    assert read(reader, latitude=None, longitude=None)
    assert refused(reader, latitude=10.8, longitude=106.6).reason == "outside_city"
    assert "swapped" in refused(reader, latitude=105.8201, longitude=21.0031).detail
    assert "swapped" in refused(AreaReader(area_settings(), (20, 30, 21, 40)), latitude=35, longitude=20.5).detail


@pytest.mark.parametrize(
    ("reason", "value"),
    [("empty", None), ("empty", b""), ("not_json", b"{"), ("not_json", b"\xff"), ("invalid_field", b"[]")],
)
def test_what_is_no_message_is_refused(reason: str, value: bytes | None) -> None:
    with pytest.raises(Rejected, match=reason):
        READER.check(None, value, NOON_US)


def test_a_clock_may_be_ahead_by_a_day_or_as_far_as_the_settings_say() -> None:
    assert read(timestamp="2025-12-03T08:21:42Z").timestamp == "2025-12-03T08:21:42Z"
    assert refused(AreaReader(area_settings(future_seconds=60)), timestamp="2025-12-02T08:22:43Z").reason == "future"
    assert read(UNGUARDED, timestamp="2999-12-03T08:21:42Z")


def test_an_id_follows_from_what_is_said_and_from_nothing_else() -> None:
    one = read()
    assert one.reading_id == read(record_us=NOON_US + 5, timestamp=1764663702, longitude="105.8201").reading_id
    changes: list[dict[str, Any]] = [
        {"stream_id": STREAM.replace("5", "6")},
        {"timestamp": "2025-12-02T15:21:43+0700"},
        {"total_in_area": 13},
        {"total_in_area": None},
        {"label": "other"},
        {"location": None},
        {"type": ""},
    ]
    ids = {one.reading_id, *(read(**change).reading_id for change in changes)}
    assert len(ids) == len(changes) + 1


MORE = {
    "motorbikes": "integer",
    "seen_until": "timestamptz",
    "camera": "uuid",
    "speeds": "double precision[]",
    "weather": "text",
    "lanes": "jsonb",
    "open": "boolean",
    "density": "double precision",
    "serial": "bigint",
}


def test_fields_of_this_installation_are_read_by_the_types_of_their_columns() -> None:
    reader = AreaReader(area_settings(MORE))
    found = read(
        reader,
        motorbikes="3",
        seen_until="2025-12-02T15:21:42+0700",
        camera=STREAM.upper(),
        speeds=[1, 2.5, None],
        weather=5,
        lanes={"1": [4]},
        open=False,
        density="0.5",
        serial=2**40,
        unknown="is ignored",
    )
    assert found.more == {
        "motorbikes": 3,
        "seen_until": "2025-12-02T08:21:42Z",
        "camera": STREAM,
        "speeds": [1.0, 2.5, None],
        "weather": "5",
        "lanes": {"1": [4]},
        "open": False,
        "density": 0.5,
        "serial": 2**40,
    }
    assert found.reading_id != read(reader, motorbikes=4).reading_id
    assert read(reader, motorbikes=None).more == {}


@pytest.mark.parametrize(
    "changes",
    [{"motorbikes": 1.5}, {"motorbikes": 2**31}, {"camera": "c"}, {"speeds": ["a"]}, {"open": 1}, {"serial": 2**63}],
)
def test_fields_of_this_installation_that_their_columns_cannot_hold_are_refused(changes: dict[str, Any]) -> None:
    assert refused(AreaReader(area_settings(MORE)), **changes).reason == "invalid_field"


def test_a_time_of_this_installation_that_is_none_is_refused() -> None:
    assert refused(AreaReader(area_settings(MORE)), seen_until="soon").reason == "invalid_timestamp"


def test_what_names_a_row_must_be_there() -> None:
    reader = AreaReader(area_settings({"gate": "text"}, conflict=["stream_id", "gate", "label"]))
    assert read(reader, gate="north")
    assert refused(reader).reason == "missing_field"
    assert refused(reader, gate="north", label=None).detail.startswith("label")


_ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from([*reading(), "numbers_of_cars"]), _ODD))
def test_whatever_comes_is_read_or_refused(changes: dict[str, Any]) -> None:
    value = json.dumps(reading() | changes).encode()
    with suppress(Rejected):
        assert isinstance(READER.check(None, value, NOON_US).message, AreaReading)
