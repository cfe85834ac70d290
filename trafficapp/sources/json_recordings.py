"""Recordings in JSON lines: messages of any form of ``traffic.events.raw``, one a line, as they were."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from models.text_numbers import whole_number
from models.timestamps import FIRST_MILLISECOND_VALUE, epoch_us, rfc3339
from trafficapp.sources.outgoing import Lap, Outgoing
from trafficapp.sources.recording import RecordingError

_SPEED_NAMES = ("speed_estimate", "speed_kmh")

Message = dict[str, Any]


class _Line(NamedTuple):
    event_time_us: int
    text: bytes
    message: Message | None
    """None when the line is not a message we can read; such a line is sent as it is."""


class JsonLinesRecording:
    """A file of JSON lines, sorted by event time; see `Recording`.

    A line that cannot be read keeps its place after the line before it. Lines are changed only where a
    lap or the absence of speeds demands it.
    """

    def __init__(self, path: Path, cameras: Collection[str] | None = None, *, speeds: bool = True) -> None:
        self._speeds = speeds
        try:
            lines = list(_read(path.read_bytes().splitlines()))
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error}") from None
        if not any(line.message for line in lines):
            raise RecordingError(f"{path} holds no JSON line with a timestamp")
        if cameras is not None:
            lines = [line for line in lines if line.message and _identifier(line.message.get("camera_id")) in cameras]
        lines.sort(key=lambda line: line.event_time_us)
        self._lines = lines
        self.detections: int = sum(_detections(line.message) for line in lines)
        self.first_us: int = lines[0].event_time_us if lines else 0
        self.last_us: int = lines[-1].event_time_us if lines else 0
        frame_ids = [_frame_number(line.message) for line in lines if line.message]
        numbers = [frame_id for frame_id in frame_ids if frame_id is not None]
        self.frame_ids: int = max(numbers) - min(numbers) + 1 if numbers else 1

    def messages(self, lap: Lap) -> Iterator[Outgoing]:
        """Yield one message a line."""
        for line in self._lines:
            message, text = line.message, line.text
            if message is not None and not (lap.changes_nothing and self._speeds):
                text = orjson.dumps(_changed(message, lap, self._speeds))
            camera = _identifier(message.get("camera_id")) if message else None
            key = None if camera is None else camera.encode()
            yield Outgoing(line.event_time_us + lap.shift_us, key, text, _detections(message))


def _read(texts: list[bytes]) -> Iterator[_Line]:
    """Read lines; one without a time takes that of the line before it, at the start of the next one."""
    waiting: list[bytes] = []
    last_us: int | None = None
    for text in filter(None, map(bytes.strip, texts)):
        message, time_us = _parse(text)
        if time_us is None:
            if last_us is None:
                waiting.append(text)
            else:
                yield _Line(last_us, text, None)
            continue
        for early in waiting:
            yield _Line(time_us, early, None)
        waiting, last_us = [], time_us
        yield _Line(time_us, text, message)


def _parse(text: bytes) -> tuple[Message | None, int | None]:
    try:
        message = orjson.loads(text)
        return message, epoch_us(message[_time_name(message)])
    except (ValueError, TypeError, KeyError, OverflowError):
        return None, None


def _time_name(message: Message) -> str:
    return "timestamp" if "timestamp" in message else "ts"


def _detections(message: Message | None) -> int:
    parts = message.get("detections") if message else None
    return max(len(parts), 1) if isinstance(parts, list) else 1


def _changed(message: Message, lap: Lap, speeds: bool) -> Message:
    out = dict(message)
    name = _time_name(out)
    out[name] = _shifted(out[name], lap.shift_us)
    if (frame_id := _frame_number(out)) is not None:
        out["frame_id"] = frame_id + lap.frame_shift
    if isinstance(out.get("detections"), list):
        out["detections"] = [
            _renamed(part, lap.vehicle_id, speeds) if isinstance(part, dict) else part for part in out["detections"]
        ]
    return _renamed(out, lap.vehicle_id, speeds)


def _frame_number(message: Message) -> int | None:
    """The number of the picture, also as text; None when it has none that could be counted on."""
    try:
        frame_id = whole_number(message.get("frame_id"))
    except ValueError:
        return None
    return frame_id if type(frame_id) is int else None


def _renamed(part: Message, vehicle_id: Callable[[str], str], speeds: bool) -> Message:
    out = part if speeds else {name: value for name, value in part.items() if name not in _SPEED_NAMES}
    if (recorded := _identifier(out.get("vehicle_id"))) is not None:
        out = {**out, "vehicle_id": vehicle_id(recorded)}
    return out


def _identifier(value: object) -> str | None:
    """A name, which may be a whole number; None for what the application refuses as one."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _shifted(timestamp: str | float, shift_us: int) -> str | float:
    """Move a timestamp and keep its form: text, milliseconds or seconds."""
    time_us = epoch_us(timestamp) + shift_us
    if isinstance(timestamp, str):
        return rfc3339(time_us)
    if timestamp >= FIRST_MILLISECOND_VALUE:
        return time_us // 1000 if time_us % 1000 == 0 else time_us / 1000
    return time_us // 1_000_000 if time_us % 1_000_000 == 0 else time_us / 1_000_000
