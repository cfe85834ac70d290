"""One finished window of a camera or of one of its lanes: topic ``traffic.metrics``."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

Level = Literal["LOW", "MODERATE", "HIGH", "SEVERE", "UNKNOWN"]


class WindowRow(Struct, frozen=True, gc=False):
    """A final row; the fields of the table ``traffic_metrics``.

    Attributes:
        lane_id: the lane, or None for the whole camera.
        vehicle_count: distinct vehicles.
        counts_by_class: distinct vehicles of each class.
        avg_speed_kmh: mean over the detections that have a speed; None when there is none.
        stopped_ratio: share of those speeds that count as stopped, 0..1; None likewise.
        queue_length: distinct vehicles seen stopped.
        congestion_score: 0..1 with 4 decimals; None without any speed.
        detections: detections counted, each once.
        p15_speed_kmh, p50_speed_kmh, p85_speed_kmh, p95_speed_kmh: percentiles of the speeds that the mean is of, at
            most 1 % from exact ones; None when there is none, and of windows from before they were counted.
    """

    camera_id: str
    window_start: str
    window_end: str
    lane_id: int | None
    vehicle_count: int
    counts_by_class: dict[str, int]
    avg_speed_kmh: float | None
    stopped_ratio: float | None
    queue_length: int
    congestion_level: Level
    congestion_score: float | None
    detections: int
    p15_speed_kmh: float | None = None
    p50_speed_kmh: float | None = None
    p85_speed_kmh: float | None = None
    p95_speed_kmh: float | None = None
    # new fields go to the end and have a default: older rows in the topic must stay readable


#: How often each bucket was hit.
SpeedCounts: TypeAlias = dict[int, int]


class FinishedWindow(WindowRow, frozen=True, gc=False, kw_only=True):
    """A row as the topic has it: with what sums of windows are made of.

    Attributes:
        pictures: of the camera in the window, as far as they showed something; 0 where that was not counted.
        speed_counts: how many speeds were in each bucket of the sketch (`trafficapp.windows.speed_sketch`). Of few
            speeds each one's bucket is listed instead, ascending: that is found sooner, and no longer.
    """

    pictures: int = 0
    speed_counts: SpeedCounts | list[int] = msgspec.field(default_factory=list)


class CameraWindow(WindowRow, frozen=True, gc=False, kw_only=True):
    """The newest window of a camera: its row, and those of its lanes.

    Attributes:
        lanes: of the same window; a lane where nothing was seen has none.
    """

    lanes: list[WindowRow]


encode_window_row = msgspec.json.Encoder().encode
decode_window_row = msgspec.json.Decoder(WindowRow).decode
decode_finished_window = msgspec.json.Decoder(FinishedWindow).decode
