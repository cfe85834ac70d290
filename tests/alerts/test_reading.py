"""What stands on the topic of finished windows and is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.cameras.window_rows import encode_window_row
from models.records import MALFORMED
from tests.alerts.windows import T0_US, PlainRecord, end_us, fresh, in_short, record, records, spelled, window
from trafficapp.alerts.partition import PartitionAlerts, decode_row
from trafficapp.alerts.rules import causes_of
from trafficapp.engine.state_rows import partition_key
from trafficapp.settings import AlertSettings

NO_ROWS = (
    *(None, b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"camera_id":"cam"}', b"[" * 100_000),
    json.dumps({**json.loads(encode_window_row(window(1, "S"))), "congestion_level": "GRIDLOCK"}).encode(),
    encode_window_row(window(1, "S")).replace(b'"cam"', b'"\\ud800"'),
    encode_window_row(window(1, "S")).replace(b'"queue_length":3', b'"queue_length":1e999'),
)
IMPOSSIBLE: tuple[dict[str, Any], ...] = (
    {"window_start": "soon"},
    {"window_start": "0000-00-00T00:00:00Z"},
    {"window_end": "9999-12-31T23:59:59.9999999Z"},
    {"window_start": "1969-12-31T23:59:55Z", "window_end": "1970-01-01T00:00:00Z"},
    {"window_start": "2023-11-14T22:13:30Z", "window_end": "2023-11-14T22:13:30Z"},
    {"window_start": "2023-11-14T22:13:35Z", "window_end": "2023-11-14T22:13:30Z"},
    {"vehicle_count": 2**64},
    {"vehicle_count": -1},
    {"queue_length": 2**63},
    {"queue_length": -1},
    {"camera_id": ""},
    {"camera_id": "c" * 257},
    {"camera_id": partition_key(0).decode()},
)


def after(value: bytes | None, **stamp: int) -> PartitionAlerts:
    """The alerts of a camera after something between two of its windows."""
    alerts = fresh()
    first, second = records(spelled("HH"))
    second.offset = 2
    steps = alerts.apply([first, PlainRecord(1, value, **stamp), second])
    assert in_short(steps) == ["1 opened WARNING H"]
    assert alerts.applied == 2
    return alerts


@pytest.mark.parametrize("value", NO_ROWS)
def test_what_is_no_row_is_told_and_left_out(value: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    alerts = after(value)
    assert "offset 1 is left out" in caplog.text
    assert set(dict(alerts.all_rows())) == {b"cam", partition_key(0)}


@pytest.mark.parametrize("fields", IMPOSSIBLE, ids=str)
def test_what_cannot_be_a_window_is_told_and_left_out(fields: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    alerts = after(json.dumps({**json.loads(encode_window_row(window(0, "S"))), **fields}).encode())
    assert "offset 1 is left out" in caplog.text
    assert set(dict(alerts.all_rows())) == {b"cam", partition_key(0)}


def test_a_window_far_ahead_of_its_record_does_not_silence_its_camera(caplog: pytest.LogCaptureFixture) -> None:
    ahead = encode_window_row(window(100_000, "S"))
    after(ahead, timestamp=T0_US // 1000, timestamp_type=1)
    assert "was not over when it was written" in caplog.text
    hour_us = 3_600_000_000
    for ahead_us, steps in ((hour_us, 1), (hour_us + 1000, 0)):
        just = record(window(0, "S"), record_us=end_us(0) - ahead_us)
        assert len(fresh().apply([just])) == steps


def test_a_name_may_be_as_long_as_that_of_a_detection() -> None:
    assert len(fresh().apply([record(window(0, "S", "c" * 256))])) == 1


def test_a_window_of_any_length_and_place_counts() -> None:
    """Their length is a setting, which may be changed."""
    rows = [window(0, "H"), window(1, "H", window_start="2023-11-14T22:13:27.5Z", window_end="2023-11-14T22:13:41Z")]
    assert len(fresh().apply(records(rows))) == 1


@pytest.mark.parametrize(("end", "counts"), [("9999-01-01T00:00:00Z", True), ("9999-01-01T00:00:01Z", False)])
def test_a_window_ends_where_what_follows_from_it_is_a_date(end: str, counts: bool) -> None:
    assert len(fresh().apply([record(window(0, "S", window_end=end))])) == counts


def test_a_window_of_unknown_level_that_is_sent_again_changes_nothing() -> None:
    alerts, log = fresh(), records(spelled("H???"))
    alerts.apply(log)
    before = alerts.cameras[b"cam"].seen_end_us
    for offset, again in enumerate(log[1:3], len(log)):
        alerts.apply([PlainRecord(offset, again.value, again.timestamp, again.timestamp_type)])
        assert alerts.cameras[b"cam"].seen_end_us == before == end_us(3)


def test_rows_are_read_as_what_they_are_of() -> None:
    alerts = fresh()
    alerts.apply(records(spelled("HH")))
    rows = dict(alerts.all_rows())
    camera_id, camera = decode_row(b"cam", rows[b"cam"])  # type: ignore[misc]
    assert (camera_id, camera.seen_end_us, camera.has_open) == ("cam", end_us(1), True)
    partition = decode_row(partition_key(0), rows[partition_key(0)])
    assert not isinstance(partition, tuple)
    with pytest.raises(MALFORMED):
        decode_row(b"cam", rows[b"cam"][:12])


def test_windows_that_go_back_in_time_are_repeats() -> None:
    longer = window(5, "S", window_end=window(6).window_end)
    log = [window(5, "H"), window(4, "S"), window(5, "S"), longer, window(6, "H")]
    assert in_short(fresh().apply(records(log))) == ["6 opened WARNING H"]


def test_a_window_is_the_same_however_its_begin_is_written() -> None:
    (usual,) = fresh().apply(records([window(0, "S")]))
    (other,) = fresh().apply(records([window(0, "S", window_start="2023-11-14T23:13:20.000+01:00")]))
    assert usual == other


def test_one_camera_in_two_partitions_has_alerts_of_its_own_in_each() -> None:
    """They know nothing of each other, so that one id would have two lives."""
    causes, log, found = causes_of(AlertSettings(), 0), [record(window(0, "S"))], []
    for number in range(3):

        def is_at_home(_: bytes, number: int = number) -> bool:
            return number == 1

        alerts = PartitionAlerts(number, causes, 30_000_000, 240_000_000, {}, is_at_home=is_at_home)
        found += [step.id for step in alerts.apply(log)]
    assert len(set(found)) == 3
    assert found[1] == fresh().apply(log)[0].id


def test_many_faults_are_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    fresh().apply([PlainRecord(offset, b"x") for offset in range(1000)])
    assert len(caplog.records) == 1
    assert "1000" in caplog.text
