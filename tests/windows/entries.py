"""What stands in a partition of ``traffic.events.raw``: its meaning, which the oracle reads, and its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from models.detections import TICK_HEADER
from models.timestamps import rfc3339
from trafficapp.alerts.silence import SilenceRule
from trafficapp.settings import Settings
from trafficapp.windows.partition import PartitionRules, PartitionWindows
from trafficapp.windows.rules import partition_rules

Form = Literal["nested", "flat", "frame"]

#: Event time of the first second of every log; a window begins here.
T0_US = 1_700_000_000 * 1_000_000
SECOND_US = 1_000_000

#: Cameras are missed after 15 s, once they have finished a window.
SILENCE = SilenceRule(15 * SECOND_US, min_windows=1)

#: And it is told after 12 s that they finish no more windows.
QUIET_US = 12 * SECOND_US

SETTINGS = Settings(cameras={"special": {"max_count": 2, "max_speed_kmh": 30.0, "pixel_to_meter": 0.5}})


@dataclass(frozen=True)
class Seen:
    """A vehicle in a picture; speed in km/h, place in pixels."""

    vehicle_id: str
    vehicle_class: str = "car"
    speed_kmh: float | None = None
    lane_id: int | None = None
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Picture:
    """A message that can be read: what a camera saw at a time."""

    camera_id: str
    time_us: int
    frame_id: int
    seen: tuple[Seen, ...]
    form: Form
    key: bytes
    record_ms: int
    faulty_parts: int = 0


@dataclass(frozen=True)
class Unreadable:
    """A message of which nothing can be accepted."""

    value: bytes | None
    reason: str
    key: bytes | None
    record_ms: int


@dataclass(frozen=True)
class Tick:
    """A record of ours that measures silence."""

    record_ms: int


@dataclass(frozen=True)
class Change:
    """Other boundaries of the levels, for windows from a time on."""

    version: int
    effective_from_us: int
    boundaries: tuple[float, float, float]
    record_ms: int


@dataclass(frozen=True)
class Nonsense:
    """A control record that says nothing."""

    value: bytes
    record_ms: int


Entry = Picture | Unreadable | Tick | Change | Nonsense


@dataclass
class PlainRecord:
    """A record as the windows read it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = field(default=())
    topic: str = "traffic.events.raw"
    partition: int = 0


def records(log: Iterable[Entry]) -> list[PlainRecord]:
    """The log as Kafka would hold it."""
    return [_record(offset, entry) for offset, entry in enumerate(log)]


#: The rules under which logs are read, unless a test says otherwise.
RULES = replace(partition_rules(SETTINGS), silence=SILENCE, quiet_us=QUIET_US)


def fresh(rows: dict[bytes, bytes] | None = None, rules: PartitionRules = RULES) -> PartitionWindows:
    """The windows of a partition as a worker takes them over."""
    return PartitionWindows(0, rules, rows or {})


def _record(offset: int, entry: Entry) -> PlainRecord:
    if isinstance(entry, Tick):
        return PlainRecord(offset, entry.record_ms, None, b"", [(TICK_HEADER, b"")])
    if isinstance(entry, Change):
        moderate, high, severe = entry.boundaries
        thresholds = {"moderate": moderate, "high": high, "severe": severe} | {
            "version": entry.version,
            "effective_from_us": entry.effective_from_us,
        }
        value = json.dumps({"thresholds": thresholds}).encode()
        return PlainRecord(offset, entry.record_ms, None, value, [(TICK_HEADER, b"")])
    if isinstance(entry, Nonsense):
        return PlainRecord(offset, entry.record_ms, None, entry.value, [(TICK_HEADER, b"")])
    if isinstance(entry, Unreadable):
        return PlainRecord(offset, entry.record_ms, entry.key, entry.value)
    return PlainRecord(offset, entry.record_ms, entry.key, json.dumps(_message(entry)).encode())


def _message(picture: Picture) -> dict[str, Any]:
    head = {"camera_id": picture.camera_id, "frame_id": picture.frame_id}
    if picture.form == "frame":
        parts = [_nested(seen) for seen in picture.seen]
        parts += [{"vehicle_id": "?", "class": "balloon"} | _nested(Seen("?", "balloon"))] * picture.faulty_parts
        return {**head, "timestamp": picture.time_us // 1000, "detections": parts}
    (seen,) = picture.seen
    if picture.form == "nested":
        return {**head, "timestamp": rfc3339(picture.time_us), **_nested(seen)}
    flat = {
        **head,
        "ts": picture.time_us / 1e6,
        "vehicle_id": seen.vehicle_id,
        "class": seen.vehicle_class,
        "confidence": 0.9,
        "bbox_x": seen.x - 2,
        "bbox_y": seen.y - 1,
        "bbox_w": 4,
        "bbox_h": 2,
        "lane_id": seen.lane_id,
    }
    return flat if seen.speed_kmh is None else flat | {"speed_kmh": seen.speed_kmh}


def _nested(seen: Seen) -> dict[str, Any]:
    part: dict[str, Any] = {
        "vehicle_id": seen.vehicle_id,
        "class": seen.vehicle_class,
        "confidence": 0.9,
        "bbox": {"x": seen.x - 5, "y": seen.y - 5, "w": 7, "h": 7},
        "centroid": {"x": seen.x, "y": seen.y},
    }
    if seen.speed_kmh is not None:
        part["speed_estimate"] = seen.speed_kmh
    if seen.lane_id is not None:
        part["lane_id"] = seen.lane_id
    return part
