"""What the windows must be, worked out slowly and obviously from docs/windows.md and docs/numbers.md.

It shares no code with the product's windows, and keeps everything: each detection that was counted, each tick. Whatever
it is asked, it goes through all of that again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from models.cameras.window_rows import WindowRow
from models.dead_letters import DeadLetter
from tests.windows.entries import (
    SECOND_US,
    SPECIAL,
    UNTRACKED,
    UNTRACKED_OF_SPECIAL,
    Change,
    Entry,
    Limits,
    Nonsense,
    Picture,
    Seen,
    Tick,
    Unreadable,
    box_of,
)

#: A tick moves the partition's clock by no more, and no record stands further behind its tick.
TICK_US = 2 * SECOND_US

Boundaries = tuple[float, float, float]


class RowKey(NamedTuple):
    """Names a row."""

    camera_id: str
    start_us: int
    lane_id: int | None


class Counted(NamedTuple):
    """A detection in its window, with the speed it was counted with."""

    start_us: int
    identity: Hashable
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
    boundaries: Boundaries = (0.30, 0.55, 0.80)
    #: In ascending order.
    speeds: Sequence[float] = field(default=(), compare=False)


class Made(NamedTuple):
    """A row, and the offset of the record that made it final."""

    offset: int
    key: RowKey
    row: OracleRow


class Refusal(NamedTuple):
    """What a dead letter must say: detections by reason, the letter's own reason first."""

    offset: int
    reasons: dict[str, int]


class Moment(NamedTuple):
    """When something was, by the broker: behind so many ticks, at a time."""

    ticks: int
    broker_us: int


@dataclass
class Camera:
    """Everything that a camera sent and that was counted, and how far its time is.

    Attributes:
        time_us: the newest time that it said, as far as that is confirmed; None when nothing was yet.
        waiting_us: the time of the picture that waits to be confirmed.
        waiting: what was counted of it.
        moved: when its time was moved last.
        heard: when its newest record came.
        closed_until_us: the end of the newest window that silence made final.
        finished: starts of the windows with detections that were made final.
        finished_at: when the last of them was.
        quiet_told_us: the end of that window, once it was told that no more followed.
    """

    heard: Moment
    counted: list[Counted] = field(default_factory=list)
    time_us: int | None = None
    waiting_us: int | None = None
    waiting: list[tuple[Picture, Seen]] = field(default_factory=list)
    moved: Moment | None = None
    closed_until_us: int = 0
    finished: list[int] = field(default_factory=list)
    sightings: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    lacking_us: int | None = None
    is_silent: bool = False
    finished_at: Moment | None = None
    quiet_told_us: int | None = None


