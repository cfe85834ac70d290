"""What stands in a partition of ``traffic.events.raw``: its meaning, which the oracle reads, and its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from models.cameras.detections import TICK_HEADER
from models.timestamps import rfc3339
from tests.windows.whole import WholeWindows
from trafficapp.alerts.silence import SilenceRule
from trafficapp.settings import Settings
from trafficapp.windows.partition import PartitionRules
from trafficapp.windows.rules import partition_rules

Form = Literal["nested", "flat", "frame"]

#: Event time of the first second of every log; a window begins here.
T0_US = 1_700_000_000 * 1_000_000
SECOND_US = 1_000_000

#: Cameras are missed after 15 s, once they have finished a window.
SILENCE = SilenceRule(15 * SECOND_US, min_windows=1)

#: And it is told after 12 s that they finish no more windows.
QUIET_US = 12 * SECOND_US

#: What "not tracked" is called, by most cameras and by the one that is special.
UNTRACKED, UNTRACKED_OF_SPECIAL = "none", "-1"

SPECIAL: dict[str, Any] = {
    "max_count": 2,
    "max_speed_kmh": 30.0,
    "pixel_to_meter": 0.5,
    "untracked_ids": [UNTRACKED_OF_SPECIAL],
}


@dataclass(frozen=True)
class Limits:
    """The numbers that the rules of windows name; the defaults are those of docs/windows.md, but for silence.

    Attributes:
        lasting_windows: a camera that finished fewer is forgotten after `made_up_us`, any other after `forget_us`.
        silent_us, silent_windows: a camera that finished so many windows is missed after this silence.
        quiet_us: after this time it is told that a camera finishes no more windows.
    """

    size_us: int = 5 * SECOND_US
    lateness_us: int = 2 * SECOND_US
    idle_us: int = 10 * SECOND_US
    future_us: int = 60 * SECOND_US
    jump_us: int = 10 * SECOND_US
    places_us: int = 30 * SECOND_US
    max_cameras: int = 5000
    lasting_windows: int = 12
    made_up_us: int = 3600 * SECOND_US
    forget_us: int = 30 * 86_400 * SECOND_US
    silent_us: int = SILENCE.limit_us
    silent_windows: int = 1
    quiet_us: int = QUIET_US


@dataclass(frozen=True)
class Seen:
    """A vehicle in a picture; speed in km/h, place in pixels.

    Attributes:
        box: upper left corner, width and height; None for what is usual in the form of its message.
    """

    vehicle_id: str
    vehicle_class: str = "car"
    speed_kmh: float | None = None
    lane_id: int | None = None
    x: float = 0.0
    y: float = 0.0
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Picture:
    """A message that can be read: what a camera saw at a time.

    Attributes:
        time_us: the time that it says, cut to microseconds.
        faulty: reasons for which further parts of a frame are refused, one each.
        written: how the time stands in the message, as JSON; None for what is usual in its form.
    """

    camera_id: str
    time_us: int
    frame_id: int
    seen: tuple[Seen, ...]
    form: Form
    key: bytes
    record_ms: int
    faulty: tuple[str, ...] = ()
    written: str | None = None


@dataclass(frozen=True)
class Unreadable:
    """A message of which nothing can be accepted."""

    value: bytes | None
    reason: str
    key: bytes | None
    record_ms: int
    events: int = 1


@dataclass(frozen=True)
class Tick:
    """A record of ours that measures silence, or one of a stranger that looks like it."""

    record_ms: int
    key: bytes | None = None
    value: bytes | None = b""
    header: bytes = b""


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


def rules_of(limits: Limits) -> PartitionRules:
    """The rules of a partition under these limits; the lengths of windows go the way that settings go."""
    windows = {
        "size_seconds": limits.size_us / SECOND_US,
        "allowed_lateness_seconds": limits.lateness_us / SECOND_US,
        "idle_timeout_seconds": limits.idle_us / SECOND_US,
        "future_guard_seconds": limits.future_us / SECOND_US,
        "jump_seconds": limits.jump_us / SECOND_US,
        "untracked_ids": [UNTRACKED],
        "max_cameras": limits.max_cameras,
    }
    speed = {"forget_after_seconds": limits.places_us / SECOND_US}
    rules = partition_rules(Settings(windows=windows, speed=speed, cameras={"special": SPECIAL}))
    # shorter than settings allow, or no log could be long enough
    remembering = replace(
        rules.remembering,
        lasting_windows=limits.lasting_windows,
        made_up_us=limits.made_up_us,
        forget_us=limits.forget_us,
    )
    silence = SilenceRule(limits.silent_us, min_windows=limits.silent_windows)
    return replace(rules, remembering=remembering, silence=silence, quiet_us=limits.quiet_us)


#: The rules under which logs are read, unless a test says otherwise.
RULES = rules_of(Limits())


def fresh(rows: dict[bytes, bytes] | None = None, rules: PartitionRules = RULES) -> WholeWindows:
    """The windows of a partition as a worker takes them over."""
    return WholeWindows(0, rules, rows or {})


def _record(offset: int, entry: Entry) -> PlainRecord:
    if isinstance(entry, Tick):
        return PlainRecord(offset, entry.record_ms, entry.key, entry.value, [(TICK_HEADER, entry.header)])
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
    return PlainRecord(offset, entry.record_ms, entry.key, value_of(entry))


def value_of(picture: Picture) -> bytes:
    """The message's bytes."""
    message = _message(picture)
    if picture.written is None:
        return json.dumps(message).encode()
    return json.dumps(message | {_time_name(picture): _HERE}).replace(f'"{_HERE}"', picture.written).encode()


