"""What people are told of a row: all but what sums are made of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.cameras.window_rows import FinishedWindow, encode_window_row
from trafficapp.stores.cameras.newest import read_row

_ROW = FinishedWindow(
    camera_id='a ", "pictures":1 b',
    window_start="2026-11-30T12:00:00Z",
    window_end="2026-11-30T12:00:05Z",
    lane_id=None,
    vehicle_count=3,
    counts_by_class={"car": 3},
    avg_speed_kmh=41.5,
    stopped_ratio=0.0,
    queue_length=0,
    congestion_level="LOW",
    congestion_score=0.1,
    detections=40,
    p50_speed_kmh=41.0,
    pictures=12,
    speed_counts={310: 30, 0: 10},
)
_TOLD: dict[str, Any] = json.loads(encode_window_row(_ROW))
_SUMS = {"pictures": 12, "speed_counts": {"310": 30, "0": 10}}


def written(row: dict[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "value",
    [
        encode_window_row(_ROW),
        written(_SUMS | _TOLD),
        written({**_TOLD, "pictures": 12}),
        written(_TOLD | {"colour": "blue"}),
        json.dumps(_TOLD, indent=1).encode(),
        # said twice: the last one counts, and neither is told
        encode_window_row(_ROW).replace(b"{", b'{"pictures":1,', 1),
    ],
)
def test_people_are_not_told_what_sums_are_made_of(value: bytes) -> None:
    head, told = read_row(value)
    assert json.loads(told) == {name: held for name, held in _TOLD.items() if name not in _SUMS}
    assert (head.camera_id, head.lane_id, head.end_us - head.start_us) == (_ROW.camera_id, None, 5_000_000)
    assert told.count(b'"pictures"') == 0
