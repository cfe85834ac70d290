"""Finished windows in short: a level, or more of it, for each window of a camera."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from models.alerts import AlertEvent
from models.cameras.quiet_cameras import AFTER_QUIET_HEADER
from models.cameras.window_rows import WindowRow, encode_window_row
from models.timestamps import epoch_us, rfc3339
from trafficapp.alerts.partition import PartitionAlerts
from trafficapp.alerts.rules import causes_of
from trafficapp.settings import AlertSettings

T0_US = 1_700_000_000_000_000
WINDOW_US = 5_000_000
LEVELS = {"L": "LOW", "M": "MODERATE", "H": "HIGH", "S": "SEVERE", "?": "UNKNOWN"}
SCORES = {"L": 0.1, "M": 0.4, "H": 0.6, "S": 0.9, "?": None}


#: Of a record that the broker stamped.
LOG_APPEND_TIME = 1

#: A window is written so long after its end.
WRITTEN_AFTER_US = 8_000_000


@dataclass
class PlainRecord:
    """A record as the alerts read it."""

    offset: int
    value: bytes | None
    timestamp: int = 0
    timestamp_type: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


def window(number: int, level: str = "L", camera_id: str = "cam", **fields: Any) -> WindowRow:
    """The finished window of a number; level is its first letter."""
    start_us = T0_US + number * WINDOW_US
    known: dict[str, Any] = {
        "camera_id": camera_id,
        "window_start": rfc3339(start_us),
        "window_end": rfc3339(start_us + WINDOW_US),
        "lane_id": None,
        "vehicle_count": 12,
        "counts_by_class": {"car": 12},
        "avg_speed_kmh": None if level == "?" else 14.25,
        "stopped_ratio": None if level == "?" else 0.25,
        "queue_length": 3,
        "congestion_level": LEVELS[level],
        "congestion_score": SCORES[level],
        "detections": 40,
    }
    return WindowRow(**(known | fields))


def standing(number: int, level: str = "L", ratio: float = 0.9, queue: int = 9) -> WindowRow:
    """A window in which most vehicles stand."""
    return window(number, level, stopped_ratio=ratio, queue_length=queue, avg_speed_kmh=1.5)


def spelled(levels: str) -> list[WindowRow]:
    """A window for each letter; a blank is a window that the camera did not have."""
    return [window(number, level) for number, level in enumerate(levels) if level != " "]


def end_us(number: int) -> int:
    """Where the window of a number ends."""
    return T0_US + (number + 1) * WINDOW_US


def record(row: WindowRow, offset: int = 0, after_quiet: bytes | None = None, record_us: int = -1) -> PlainRecord:
    """A row as it stands in the topic; written a while after its end, unless another time is given."""
    headers = () if after_quiet is None else ((AFTER_QUIET_HEADER, after_quiet),)
    written_us = epoch_us(row.window_end) + WRITTEN_AFTER_US if record_us < 0 else record_us
    return PlainRecord(offset, encode_window_row(row), written_us // 1000, LOG_APPEND_TIME, headers)


def records(rows: Iterable[WindowRow], after_quiet: int | None = None) -> list[PlainRecord]:
    """Rows as they stand in the topic, the last one after the camera was told to be quiet at the window of a number."""
    log = [record(row, offset) for offset, row in enumerate(rows)]
    if after_quiet is not None:
        log[-1].headers = ((AFTER_QUIET_HEADER, b"%d" % end_us(after_quiet)),)
    return log


def fresh(rows: dict[bytes, bytes] | None = None, on_delay_seconds: float = 0.0, **settings: Any) -> PartitionAlerts:
    """The alerts of a partition as a worker takes them over; people hear of each alert at once, unless it is said."""
    alert_settings = AlertSettings(**{"update_seconds": 5.0} | settings)
    max_gap_us = round(alert_settings.max_gap_seconds * 1e6)
    forget_us = round(alert_settings.forget_seconds * 1e6)
    forget_cameras_us = round(alert_settings.forget_cameras_hours * 3600e6)
    causes = causes_of(alert_settings, on_delay_seconds)
    return PartitionAlerts(0, causes, max_gap_us, forget_us, rows or {}, forget_cameras_us=forget_cameras_us)


def steps(rows: Iterable[WindowRow], on_delay_seconds: float = 0.0, **settings: Any) -> list[AlertEvent]:
    """The steps that rows lead to."""
    return fresh(None, on_delay_seconds, **settings).apply(records(rows))


def told(rows: Iterable[WindowRow], **settings: Any) -> list[str]:
    """The steps that rows lead to, in short."""
    return in_short(steps(rows, **settings))


def in_short(steps: Iterable[AlertEvent]) -> list[str]:
    """The number of the window that ended then, what was done, how severe it is and at which level."""
    return [
        f"{(epoch_us(step.updated_at) - T0_US) // WINDOW_US - 1} {step.action} {step.severity} "
        f"{(step.congestion_level or '-')[0]}"
        for step in steps
    ]
