"""The oracle: what every window must hold, worked out from the log by brute force.

It keeps every detection of every window in a list and counts at the end. Slow and obvious is right here.
It shares no code with the product's windows; both follow section 3 of the contract.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tests.verification.log import LogRecord, read_log
from tests.verification.messages import Picture, Refused, Seen, read_picture
from trafficapp.settings import Settings
from trafficapp.sources.recordings import open_recording, play

__all__ = ["RowKey", "Rules", "Truth", "TruthRow", "read_log", "records_of_recording", "truth_of"]


@dataclass(frozen=True)
class Rules:
    """The constants of windows, in seconds and km/h; the defaults are those of the contract."""

    size_seconds: float = 5.0
    lateness_seconds: float = 2.0
    future_seconds: float = 60.0
    stopped_below_kmh: float = 5.0
    max_count: int = 50
    max_speed_kmh: float = 60.0
    moderate: float = 0.30
    high: float = 0.55
    severe: float = 0.80
    pixel_to_meter: float = 0.05
    forget_seconds: float = 30.0
    impossible_speed_kmh: float = 400.0
    classes: tuple[str, ...] = ("car", "bus", "truck", "motorcycle", "bicycle", "pedestrian", "van")

    @classmethod
    def from_settings(cls, settings: Settings) -> Rules:
        """Take the constants that hold for every camera; overrides of single cameras are not known here."""
        windows, congestion, speed = settings.windows, settings.congestion, settings.speed
        return cls(
            size_seconds=windows.size_seconds,
            lateness_seconds=windows.allowed_lateness_seconds,
            future_seconds=windows.future_guard_seconds,
            stopped_below_kmh=speed.stopped_below_kmh,
            max_count=congestion.max_count,
            max_speed_kmh=congestion.max_speed_kmh,
            moderate=congestion.threshold_moderate,
            high=congestion.threshold_high,
            severe=congestion.threshold_severe,
            pixel_to_meter=speed.pixel_to_meter,
            forget_seconds=speed.forget_after_seconds,
            impossible_speed_kmh=speed.max_kmh,
            classes=settings.vehicle_classes,
        )


class RowKey(NamedTuple):
    """Names a row: camera, start of the window in microseconds since the epoch, lane (None: all of the camera)."""

    camera_id: str
    start_us: int
    lane_id: int | None


@dataclass(frozen=True)
class TruthRow:
    """What a row must hold; means and shares are not rounded."""

    vehicle_count: int
    counts_by_class: dict[str, int]
    avg_speed_kmh: float | None
    stopped_ratio: float | None
    queue_length: int
    congestion_level: str
    congestion_score: float | None
    detections: int


@dataclass
class Truth:
    """Everything that follows from a log.

    Attributes:
        rows: every row of every window.
        counted, repeated: detections counted, and left out because they were seen before.
        rejected: detections refused, by reason, ``late`` and ``future`` among them.
        dead_letters: the reason for each refused message, by (partition, offset).
    """

    rows: dict[RowKey, TruthRow] = field(default_factory=dict)
    counted: int = 0
    repeated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dead_letters: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All detections, whatever became of them; an unreadable message counts as one."""
        return self.counted + self.repeated + self.rejected.total()


@dataclass
class _Camera:
    newest_us: int | None = None
    seen: set[tuple[int, int, str]] = field(default_factory=set)
    sightings: dict[str, tuple[int, tuple[float, float]]] = field(default_factory=dict)


class _Counted(NamedTuple):
    seen: Seen
    speed_kmh: float | None


