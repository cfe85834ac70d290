"""Windows and history accept the same, and nothing of it depends on what stands beside a message."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from models.cameras.detections import (
    TICK_HEADER,
    UNDECODABLE,
    Detection,
    Frame,
    Rejected,
    check_key,
    events_in,
    time_us_of,
)
from models.records import UNREADABLE
from tests.windows.entries import RULES, SECOND_US, T0_US, PlainRecord, fresh
from tests.windows.test_decoder import BAD, FLAT, FRAME, GOOD, PART, message
from trafficapp.stores.cameras.event_rows import COLUMNS, EventRows
from trafficapp.stores.postgres.sink import POSTGRES_EPOCH_US

#: A record is of the first second; what is refused as late or as one too many is accepted by itself.
RECORD_MS = T0_US // 1000
OF_WHAT_CAME_BEFORE = {"late", "camera_full", "too_many_cameras"}

TIMES: list[Any] = [
    "2023-11-14T22:13:20Z", "2023-11-14T22:13:20.9999999+01:00", 1_700_000_000, 1_700_000_000.0, 1_700_000_000_000,
    1_700_000_060, 1_700_000_060.000001, "1700000061", 1_699_990_000, 5, -1, 1e300, "soon", None, True,
]  # fmt: skip
ODD: dict[str, list[Any]] = {
    "camera_id": ["a", "a", "b", "c\0m", "\0a", "", 7, "é"],
    "frame_id": [1, 2, "2", 2.0, 1.5, 2**63],
    "timestamp": TIMES,
    "vehicle_id": ["v1", "v2", "v\0", 12, "", "absent"],
    "class": ["car", "bus", "ufo"],
    "lane_id": ["absent", 1, "1", 1.0, 40_000, -1],
    "speed_estimate": ["absent", 30, "30", 0, 401, "401", -1],
    "centroid": ["absent", {"x": 1, "y": 2}, {"x": "1", "y": "two"}, None],
    "bbox": [GOOD["bbox"], None, {"x": "1", "y": 2, "w": 3, "h": 4}],
}
PARTS = [PART, {**PART, "vehicle_id": "v2"}, {**PART, "class": "ufo"}, {**PART, "speed_estimate": 900}, 7]


@st.composite
def values(draw: st.DrawFn) -> bytes | None:
    """A message: a good one, one that is odd in some fields, a frame of any parts, or one of those that are bad."""
    match draw(st.sampled_from(["good", "odd", "odd", "flat", "frame", "bad"])):
        case "good":
            return message(vehicle_id=draw(st.sampled_from(["v1", "v2", "v3"])))
        case "odd":
            fields = draw(st.lists(st.sampled_from(sorted(ODD)), max_size=3))
            return message(**{name: draw(st.sampled_from(ODD[name])) for name in fields})
        case "flat":
            return json.dumps({**FLAT, "ts": draw(st.sampled_from(TIMES))}).encode()
        case "frame":
            parts = draw(st.lists(st.sampled_from(PARTS), max_size=4))
            return json.dumps({**FRAME, "timestamp": draw(st.sampled_from(TIMES)), "detections": parts}).encode()
        case _:
            return draw(st.sampled_from(SMALL_BAD))


SMALL_BAD = [value for value, _ in BAD if value is None or len(value) < 10_000]


@st.composite
def logs(draw: st.DrawFn) -> list[PlainRecord]:
    """Records of any message under any key, ticks and unreadable ones among them."""
    log = []
    for offset in range(draw(st.integers(1, 12))):
        key = draw(st.sampled_from([b"a", b"a", b"a", b"a", b"b", b"c\0m", b"\0a", b"7", "é".encode(), None]))
        value = draw(values())
        other = ("trace", b"1")
        headers = draw(
            st.sampled_from([[], [], [], [other], [(TICK_HEADER, b""), other], [other, (TICK_HEADER, b"")], [UNREAD]])
        )
        log.append(PlainRecord(offset, RECORD_MS, key, value, headers))
    return log


UNREAD = (UNREADABLE, b"its header is not UTF-8")


def decoded(value: Any) -> tuple[Detection | Frame, list[Rejected]]:
    """A message by whichever decoder takes it; at most one of the fast ones does."""
    decoder = RULES.acceptance.decoder
    for decode in (decoder.decode_frame, decoder.decode_detection):
        with suppress(*UNDECODABLE):
            found = decode(value)
            if isinstance(found, Frame) or found.detections is UNSET:
                return found, []
    return decoder.decode(value)


def looked_at_alone(record: PlainRecord) -> tuple[list[tuple[object, ...]], Counter[str]]:
    """Rows and refusals of one record by itself, after docs/windows.md."""
    if record.headers and record.headers[0][0] is UNREADABLE:
        return [], Counter({"unreadable_record": 1})
    if record.headers and record.headers[0][0] == TICK_HEADER:
        return [], Counter()
    refused: Counter[str] = Counter()
    try:
        found, left_out = decoded(record.value)
        refused.update(part.reason for part in left_out)
        check_key(record.key, found)
        time_us = time_us_of(found)
        if time_us > record.timestamp * 1000 + 60 * SECOND_US:
            raise Rejected("future", "", events_in(found))
    except Rejected as error:
        for part in error.parts:
            refused[part.reason] += part.events
        return [], refused
    rows: list[tuple[object, ...]] = []
    for seen in [found] if isinstance(found, Detection) else found.detections:
        box = seen.bbox
        place = (seen.centroid.x, seen.centroid.y) if seen.centroid else (box.x + box.w / 2, box.y + box.h / 2)
        camera_id, vehicle_id = found.camera_id.replace("\0", "�"), seen.vehicle_id.replace("\0", "�")
        row = (camera_id, (time_us - POSTGRES_EPOCH_US,), vehicle_id, seen.vehicle_class, found.frame_id)
        rows.append((*row, seen.confidence, box.x, box.y, box.w, box.h, *place, seen.lane_id, seen.speed_estimate))
    return rows, refused


@settings(deadline=None, max_examples=150)
@given(logs())
def test_history_and_windows_accept_the_same(log: list[PlainRecord]) -> None:
    alone = [looked_at_alone(record) for record in log]
    expected = [row for rows, _ in alone for row in rows]
    refused = sum((reasons for _, reasons in alone), Counter[str]())

    rows, left_out = EventRows(RULES.acceptance).rows(log)
    assert rows == expected
    assert left_out == refused.total()

    outcome = fresh().apply(log)
    stateful = sum(outcome.rejected.get(reason, 0) for reason in OF_WHAT_CAME_BEFORE)
    assert outcome.counted + outcome.repeated + stateful == len(rows)
    assert {reason: n for reason, n in outcome.rejected.items() if reason not in OF_WHAT_CAME_BEFORE} == dict(refused)


@pytest.mark.parametrize(("value", "reason"), BAD)
def test_what_is_bad_costs_the_history_no_neighbour(value: bytes | None, reason: str) -> None:
    log = [PlainRecord(offset, RECORD_MS, b"a", one) for offset, one in enumerate([message(), value, message()])]
    rows, left_out = EventRows(RULES.acceptance).rows(log)
    assert [row[list(COLUMNS).index("vehicle_id")] for row in rows] == ["v1", "v1"]
    assert left_out >= 1
