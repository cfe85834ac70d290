"""The oracle's own reading of messages on ``traffic.events.raw``: slow, and written from the contract alone."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MILLISECOND_VALUE = 1e11


class Refused(Exception):
    """A message or a part of one that cannot be accepted; the text is the reason's word.

    Attributes:
        detections: how many go with it; a message that cannot be read counts as one.
    """

    def __init__(self, reason: str, detections: int = 1) -> None:
        super().__init__(reason)
        self.detections = detections


@dataclass(frozen=True)
class Seen:
    """One vehicle in one picture."""

    vehicle_id: str
    vehicle_class: str
    lane_id: int | None
    speed_kmh: float | None
    centre: tuple[float, float]


@dataclass(frozen=True)
class Picture:
    """What one message says, whatever its form; ``refused`` are the reasons of the parts that were left out."""

    camera_id: str
    time_us: int
    frame_id: int
    seen: list[Seen]
    refused: list[str] = field(default_factory=list)


def read_picture(value: bytes | None, classes: Collection[str], max_speed_kmh: float) -> Picture:
    """Read a message of any form.

    Raises:
        Refused: nothing of it can be accepted.
    """
    if not value:
        raise Refused("empty")
    try:
        message = json.loads(value)
    except ValueError:
        raise Refused("not_json") from None
    if not isinstance(message, dict):
        raise Refused("invalid_field")
    time = _needed(message, "timestamp", "ts")
    camera_id = _text(_needed(message, "camera_id"))
    frame_id = _whole(_needed(message, "frame_id"))
    time_us = _time_us(time)
    if "detections" not in message:
        return Picture(camera_id, time_us, frame_id, [_seen(message, classes, max_speed_kmh)])
    parts = message["detections"]
    if not isinstance(parts, list):
        raise Refused("invalid_field")
    picture = Picture(camera_id, time_us, frame_id, [])
    for part in parts:
        try:
            if not isinstance(part, dict):
                raise Refused("invalid_field")
            picture.seen.append(_seen(part, classes, max_speed_kmh))
        except Refused as refused:
            picture.refused.append(str(refused))
    if picture.refused and not picture.seen:
        raise Refused(picture.refused[0], len(picture.refused))
    return picture


def _seen(part: dict[str, Any], classes: Collection[str], max_speed_kmh: float) -> Seen:
    vehicle_id = _text(_needed(part, "vehicle_id"))
    vehicle_class = _needed(part, "class")
    if not 0 <= _number(_needed(part, "confidence")) <= 1:
        raise Refused("invalid_field")
    if "bbox" in part:
        box = part["bbox"]
        if not isinstance(box, dict):
            raise Refused("invalid_field")
        x, y, w, h = (_number(_needed(box, name)) for name in "xywh")
    else:
        x, y, w, h = (_number(_needed(part, f"bbox_{name}")) for name in "xywh")
    if w < 0 or h < 0:
        raise Refused("invalid_field")
    centre = (x + w / 2, y + h / 2)
    if part.get("centroid") is not None:
        centre = (_number(_needed(part["centroid"], "x")), _number(_needed(part["centroid"], "y")))
    elif "centroid_x" in part and "centroid_y" in part:
        centre = (_number(part["centroid_x"]), _number(part["centroid_y"]))
    lane = part.get("lane_id")
    lane_id = None if lane is None else _whole(lane)
    speed = part.get("speed_estimate", part.get("speed_kmh"))
    speed_kmh = None if speed is None else _number(speed)
    if speed_kmh is not None and speed_kmh < 0:
        raise Refused("invalid_field")
    if not isinstance(vehicle_class, str):
        raise Refused("invalid_field")
    if vehicle_class not in classes:
        raise Refused("unknown_class")
    if speed_kmh is not None and speed_kmh > max_speed_kmh:
        raise Refused("impossible_speed")
    return Seen(vehicle_id, vehicle_class, lane_id, speed_kmh, centre)


def _needed(fields: dict[str, Any], *names: str) -> Any:
    for name in names:
        if name in fields:
            return fields[name]
    raise Refused("missing_field")


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Refused("invalid_field")
    return str(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("invalid_field")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Refused("invalid_field")
    return value


def _time_us(value: Any) -> int:
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            raise Refused("invalid_timestamp") from None
        return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)
    number = _number(value)
    return round(number * 1000) if number >= FIRST_MILLISECOND_VALUE else round(number * 1_000_000)