@dataclass
class Oracle:
    """Reads a log entry by entry.

    Attributes:
        full: offsets of messages of one detection each that are refused because too much is held of their camera.
            How much is held is for the product to say; what follows from it is told here.
        made: rows of all windows that are final, in the order in which a camera makes them.
        letters: in the order of the log, one for each message of which anything was refused.
        silences: cameras that are missed and heard again: offset, what happened, camera.
        quiet: cameras that finish no more windows: offset, camera, end of the last one.
        after_quiet: the first row of a camera behind that: offset, row, end of the window that was told.
    """

    limits: Limits = field(default_factory=Limits)
    full: frozenset[int] = frozenset()
    cameras: dict[str, Camera] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    letters: list[Refusal] = field(default_factory=list)
    counted: int = 0
    repeated: int = 0
    ticks: list[int] = field(default_factory=list)
    changes: dict[int, Change] = field(default_factory=dict)
    silences: list[tuple[int, str, str]] = field(default_factory=list)
    quiet: list[tuple[int, str, int]] = field(default_factory=list)
    after_quiet: list[tuple[int, RowKey, int]] = field(default_factory=list)

    @classmethod
    def of(cls, log: Iterable[Entry], limits: Limits | None = None, full: Collection[int] = ()) -> Oracle:
        """Read a whole log."""
        oracle = cls(limits or Limits(), frozenset(full))
        for offset, entry in enumerate(log):
            oracle.read(offset, entry)
        return oracle

    @property
    def sent(self) -> int:
        """All detections, whatever became of them; an unreadable message counts as one."""
        return self.counted + self.repeated + self.rejected.total()

    @property
    def rejected(self) -> Counter[str]:
        """All detections that were refused, by reason."""
        total: Counter[str] = Counter()
        for letter in self.letters:
            total.update(letter.reasons)
        return total

    def read(self, offset: int, entry: Entry) -> None:
        """Read one entry."""
        if isinstance(entry, Tick):
            self._tick(offset, entry)
        elif isinstance(entry, Change):
            self.changes.setdefault(entry.version, entry)
        elif isinstance(entry, Nonsense):
            pass
        elif isinstance(entry, Unreadable):
            self.letters.append(Refusal(offset, {entry.reason: entry.events}))
        else:
            if refused := self._picture(offset, entry):
                self.letters.append(Refusal(offset, dict(refused)))

    # ------------------------------------------------------------------ pictures

    def _picture(self, offset: int, picture: Picture) -> Counter[str]:
        """Read a picture; return what is refused of it, in order."""
        refused = Counter(picture.faulty)
        if refused and not picture.seen:
            return refused  # nothing of it could be read
        everything = max(len(picture.seen), 1)
        if picture.key != picture.camera_id.encode() or picture.key.startswith(b"\x00"):
            return refused + Counter(key_mismatch=everything)
        if picture.time_us > picture.record_ms * 1000 + self.limits.future_us:
            return refused + Counter(future=everything)
        if picture.camera_id not in self.cameras and len(self.cameras) >= self.limits.max_cameras:
            return refused + Counter(too_many_cameras=everything)
        moment = Moment(len(self.ticks), picture.record_ms * 1000)
        if picture.camera_id not in self.cameras:
            self.cameras[picture.camera_id] = self._new_camera(moment)
        camera = self.cameras[picture.camera_id]
        camera.heard = moment
        if camera.is_silent:
            camera.is_silent = False
            self.silences.append((offset, "resolved", picture.camera_id))
        refused += self._count(camera, picture, moment, is_full=offset in self.full)
        self._finish(offset, picture.camera_id, camera)
        return refused

    def _new_camera(self, moment: Moment) -> Camera:
        return Camera(moment)

    def _count(self, camera: Camera, picture: Picture, moment: Moment, *, is_full: bool) -> Counter[str]:
        """Count a camera's picture; return what is refused of it."""
        start_us = self._start_us(picture)
        if self._changes_nothing(camera, picture):
            self.repeated += len(picture.seen)
            return Counter()
        self._confirm(camera, picture.time_us, moment)
        if self._is_final(camera, start_us) and picture.seen:
            return Counter(late=len(picture.seen))
        if is_full:
            self._move_or_wait(camera, picture.time_us, moment, [])
            return Counter(camera_full=len(picture.seen))
        counted = []
        for seen in picture.seen:
            if self._is_known(camera, picture, seen):
                self.repeated += 1
                continue
            counted.append((picture, seen))
            speed_kmh = self._speed_kmh(camera, picture, seen)
            camera.counted.append(Counted(start_us, identity_of(picture, seen), seen, speed_kmh))
        self.counted += len(counted)
        if counted or not picture.seen:
            self._move_or_wait(camera, picture.time_us, moment, counted)
        return Counter()

    def _changes_nothing(self, camera: Camera, picture: Picture) -> bool:
        """Whether all that a message says was counted before, and is not final yet."""
        if not picture.seen or self._is_final(camera, self._start_us(picture)):
            return False
        return all(self._is_known(camera, picture, seen) for seen in picture.seen)

    def _start_us(self, picture: Picture) -> int:
        return picture.time_us // self.limits.size_us * self.limits.size_us

    def _is_known(self, camera: Camera, picture: Picture, seen: Seen) -> bool:
        start_us, identity = self._start_us(picture), identity_of(picture, seen)
        return any(one.start_us == start_us and one.identity == identity for one in camera.counted)

    # ------------------------------------------------------------------ the camera's time

    def _is_further_ahead(self, camera: Camera, time_us: int) -> bool:
        return camera.time_us is None or time_us > camera.time_us + self.limits.jump_us

    def _confirm(self, camera: Camera, time_us: int, moment: Moment) -> None:
        """Let a picture confirm the one that waits, if it does."""
        waiting_us = camera.waiting_us
        if (
            waiting_us is not None
            and self._is_further_ahead(camera, time_us)
            and time_us != waiting_us
            and time_us >= waiting_us - self.limits.jump_us
        ):
            if camera.time_us is None or time_us > waiting_us:
                self._believe_what_waits(camera, moment)
            else:
                camera.time_us, camera.moved, camera.waiting_us, camera.waiting = time_us, moment, None, []

    def _believe_what_waits(self, camera: Camera, moment: Moment) -> None:
        for picture, seen in camera.waiting:
            self._remember_place(camera, picture, seen)
        camera.time_us, camera.moved, camera.waiting_us, camera.waiting = camera.waiting_us, moment, None, []

    def _move_or_wait(self, camera: Camera, time_us: int, moment: Moment, seen: list[tuple[Picture, Seen]]) -> None:
        """Move the camera's time, or wait, with what was counted of the picture."""
        if self._is_further_ahead(camera, time_us):
            camera.waiting = (camera.waiting if time_us == camera.waiting_us else []) + seen
            camera.waiting_us = time_us
            return
        for picture, one in seen:
            self._remember_place(camera, picture, one)
        if camera.time_us is not None and time_us > camera.time_us:
            camera.time_us, camera.moved, camera.waiting_us, camera.waiting = time_us, moment, None, []

    def _is_final(self, camera: Camera, start_us: int) -> bool:
        end_us = start_us + self.limits.size_us
        if camera.time_us is not None and end_us <= camera.time_us - self.limits.lateness_us:
            return True
        return end_us <= camera.closed_until_us

    def _open_starts(self, camera: Camera) -> list[int]:
        return sorted({one.start_us for one in camera.counted if not self._is_final(camera, one.start_us)})

    # ------------------------------------------------------------------ the partition's clock, and silence

    def _clock_us(self, ticks: int) -> int:
        """The partition's clock after so many ticks."""
        moved = (min(max(after - before, 0), TICK_US) for before, after in pairwise(self.ticks[:ticks]))
        return sum(moved)

    def _since_us(self, moment: Moment) -> int:
        """How far the partition's clock has moved on since a moment."""
        behind_us = 0
        if moment.ticks:
            behind_us = min(max(moment.broker_us - self.ticks[moment.ticks - 1], 0), TICK_US)
        return self._clock_us(len(self.ticks)) - self._clock_us(moment.ticks) - behind_us

    def _begins_a_minute(self) -> bool:
        """Whether the newest tick moved the partition's clock into another minute."""
        before, now = (self._clock_us(len(self.ticks) - behind) // (60 * SECOND_US) for behind in (1, 0))
        return before != now

    def _tick(self, offset: int, tick: Tick) -> None:
        self.ticks.append(tick.record_ms * 1000)
        for camera_id, camera in list(self.cameras.items()):
            self._close_if_silent(camera)
            self._finish(offset, camera_id, camera)
            self._tell_if_silent(offset, camera_id, camera)
            self._tell_if_quiet(offset, camera_id, camera)
            if self._begins_a_minute():
                self._forget_if_silent(offset, camera_id, camera)

    def _close_if_silent(self, camera: Camera) -> None:
        """At a tick, make windows of a silent camera final."""
        size_us = self.limits.size_us
        if self._since_us(camera.heard) < self.limits.idle_us:
            return
        if camera.time_us is None and camera.waiting_us is not None and self._open_starts(camera):
            lead_us = camera.waiting_us // size_us * size_us - camera.heard.broker_us
            if lead_us <= self.limits.jump_us:
                lead_us = 0
            if self._since_us(camera.heard) >= self.limits.idle_us + min(lead_us, self.limits.future_us):
                self._believe_what_waits(camera, camera.heard)
        reached = [start_us for start_us in self._open_starts(camera) if start_us <= (camera.time_us or -1)]
        if reached:
            camera.closed_until_us = reached[-1] + size_us
        beyond = self._open_starts(camera)
        if not beyond:
            return
        newest_us = beyond[-1]
        if camera.time_us is None or camera.moved is None:
            return
        lead_us = min(newest_us - camera.time_us, self.limits.future_us)
        if self._since_us(camera.moved) >= self.limits.idle_us + lead_us:
            camera.closed_until_us = newest_us + size_us
            waits_there = camera.waiting_us is not None and newest_us <= camera.waiting_us < newest_us + size_us
            camera.time_us, camera.waiting_us = camera.waiting_us if waits_there else newest_us, None
            camera.waiting = []
            camera.moved = Moment(len(self.ticks), self.ticks[-1])

    def _tell_if_silent(self, offset: int, camera_id: str, camera: Camera) -> None:
        is_missed = self._since_us(camera.heard) >= self.limits.silent_us
        if camera.is_silent or not is_missed or len(camera.finished) < self.limits.silent_windows:
            return
        camera.is_silent = True
        self.silences.append((offset, "opened", camera_id))

    def _tell_if_quiet(self, offset: int, camera_id: str, camera: Camera) -> None:
        if camera.finished_at is None or camera.quiet_told_us is not None:
            return
        if self._since_us(camera.finished_at) < self.limits.quiet_us:
            return
        camera.quiet_told_us = camera.finished[-1] + self.limits.size_us
        self.quiet.append((offset, camera_id, camera.quiet_told_us))

    def _forget_if_silent(self, offset: int, camera_id: str, camera: Camera) -> None:
        is_lasting = len(camera.finished) >= self.limits.lasting_windows
        limit_us = self.limits.forget_us if is_lasting else self.limits.made_up_us
        into_the_minute_us = self._clock_us(len(self.ticks)) % (60 * SECOND_US)
        if self._since_us(camera.heard) - into_the_minute_us >= limit_us:
            assert not self._open_starts(camera), "silence closes all windows before"
            del self.cameras[camera_id]
            if camera.is_silent:
                self.silences.append((offset, "resolved", camera_id))

    # ------------------------------------------------------------------ rows

    def _finish(self, offset: int, camera_id: str, camera: Camera) -> None:
        """Make the rows of windows that have just become final, with the boundaries that hold now."""
        starts = {one.start_us for one in camera.counted if self._is_final(camera, one.start_us)}
        for start_us in sorted(starts - set(camera.finished)):
            camera.finished.append(start_us)
            camera.finished_at = Moment(len(self.ticks), 0)  # the newest tick's
            if camera.quiet_told_us is not None:
                self.after_quiet.append((offset, RowKey(camera_id, start_us, None), camera.quiet_told_us))
                camera.quiet_told_us = None
            inside = [one for one in camera.counted if one.start_us == start_us]
            lanes = {one.seen.lane_id for one in inside}
            boundaries = self._boundaries(start_us)
            for lane_id in [None, *sorted(lane for lane in lanes if lane is not None)]:
                counted = [one for one in inside if lane_id is None or one.seen.lane_id == lane_id]
                row = row_of(counted, camera_id, boundaries)
                self.made.append(Made(offset, RowKey(camera_id, start_us, lane_id), row))

    def _boundaries(self, start_us: int) -> Boundaries:
        in_force = [change for change in self.changes.values() if change.effective_from_us <= start_us]
        newest = max(in_force, key=lambda change: change.version, default=None)
        return newest.boundaries if newest else OracleRow.boundaries

    # ------------------------------------------------------------------ estimated speeds

    def _speed_kmh(self, camera: Camera, picture: Picture, seen: Seen) -> float | None:
        """The speed that a detection counts with."""
        limits = self.limits
        opens_window = all(one.start_us != self._start_us(picture) for one in camera.counted)
        if opens_window and camera.lacking_us is not None and camera.time_us is not None:
            kept_us = limits.places_us + limits.size_us + limits.lateness_us
            if camera.lacking_us < camera.time_us - kept_us:
                camera.sightings.clear()
                camera.lacking_us = None
        if seen.speed_kmh is not None or not is_tracked(picture.camera_id, seen):
            return seen.speed_kmh
        before = camera.sightings.get(seen.vehicle_id)
        if before is None or not 0 < picture.time_us - before[0] <= limits.places_us:
            return None
        pixel_to_meter = SPECIAL["pixel_to_meter"] if picture.camera_id == "special" else 0.05
        metres = math.dist(before[1:], (seen.x, seen.y)) * pixel_to_meter
        speed_kmh: float = metres / ((picture.time_us - before[0]) / 1e6) * 3.6
        return speed_kmh if speed_kmh <= 400 else None

    def _remember_place(self, camera: Camera, picture: Picture, seen: Seen) -> None:
        """Take note of where a vehicle was, if any detection lacked a speed so far."""
        if not is_tracked(picture.camera_id, seen):
            return
        if seen.speed_kmh is None:
            camera.lacking_us = max(camera.lacking_us or 0, picture.time_us)
        before = camera.sightings.get(seen.vehicle_id)
        if camera.lacking_us is not None and (before is None or before[0] < picture.time_us):
            camera.sightings[seen.vehicle_id] = (picture.time_us, seen.x, seen.y)


def is_tracked(camera_id: str, seen: Seen) -> bool:
    """Whether a detection names a vehicle."""
    return seen.vehicle_id != (UNTRACKED_OF_SPECIAL if camera_id == "special" else UNTRACKED)


def identity_of(picture: Picture, seen: Seen) -> Hashable:
    """What is the same when a detection is sent again."""
    if is_tracked(picture.camera_id, seen):
        return picture.frame_id, seen.vehicle_id
    return picture.frame_id, seen.vehicle_class, box_of(picture.form, seen)


def row_of(inside: Sequence[Counted], camera_id: str, boundaries: Boundaries) -> OracleRow:
    """Count detections of one window, or of one lane of it."""
    max_count, max_speed_kmh = 50, 60.0
    if camera_id == "special":
        max_count, max_speed_kmh = SPECIAL["max_count"], SPECIAL["max_speed_kmh"]
    tracked = [one for one in inside if is_tracked(camera_id, one.seen)]
    vehicles = {one.seen.vehicle_id for one in tracked}
    speeds = [one.speed_kmh for one in inside if one.speed_kmh is not None]
    stopped = [speed for speed in speeds if speed < 5]
    mean = math.fsum(speeds) / len(speeds) if speeds else None
    share = len(stopped) / len(speeds) if speeds else None
    score = None
    if mean is not None and share is not None:
        score = 0.4 * min(len(vehicles) / max_count, 1) + 0.4 * (1 - min(mean / max_speed_kmh, 1)) + 0.2 * share
    classes = {(one.seen.vehicle_id, one.seen.vehicle_class) for one in tracked}
    return OracleRow(
        vehicle_count=len(vehicles),
        counts_by_class=dict(Counter(name for _, name in classes)),
        avg_speed_kmh=mean,
        stopped_ratio=share,
        queue_length=len({one.seen.vehicle_id for one in tracked if one.speed_kmh is not None and one.speed_kmh < 5}),
        score=score,
        detections=len(inside),
        boundaries=boundaries,
        speeds=sorted(speeds),
    )


def assert_rows_equal(found: Iterable[tuple[int, WindowRow]], expected: Iterable[Made]) -> None:
    """Compare rows with the offsets that made them final, and for each camera their order."""
    rows = sorted(((offset, key_of(row), row) for offset, row in found), key=_in_order)
    made = sorted(expected, key=_in_order)
    assert [one[:2] for one in rows] == [one[:2] for one in made]
    for (_, key, row), (_, _, right) in zip(rows, made, strict=True):
        assert _us(row.window_end) - _us(row.window_start) == 5 * SECOND_US
        assert row.vehicle_count == right.vehicle_count, key
        assert row.counts_by_class == right.counts_by_class, key
        assert row.queue_length == right.queue_length, key
        assert row.detections == right.detections, key
        assert _near(row.avg_speed_kmh, right.avg_speed_kmh, 0.0005), (key, row, right)
        assert _near(row.stopped_ratio, right.stopped_ratio, 0.00005), (key, row, right)
        assert _near(row.congestion_score, right.score, 0.00005), (key, row, right)
        assert row.congestion_level == level_of(row.congestion_score, right.boundaries), key
        told = row.p15_speed_kmh, row.p50_speed_kmh, row.p85_speed_kmh, row.p95_speed_kmh
        for share, kmh in zip((15, 50, 85, 95), told, strict=True):
            exact = right.speeds[share * (len(right.speeds) - 1) // 100] if right.speeds else None
            # at most 1 % away, two decimals; what is below 0.01 km/h stands
            assert _near(kmh, exact, 0.0151 + 0.0101 * (exact or 0)), (key, row, right)


def _in_order(one: tuple[int, RowKey, object]) -> tuple[int, str]:
    """Cameras whose windows become final by the same record may do so in any order."""
    return one[0], one[1].camera_id


def refusal_of(letter: DeadLetter) -> Refusal:
    """What a dead letter says, as the oracle says it."""
    reasons = letter.reasons or {letter.reason: letter.events}
    assert next(iter(reasons)) == letter.reason, letter
    assert sum(reasons.values()) == letter.events, letter
    assert letter.reasons is None or len(letter.reasons) > 1, letter
    return Refusal(letter.offset, reasons)


def key_of(row: WindowRow) -> RowKey:
    """The name of a row."""
    return RowKey(row.camera_id, _us(row.window_start), row.lane_id)


def _near(found: float | None, right: float | None, tolerance: float) -> bool:
    if found is None or right is None:
        return found is right
    return abs(found - right) <= tolerance + 1e-9


def level_of(score: float | None, boundaries: Boundaries) -> str:
    """Name the level of a score."""
    if score is None:
        return "UNKNOWN"
    moderate, high, severe = boundaries
    return "LOW" if score < moderate else "MODERATE" if score < high else "HIGH" if score < severe else "SEVERE"


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1e6)
