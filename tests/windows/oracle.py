"""What the windows must be, worked out slowly and obviously from section 3 of the contract.

One rule is ours, not the contract's: places are remembered only while detections lack a speed, so the
first detection without one has nothing to be estimated from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from models.window_rows import WindowRow
from tests.windows.entries import SECOND_US, SETTINGS, SILENCE, Change, Entry, Nonsense, Picture, Seen, Tick, Unreadable

SIZE_US, LATENESS_US, IDLE_US, FUTURE_US = 5 * SECOND_US, 2 * SECOND_US, 10 * SECOND_US, 60 * SECOND_US
FORGET_US = 30 * SECOND_US


class RowKey(NamedTuple):
    """Names a row."""

    camera_id: str
    start_us: int
    lane_id: int | None


class Counted(NamedTuple):
    """A detection in its window, with the speed it was counted with."""

    start_us: int
    frame_id: int
    seen: Seen
    speed_kmh: float | None


@dataclass(frozen=True)
class OracleRow:
    """What a row must hold; nothing is rounded."""

    vehicle_count: int
    counts_by_class: dict[str, int]
    avg_speed_kmh: float | None
    stopped_ratio: float | None
    queue_length: int
    score: float | None
    detections: int
    boundaries: tuple[float, float, float] = (0.30, 0.55, 0.80)


@dataclass
class Camera:
    """Everything a camera sent that was counted."""

    counted: list[Counted] = field(default_factory=list)
    newest_us: int = 0
    closed_until_us: int = 0
    clock_us: int = 0
    repeated: int = 0
    late: int = 0
    sightings: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    lacking_us: int = 0
    is_silent: bool = False

    def final_starts(self) -> set[int]:
        """Starts of the windows that are final and hold something."""
        return {one.start_us for one in self.counted if self.is_final(one.start_us)}

    def is_final(self, start_us: int) -> bool:
        """Whether nothing may be counted in a window any more."""
        end_us = start_us + SIZE_US
        return end_us <= self.closed_until_us or end_us <= self.newest_us - LATENESS_US


@dataclass
class Oracle:
    """Reads a log entry by entry."""

    cameras: dict[str, Camera] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    dead_letters: list[tuple[int, str]] = field(default_factory=list)
    sent: int = 0
    clock_us: int = 0
    tick_us: int = 0
    changes: dict[int, Change] = field(default_factory=dict)
    boundaries: dict[tuple[str, int], tuple[float, float, float]] = field(default_factory=dict)
    silences: list[tuple[int, str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, log: Iterable[Entry]) -> Oracle:
        """Read a whole log."""
        oracle = cls()
        for offset, entry in enumerate(log):
            oracle.read(offset, entry)
        return oracle

    def read(self, offset: int, entry: Entry) -> None:
        """Read one entry."""
        if isinstance(entry, Tick):
            self._tick(offset, entry.record_ms * 1000)
        elif isinstance(entry, Change):
            self.changes.setdefault(entry.version, entry)
        elif isinstance(entry, Nonsense):
            pass
        elif isinstance(entry, Unreadable):
            self.sent += 1
            self._reject(offset, entry.reason, 1)
        else:
            self._picture(offset, entry)
        for camera_id, camera in self.cameras.items():
            for start_us in camera.final_starts():
                # those that hold when a window becomes final, whatever is changed afterwards
                self.boundaries.setdefault((camera_id, start_us), self._boundaries(start_us))

    def _boundaries(self, start_us: int) -> tuple[float, float, float]:
        in_force = [change for change in self.changes.values() if change.effective_from_us <= start_us]
        return max(in_force, key=lambda change: change.version).boundaries if in_force else (0.30, 0.55, 0.80)

    def rows(self) -> dict[RowKey, OracleRow]:
        """All rows of all final windows."""
        rows: dict[RowKey, OracleRow] = {}
        for camera_id, camera in self.cameras.items():
            for start_us in camera.final_starts():
                inside = [one for one in camera.counted if one.start_us == start_us]
                boundaries = self.boundaries[camera_id, start_us]
                rows[RowKey(camera_id, start_us, None)] = replace(row_of(inside, camera_id), boundaries=boundaries)
                for lane_id in {one.seen.lane_id for one in inside} - {None}:
                    lane = [one for one in inside if one.seen.lane_id == lane_id]
                    rows[RowKey(camera_id, start_us, lane_id)] = replace(row_of(lane, camera_id), boundaries=boundaries)
        return rows

    def _picture(self, offset: int, picture: Picture) -> None:
        events = max(len(picture.seen), 1)
        self.sent += len(picture.seen) + picture.faulty_parts
        if picture.faulty_parts:
            self._reject(offset, "unknown_class", picture.faulty_parts)
            if not picture.seen:
                return
        if picture.key != picture.camera_id.encode():
            self.sent += events - len(picture.seen)
            self._reject(offset, "key_mismatch", events)
            return
        if picture.time_us > picture.record_ms * 1000 + FUTURE_US:
            self.sent += events - len(picture.seen)
            self._reject(offset, "future", events)
            return
        camera = self.cameras.setdefault(picture.camera_id, Camera())
        camera.clock_us = self.clock_us
        if camera.is_silent:
            camera.is_silent = False
            self.silences.append((offset, "resolved", picture.camera_id))
        start_us = picture.time_us // SIZE_US * SIZE_US
        late = 0
        for seen in picture.seen:
            if camera.is_final(start_us):
                late += 1
                continue
            inside = [one for one in camera.counted if one.start_us == start_us]
            if any(one.frame_id == picture.frame_id and one.seen.vehicle_id == seen.vehicle_id for one in inside):
                camera.repeated += 1
                continue
            speed_kmh = _speed_kmh(camera, picture, seen, opens_window=not inside)
            camera.counted.append(Counted(start_us, picture.frame_id, seen, speed_kmh))
            camera.newest_us = max(camera.newest_us, picture.time_us)
        camera.late += late
        if late:
            self.dead_letters.append((offset, "late"))
        elif picture.form == "frame":
            camera.newest_us = max(camera.newest_us, picture.time_us)

    def _tick(self, offset: int, tick_us: int) -> None:
        if self.tick_us:
            self.clock_us += min(max(tick_us - self.tick_us, 0), 2 * SECOND_US)
        self.tick_us = max(self.tick_us, tick_us)
        for camera_id, camera in self.cameras.items():
            if camera.counted and self.clock_us - camera.clock_us >= IDLE_US:
                camera.closed_until_us = max(one.start_us for one in camera.counted) + SIZE_US
            long_silent = self.clock_us - camera.clock_us >= SILENCE.limit_us
            if long_silent and camera.final_starts() and not camera.is_silent:
                camera.is_silent = True
                self.silences.append((offset, "opened", camera_id))

    def _reject(self, offset: int, reason: str, events: int) -> None:
        self.rejected[reason] += events
        self.dead_letters.append((offset, reason))


def row_of(inside: Sequence[Counted], camera_id: str) -> OracleRow:
    """Count detections of one window, or of one lane of it."""
    constants = SETTINGS.cameras.get(camera_id)
    max_count = constants.max_count if constants and constants.max_count else 50
    max_speed_kmh = constants.max_speed_kmh if constants and constants.max_speed_kmh else 60.0
    vehicles = {one.seen.vehicle_id for one in inside}
    speeds = [one.speed_kmh for one in inside if one.speed_kmh is not None]
    stopped = [one for one in inside if one.speed_kmh is not None and one.speed_kmh < 5]
    mean = math.fsum(speeds) / len(speeds) if speeds else None
    share = len(stopped) / len(speeds) if speeds else None
    score = None
    if mean is not None and share is not None:
        score = 0.4 * min(len(vehicles) / max_count, 1) + 0.4 * (1 - min(mean / max_speed_kmh, 1)) + 0.2 * share
    return OracleRow(
        vehicle_count=len(vehicles),
        counts_by_class=dict(Counter(name for _, name in {(s.vehicle_id, s.vehicle_class) for _, _, s, _ in inside})),
        avg_speed_kmh=mean,
        stopped_ratio=share,
        queue_length=len({one.seen.vehicle_id for one in stopped}),
        score=score,
        detections=len(inside),
    )


def assert_rows_equal(found: Iterable[WindowRow], expected: dict[RowKey, OracleRow]) -> None:
    """Compare rows; each may be found once only."""
    by_key: dict[RowKey, WindowRow] = {}
    for row in found:
        key = RowKey(row.camera_id, _us(row.window_start), row.lane_id)
        assert key not in by_key, f"{key} came out twice"
        by_key[key] = row
    assert by_key.keys() == expected.keys()
    for key, right in expected.items():
        row = by_key[key]
        assert _us(row.window_end) == key.start_us + SIZE_US
        assert row.vehicle_count == right.vehicle_count, key
        assert row.counts_by_class == right.counts_by_class, key
        assert row.queue_length == right.queue_length, key
        assert row.detections == right.detections, key
        assert _near(row.avg_speed_kmh, right.avg_speed_kmh, 0.0005), (key, row, right)
        assert _near(row.stopped_ratio, right.stopped_ratio, 0.00005), (key, row, right)
        assert _near(row.congestion_score, right.score, 0.00005), (key, row, right)
        assert row.congestion_level == _level(row.congestion_score, right.boundaries), key


def _near(found: float | None, right: float | None, tolerance: float) -> bool:
    if found is None or right is None:
        return found is right
    return abs(found - right) <= tolerance + 1e-9


def _level(score: float | None, boundaries: tuple[float, float, float]) -> str:
    if score is None:
        return "UNKNOWN"
    moderate, high, severe = boundaries
    return "LOW" if score < moderate else "MODERATE" if score < high else "HIGH" if score < severe else "SEVERE"


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1e6)


def _speed_kmh(camera: Camera, picture: Picture, seen: Seen, *, opens_window: bool) -> float | None:
    long_ago_us = camera.newest_us - LATENESS_US - SIZE_US - FORGET_US
    if opens_window and camera.sightings and camera.lacking_us < long_ago_us:
        camera.sightings.clear()
        camera.lacking_us = 0
    if seen.speed_kmh is not None and not camera.lacking_us:
        return seen.speed_kmh
    before = camera.sightings.get(seen.vehicle_id)
    if before is None or before[0] < picture.time_us:
        camera.sightings[seen.vehicle_id] = (picture.time_us, seen.x, seen.y)
    if seen.speed_kmh is not None:
        return seen.speed_kmh
    camera.lacking_us = max(camera.lacking_us, picture.time_us)
    if before is None or not 0 < picture.time_us - before[0] <= FORGET_US:
        return None
    constants = SETTINGS.cameras.get(picture.camera_id)
    pixel_to_meter = constants.pixel_to_meter if constants and constants.pixel_to_meter else 0.05
    metres = math.dist(before[1:], (seen.x, seen.y)) * pixel_to_meter
    speed_kmh = metres / ((picture.time_us - before[0]) / 1e6) * 3.6
    return speed_kmh if speed_kmh <= 400 else None
