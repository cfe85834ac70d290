"""The oracle's own reading of ``traffic.events.raw``: slow, and written from docs/producers.md and windows.md alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.verification.log import TICK_HEADER, LogRecord
from tests.windows.entries import Change, Entry, Nonsense, Picture, Seen, Tick, Unreadable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MILLISECOND_VALUE = 1e11
#: Windows of times before it end in a year that has four digits.
LAST_US = 253_370_764_800 * 1_000_000

LARGEST_MESSAGE_BYTES = 1 << 20
LARGEST_FRAME = 5000

_BEYOND_MICROSECONDS = re.compile(r"(\.[0-9]{6})[0-9]+")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:]+(\.[0-9]+)?([Zz]|[+-][0-9:]+)?)?")
#: Fewer digits are a date without dashes, and more are no time.
_EPOCH = re.compile(r"[0-9]{10,13}(\.[0-9]+)?")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")


class Refused(Exception):
    """A message or a part of one that cannot be accepted; the text is the reason's word.

    Attributes:
        detections: how many go with it; a message that cannot be read counts as one.
    """

    def __init__(self, reason: str, detections: int = 1) -> None:
        super().__init__(reason)
        self.detections = detections


def read_entry(record: LogRecord, classes: Collection[str], max_speed_kmh: float) -> Entry:
    """Say what a record means."""
    if record.is_unreadable:
        return Unreadable(record.value, "unreadable_record", record.key, record.timestamp_ms)
    if record.headers and record.headers[0][0] == TICK_HEADER:
        return _ours(record)
    try:
        return _picture(record, classes, max_speed_kmh)
    except Refused as refused:
        return Unreadable(record.value, str(refused), record.key, record.timestamp_ms, refused.detections)


def _ours(record: LogRecord) -> Entry:
    """A tick, or other boundaries of the levels."""
    if not record.value:
        return Tick(record.timestamp_ms, record.key, record.value)
    nonsense = Nonsense(record.value, record.timestamp_ms)
    try:
        told = json.loads(record.value)["thresholds"]
        boundaries = tuple(told[name] for name in ("moderate", "high", "severe"))
        version, from_us = told["version"], told["effective_from_us"]
    except (ValueError, KeyError, TypeError):
        return nonsense
    if not (type(version) is type(from_us) is int and version > 0 and from_us >= 0):
        return nonsense
    if not all(type(one) in (int, float) for one in boundaries):
        return nonsense
    moderate, high, severe = boundaries
    if not 0 < moderate < high < severe < 1:
        return nonsense
    return Change(version, from_us, (moderate, high, severe), record.timestamp_ms)


def _picture(record: LogRecord, classes: Collection[str], max_speed_kmh: float) -> Picture:
    """Read a message of any form; what cannot be accepted of a frame is told by its reasons."""
    if not record.value:
        raise Refused("empty")
    if len(record.value) > LARGEST_MESSAGE_BYTES:
        raise Refused("too_large")
    try:
        message = json.loads(record.value.decode(), parse_constant=_no_number, parse_float=_finite)
        if b"\\ud" in record.value.lower():
            json.dumps(message, ensure_ascii=False).encode()  # half a surrogate is no text
    except (ValueError, RecursionError):
        raise Refused("not_json") from None
    if not isinstance(message, dict):
        raise Refused("invalid_field")
    time = _first(message, "timestamp", "ts")
    time_us = _text_time_us(time) if isinstance(time, str) else None
    parts = message.get("detections")
    is_frame = "detections" in message
    if is_frame and not isinstance(parts, list):
        raise Refused("invalid_field")
    if isinstance(parts, list) and len(parts) > LARGEST_FRAME:
        raise Refused("too_large", len(parts))
    camera_id, frame_id = _text(_needed(message, "camera_id")), _whole(_needed(message, "frame_id"))
    if time is None:
        raise Refused("invalid_field" if "timestamp" in message or "ts" in message else "missing_field")
    seen, faulty = [], []
    for part in parts if isinstance(parts, list) else [message]:
        try:
            if not isinstance(part, dict):
                raise Refused("invalid_field")
            seen.append(_seen(part, classes, max_speed_kmh))
        except Refused as refused:
            if not is_frame:
                raise
            faulty.append(str(refused))
    if time_us is None:
        time_us = _number_time_us(_number(time), max(len(seen), 1))
    return Picture(
        camera_id,
        time_us,
        frame_id,
        tuple(seen),
        "frame" if is_frame else "nested",
        b"" if record.key is None else record.key,
        record.timestamp_ms,
        tuple(faulty),
    )


def _seen(part: dict[str, Any], classes: Collection[str], max_speed_kmh: float) -> Seen:
    vehicle_id = _text(_needed(part, "vehicle_id"))
    vehicle_class = _needed(part, "class")
    if not 0 <= _number(_needed(part, "confidence")) <= 1:
        raise Refused("invalid_field")
    is_flat = "bbox" not in part
    if is_flat:
        x, y, w, h = (_number(_needed(part, f"bbox_{name}")) for name in "xywh")
    else:
        box = part["bbox"]
        if not isinstance(box, dict):
            raise Refused("invalid_field")
        x, y, w, h = (_number(_needed(box, name)) for name in "xywh")
    if not (0 <= w <= 1e6 and 0 <= h <= 1e6):
        raise Refused("invalid_field")
    place = (x + w / 2, y + h / 2)
    if part.get("centroid") is not None:
        place = (_number(_needed(part["centroid"], "x")), _number(_needed(part["centroid"], "y")))
    elif is_flat and part.get("centroid_x") is not None and part.get("centroid_y") is not None:
        place = (_number(part["centroid_x"]), _number(part["centroid_y"]))
    if any(abs(one) > 1e6 for one in (x, y, *place)):
        raise Refused("invalid_field")
    lane = part.get("lane_id")
    lane_id = None if lane is None else _whole(lane)
    if lane_id is not None and not 0 <= lane_id <= 32_767:
        raise Refused("invalid_field")
    speed = part.get("speed_estimate")
    if speed is None and is_flat:
        speed = part.get("speed_kmh")
    speed_kmh = None if speed is None else _number(speed)
    if speed_kmh is not None and speed_kmh < 0:
        raise Refused("invalid_field")
    if not isinstance(vehicle_class, str):
        raise Refused("invalid_field")
    if vehicle_class not in classes:
        raise Refused("unknown_class")
    if speed_kmh is not None and speed_kmh > max_speed_kmh:
        raise Refused("impossible_speed")
    return Seen(vehicle_id, vehicle_class, speed_kmh, lane_id, *place, (x, y, w, h))


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _first(fields: dict[str, Any], *names: str) -> Any:
    return next((fields[name] for name in names if name in fields), None)


def _needed(fields: dict[str, Any], name: str) -> Any:
    if not isinstance(fields, dict):
        raise Refused("invalid_field")
    if name not in fields:
        raise Refused("missing_field")
    return fields[name]


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not 0 < len(str(value)) <= 256:
        raise Refused("invalid_field")
    return str(value)


def _whole(value: Any) -> int:
    """A whole number, also as text or with a decimal point."""
    exact = _exact(value)
    if exact.denominator != 1 or not -(2**63) <= exact < 2**63:
        raise Refused("invalid_field")
    return int(exact)


def _number(value: Any) -> float:
    """A number, also as text."""
    exact = _exact(value)
    return value if isinstance(value, int | float) else float(exact)


def _exact(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Refused("invalid_field")
    if not isinstance(value, str):
        return Fraction(value)
    if len(value) > 64 or not _NUMBER.fullmatch(text := value.strip(" \t\r\n")):
        raise Refused("invalid_field")
    if math.isinf(float(text)):
        raise Refused("invalid_field")
    return Fraction(text)


def _text_time_us(text: str) -> int:
    """Microseconds of an ISO 8601 time, which are cut; a naive one is UTC. Or of epoch numbers as text."""
    text = text.strip()
    if _EPOCH.fullmatch(text):
        units, _, decimals = text.partition(".")
        places = 3 if int(units) >= FIRST_MILLISECOND_VALUE else 6
        return _possible(int(units + (decimals + "000000")[:places]), 1)
    if not _TIME.fullmatch(text):
        raise Refused("invalid_timestamp")
    try:
        time = datetime.fromisoformat(_BEYOND_MICROSECONDS.sub(r"\1", text).upper())
    except ValueError:
        raise Refused("invalid_timestamp") from None
    time_us = ((time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)
    return _possible(time_us, 1)


def _number_time_us(number: float, detections: int) -> int:
    """Microseconds of epoch seconds or milliseconds: the digits are those of the shortest decimal form, and are cut."""
    unit = 1000 if number >= FIRST_MILLISECOND_VALUE else 1_000_000
    return _possible(math.floor(Decimal(repr(number)) * unit), detections)


def _possible(time_us: int, detections: int) -> int:
    if not 0 <= time_us < LAST_US:
        raise Refused("invalid_timestamp", detections)
    return time_us