_HERE = "the time is written here"


def _time_name(picture: Picture) -> str:
    return "ts" if picture.form == "flat" else "timestamp"


def _message(picture: Picture) -> dict[str, Any]:
    head = {"camera_id": picture.camera_id, "frame_id": picture.frame_id}
    if picture.form == "frame":
        parts = [_nested(seen) for seen in picture.seen] + [_faulty(reason) for reason in picture.faulty]
        if picture.written is None and picture.time_us % 1000:
            raise ValueError("the usual time of a frame has milliseconds")
        return {**head, "timestamp": picture.time_us // 1000, "detections": parts}
    (seen,) = picture.seen
    if picture.form == "nested":
        return {**head, "timestamp": rfc3339(picture.time_us), **_nested(seen)}
    x, y, width, height = box_of("flat", seen)
    flat = {
        **head,
        "ts": picture.time_us / 1e6,
        "vehicle_id": seen.vehicle_id,
        "class": seen.vehicle_class,
        "confidence": 0.9,
        "bbox_x": x,
        "bbox_y": y,
        "bbox_w": width,
        "bbox_h": height,
        "lane_id": seen.lane_id,
    }
    return flat if seen.speed_kmh is None else flat | {"speed_kmh": seen.speed_kmh}


def box_of(form: Form, seen: Seen) -> tuple[float, float, float, float]:
    """The box of a vehicle: upper left corner, width and height; in the flat form its middle is the place."""
    if seen.box is not None:
        return seen.box
    return (seen.x - 2, seen.y - 1, 4, 2) if form == "flat" else (seen.x - 5, seen.y - 5, 7, 7)


def _nested(seen: Seen) -> dict[str, Any]:
    part: dict[str, Any] = {
        "vehicle_id": seen.vehicle_id,
        "class": seen.vehicle_class,
        "confidence": 0.9,
        "bbox": dict(zip("xywh", box_of("nested", seen), strict=True)),
        "centroid": {"x": seen.x, "y": seen.y},
    }
    if seen.speed_kmh is not None:
        part["speed_estimate"] = seen.speed_kmh
    if seen.lane_id is not None:
        part["lane_id"] = seen.lane_id
    return part


def _faulty(reason: str) -> Any:
    """A part that is refused for a reason."""
    good = _nested(Seen("?"))
    if reason == "missing_field":
        return {name: good[name] for name in good if name != "bbox"}
    faults: dict[str, Any] = {
        "unknown_class": {"class": "balloon"},
        "invalid_field": {"confidence": 2},
        "impossible_speed": {"speed_estimate": 401},
    }
    return good | faults[reason]