def truth_of(log: Iterable[LogRecord], rules: Rules | None = None) -> Truth:
    """Work out every row, given the log in an order that keeps each camera's records in offset order."""
    rules = rules or Rules()
    truth = Truth()
    cameras: dict[str, _Camera] = defaultdict(_Camera)
    windows: dict[tuple[str, int], list[_Counted]] = defaultdict(list)
    size_us = round(rules.size_seconds * 1_000_000)
    for record in log:
        try:
            picture = _accepted(record, rules)
        except Refused as refused:
            truth.rejected[str(refused)] += refused.detections
            truth.dead_letters[record.partition, record.offset] = str(refused)
            continue
        if picture.refused:
            truth.rejected.update(picture.refused)
            truth.dead_letters[record.partition, record.offset] = picture.refused[0]
        camera = cameras[picture.camera_id]
        start_us = picture.time_us // size_us * size_us
        if camera.newest_us is not None:
            watermark_us = camera.newest_us - round(rules.lateness_seconds * 1_000_000)
            if start_us + size_us <= watermark_us:
                truth.rejected["late"] += max(len(picture.seen), 1)
                truth.dead_letters[record.partition, record.offset] = "late"
                continue
        for seen in picture.seen:
            identity = (start_us, picture.frame_id, seen.vehicle_id)
            if identity in camera.seen:
                truth.repeated += 1
                continue
            camera.seen.add(identity)
            truth.counted += 1
            speed_kmh = _speed_kmh(camera, picture, seen, rules)
            windows[picture.camera_id, start_us].append(_Counted(seen, speed_kmh))
        camera.newest_us = max(picture.time_us, camera.newest_us or 0)
    for (camera_id, start_us), detections in windows.items():
        truth.rows[RowKey(camera_id, start_us, None)] = _row(detections, rules)
        for lane_id in {detection.seen.lane_id for detection in detections} - {None}:
            lane = [detection for detection in detections if detection.seen.lane_id == lane_id]
            truth.rows[RowKey(camera_id, start_us, lane_id)] = _row(lane, rules)
    return truth


def records_of_recording(path: Path) -> Iterator[LogRecord]:
    """Yield a recording as a log: one partition, in the order in which it is replayed, sent at event time."""
    offsets = count()
    for message in play(open_recording(path)):
        yield LogRecord(0, next(offsets), message.event_time_us // 1000, message.key, message.value)


def _accepted(record: LogRecord, rules: Rules) -> Picture:
    picture = read_picture(record.value, rules.classes, rules.impossible_speed_kmh)
    detections = max(len(picture.seen), 1)
    if record.key != picture.camera_id.encode():
        raise Refused("key_mismatch", detections)
    if picture.time_us > record.timestamp_ms * 1000 + rules.future_seconds * 1_000_000:
        raise Refused("future", detections)
    return picture


def _speed_kmh(camera: _Camera, picture: Picture, seen: Seen, rules: Rules) -> float | None:
    """The reported speed, else that of the way since the vehicle was last seen by this camera."""
    before = camera.sightings.get(seen.vehicle_id)
    if before is None or before[0] < picture.time_us:
        camera.sightings[seen.vehicle_id] = (picture.time_us, seen.centre)
    if seen.speed_kmh is not None:
        return seen.speed_kmh
    if before is None:
        return None
    seconds = (picture.time_us - before[0]) / 1e6
    if not 0 < seconds <= rules.forget_seconds:
        return None
    metres = math.dist(before[1], seen.centre) * rules.pixel_to_meter
    speed_kmh = metres / seconds * 3.6
    return speed_kmh if speed_kmh <= rules.impossible_speed_kmh else None


def _row(detections: list[_Counted], rules: Rules) -> TruthRow:
    vehicles = {detection.seen.vehicle_id for detection in detections}
    classes = {(detection.seen.vehicle_class, detection.seen.vehicle_id) for detection in detections}
    speeds = [detection.speed_kmh for detection in detections if detection.speed_kmh is not None]
    stopped = [speed for speed in speeds if speed < rules.stopped_below_kmh]
    queue = {
        detection.seen.vehicle_id
        for detection in detections
        if detection.speed_kmh is not None and detection.speed_kmh < rules.stopped_below_kmh
    }
    mean = math.fsum(speeds) / len(speeds) if speeds else None
    stopped_ratio = len(stopped) / len(speeds) if speeds else None
    score = _score(len(vehicles), mean, stopped_ratio, rules)
    return TruthRow(
        vehicle_count=len(vehicles),
        counts_by_class=dict(Counter(name for name, _ in classes)),
        avg_speed_kmh=mean,
        stopped_ratio=stopped_ratio,
        queue_length=len(queue),
        congestion_level=level_of(score, rules),
        congestion_score=score,
        detections=len(detections),
    )


def _score(vehicles: int, mean: float | None, stopped_ratio: float | None, rules: Rules) -> float | None:
    if mean is None or stopped_ratio is None:
        return None
    score = (
        0.4 * min(vehicles / rules.max_count, 1) + 0.4 * (1 - min(mean / rules.max_speed_kmh, 1)) + 0.2 * stopped_ratio
    )
    return round(max(0.0, min(score, 1.0)), 4)


def level_of(score: float | None, rules: Rules) -> str:
    """Name the level of a rounded score."""
    if score is None:
        return "UNKNOWN"
    if score < rules.moderate:
        return "LOW"
    if score < rules.high:
        return "MODERATE"
    return "HIGH" if score < rules.severe else "SEVERE"
