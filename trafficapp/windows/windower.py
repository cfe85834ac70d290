"""Which window a detection belongs to, what time a camera has, and which of its windows are final.

docs/windows.md has the rules in words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec import field as struct_field

from models.administration.thresholds import Thresholds
from models.cameras.detections import FrameDetection
from models.cameras.window_rows import WindowRow
from trafficapp.alerts.silence import Silence
from trafficapp.windows.accumulator import NO_LANE, Accumulator, union
from trafficapp.windows.clock import EventClock
from trafficapp.windows.congestion import CongestionScale
from trafficapp.windows.holding import (
    FRAME_BYTES,
    LANE_BYTES,
    MAX_CAMERA_BYTES,
    MOST_CHARACTER_BYTES,
    MOST_DETECTION_BYTES,
    SIGHTING_BYTES,
    TEXT_BYTES,
    WINDOW_BYTES,
    name_bytes,
)
from trafficapp.windows.speed import Sighting, SpeedEstimator

#: The camera's time that makes the next window final, when none is open: it never comes.
NEVER_US = 1 << 62


class NotCounted(NamedTuple):
    """How many detections of a message were not counted, and why."""

    repeated: int = 0
    late: int = 0
    full: int = 0


#: When everything was counted.
NOTHING = NotCounted()


class OpenWindow(Struct, array_like=True):
    """A window that still takes detections.

    Attributes:
        seen: what was counted of each frame already: vehicles, or class and box of what has no id of its own.
        lanes: accumulator of each lane; `NO_LANE` for detections without one.
        held_bytes: how much of `MAX_CAMERA_BYTES` it takes.
    """

    seen: dict[int, set[str]] = struct_field(default_factory=dict)
    lanes: dict[int, Accumulator] = struct_field(default_factory=dict)
    held_bytes: int = 0


class CameraState(Struct, array_like=True):
    """Everything known of one camera: a pure function of its partition's records up to `offset`.

    Attributes:
        offset: offset of the last record that was applied.
        newest_us: the camera's time, 0 before the first picture was confirmed.
        closed_until_us: windows that end here or before are final.
        clock_us: the partition clock at the newest record of this camera.
        untracked_since_us: event time of the last detection without a speed, 0 when there was none.
        counted, repeated, late, full: detections by what became of them.
        windows: open windows by their start.
        sightings: where each vehicle was last seen; kept only while detections lack a speed.
        finished: windows that were finished; one that this was not counted for from the start has fewer.
        silence: the silence that an alert is open for.
        finished_clock_us: the partition clock when the newest window was finished, -1 when that is not known.
        quiet_told_us: end of the newest window when it was told last that no more are finished.
        waiting_us: time of the picture that waits to be confirmed, 0 when none does.
        waiting_places: of that picture each vehicle, where it was, and whether it lacks a speed.
        moved_clock_us: the partition clock when the camera's time was moved last.
        heard_us: time of the newest record while the camera has no time.
        held_bytes: how much of `MAX_CAMERA_BYTES` is taken.
        tracked_bytes: how much of that by sightings, those that wait among them.
        first_offset: offset of the record by which the camera was met.
        final_us: the camera's time that makes its oldest open window final.
        known_before: first offset and the offset after the last one of earlier times that the camera was known, as far
            as a partition's row may lack them.
    """

    offset: int = -1
    newest_us: int = 0
    closed_until_us: int = 0
    clock_us: int = 0
    untracked_since_us: int = 0
    counted: int = 0
    repeated: int = 0
    late: int = 0
    windows: dict[int, OpenWindow] = struct_field(default_factory=dict)
    sightings: dict[str, Sighting] = struct_field(default_factory=dict)
    full: int = 0
    # new fields go to the end: rows that were written without them must stay readable
    finished: int = 0
    silence: Silence | None = None
    finished_clock_us: int = -1
    quiet_told_us: int = 0
    waiting_us: int = 0
    moved_clock_us: int = 0
    heard_us: int = 0
    held_bytes: int = 0
    tracked_bytes: int = 0
    first_offset: int = -1
    final_us: int = 0
    known_before: list[tuple[int, int]] = struct_field(default_factory=list)
    waiting_places: list[tuple[str, float, float, bool]] = struct_field(default_factory=list)

    def was_known(self, offset: int) -> bool:
        """Whether the camera was known when a record came."""
        return self.first_offset <= offset or any(first <= offset < end for first, end in self.known_before)


@dataclass(frozen=True, slots=True)
class Windower:
    """The rules for the windows of one camera.

    Attributes:
        untracked_ids: vehicle ids that name no vehicle.
    """

    clock: EventClock
    scale: CongestionScale
    estimator: SpeedEstimator
    stopped_below_kmh: float
    untracked_ids: frozenset[str] = frozenset()
    size_us: int = field(init=False)
    open_us: int = field(init=False)
    jump_us: int = field(init=False)

    def __post_init__(self) -> None:
        """Keep what every detection needs at hand: length of a window, and for how long it stays open."""
        object.__setattr__(self, "size_us", self.clock.size_us)
        object.__setattr__(self, "open_us", self.clock.size_us + self.clock.lateness_us)
        object.__setattr__(self, "jump_us", self.clock.jump_us)

    def add(
        self, camera: CameraState, time_us: int, frame_id: int, picture: Sequence[FrameDetection]
    ) -> NotCounted | None:
        """Count what one message shows in its window; an empty picture moves the camera's time only.

        A window is final as soon as the watermark has reached its end, whether it was taken out yet or
        not; so what is late does not depend on how records were grouped into runs.

        Returns:
            what was not counted; None when everything was.
        """
        if not picture:
            self._move_or_wait(camera, time_us)
            return None
        newest_us, size_us = camera.newest_us, self.size_us
        is_far = time_us - newest_us > self.jump_us
        if is_far and camera.waiting_us and not self._is_repeated(camera, time_us, frame_id, picture):
            self._confirm(camera, time_us)
            newest_us = camera.newest_us
            is_far = time_us - newest_us > self.jump_us
        start_us = time_us - time_us % size_us
        window = camera.windows.get(start_us)
        if start_us + self.open_us <= newest_us or (window is None and start_us + size_us <= camera.closed_until_us):
            camera.late += len(picture)
            return NotCounted(late=len(picture))
        names = [detection.vehicle_id for detection in picture]
        if self.untracked_ids:
            names = [self._name(detection) for detection in picture]
        seen = window.seen.get(frame_id) if window is not None else None
        size, new = len(picture), set(names)
        if len(new) < size or (seen and not seen.isdisjoint(new)):
            picture, names = _unseen(picture, names, seen or ())
            new = set(names)
        repeated = size - len(names)
        camera.repeated += repeated
        if not names:
            return NotCounted(repeated)
        if camera.held_bytes > MAX_CAMERA_BYTES and not self._made_room(camera):
            camera.full += len(names)
            # its time counts, so that windows become final and make room
            self._move_or_wait(camera, time_us)
            return NotCounted(repeated, full=len(names))
        if window is None:
            window = self._open(camera, start_us)
        text = "".join(names)
        is_ascii = text.isascii()
        held_bytes = len(names) * TEXT_BYTES + (len(text) if is_ascii else len(text.encode()))
        if seen:
            seen |= new
        else:
            window.seen[frame_id] = new
            held_bytes += FRAME_BYTES
        lanes, untracked_ids, stopped_below_kmh = window.lanes, self.untracked_ids, self.stopped_below_kmh
        tracks = is_far or camera.untracked_since_us > 0
        # written out, since a call for each detection costs a tenth of the throughput
        for detection in picture:
            vehicle_id = detection.vehicle_id
            is_vehicle = not untracked_ids or vehicle_id not in untracked_ids
            lane_id = detection.lane_id
            if lane_id is None:
                lane_id = NO_LANE
            lane = lanes.get(lane_id)
            if lane is None:
                lane = lanes[lane_id] = Accumulator()
                held_bytes += LANE_BYTES
            lane.detections += 1
            speed_kmh = detection.speed_estimate
            if is_vehicle:
                if tracks or speed_kmh is None:
                    tracks = True
                    speed_kmh = self._track(camera, time_us, detection, is_far)
                vehicle_class = detection.vehicle_class
                first_class = lane.vehicles.get(vehicle_id)
                if first_class is None:
                    lane.vehicles[vehicle_id] = vehicle_class
                    held_bytes += len(vehicle_id) if is_ascii else len(vehicle_id.encode())
                    held_bytes += len(vehicle_class) * MOST_CHARACTER_BYTES + 2 * TEXT_BYTES
                elif first_class != vehicle_class and (vehicle_id, vehicle_class) not in lane.other_classes:
                    lane.other_classes.add((vehicle_id, vehicle_class))
                    held_bytes += name_bytes(vehicle_id) + name_bytes(vehicle_class)
            if speed_kmh is not None:
                lane.speeds += 1
                lane.speed_sum_kmh += speed_kmh
                if speed_kmh < stopped_below_kmh:
                    lane.stopped += 1
                    if is_vehicle and vehicle_id not in lane.queue:
                        lane.queue.add(vehicle_id)
                        held_bytes += name_bytes(vehicle_id)
        window.held_bytes += held_bytes
        camera.held_bytes += held_bytes
        camera.counted += len(names)
        if time_us > newest_us:
            if is_far:
                _wait(camera, time_us)
            else:
                camera.newest_us = time_us
                camera.moved_clock_us = camera.clock_us
                if camera.waiting_us:
                    _wait_no_more(camera)
        return NotCounted(repeated) if repeated else None

    def takes_all(self, camera: CameraState, time_us: int, count: int) -> bool:
        """Whether so many detections of one picture may be added together as well as one by one.

        So it is when none of them waits or confirms, and the camera could hold all of them.
        """
        is_near = time_us - camera.newest_us <= self.jump_us
        return is_near and camera.held_bytes + count * MOST_DETECTION_BYTES <= MAX_CAMERA_BYTES

    def close_final(
        self, camera: CameraState, camera_id: str, partition_clock_us: int, changes: Sequence[Thresholds] = ()
    ) -> Iterator[list[WindowRow]]:
        """Take out the windows that the watermark has passed, oldest first; there are some from `final_us` on.

        Args:
            camera: its state.
            camera_id: its name.
            partition_clock_us: as of the last tick.
            changes: of the boundaries of the levels.

        Yields:
            for each window the camera-wide row, then its lanes in ascending order. Nothing may come in between.
        """
        limit_us = camera.newest_us - self.clock.lateness_us
        return self._close(camera, camera_id, limit_us, changes, partition_clock_us)

    def close_idle(
        self, camera: CameraState, camera_id: str, partition_clock_us: int, changes: Sequence[Thresholds] = ()
    ) -> Iterator[list[WindowRow]]:
        """Take out the windows of a camera that has been silent for the idle time-out; yields as `close_final`.

        Those that lie beyond the camera's time stay for as long as the camera may still be on its way there.
        """
        silent_us = partition_clock_us - camera.clock_us
        if not camera.windows or silent_us < self.clock.idle_us:
            return iter(())
        if not camera.newest_us and self._has_begun(camera, silent_us):
            self._believe(camera)
        last_us = max(camera.windows)
        if last_us > camera.newest_us and not self._has_got_to(camera, last_us, partition_clock_us):
            limit_us = self.clock.window_start(camera.newest_us) + self.clock.size_us
            return self._close(camera, camera_id, limit_us, changes, partition_clock_us)
        if last_us > camera.newest_us:
            waits_there = self.clock.window_start(camera.waiting_us) == last_us
            camera.newest_us = camera.waiting_us if waits_there else last_us
            camera.moved_clock_us = partition_clock_us
            _wait_no_more(camera)
        return self._close(camera, camera_id, last_us + self.clock.size_us, changes, partition_clock_us)

    def _has_got_to(self, camera: CameraState, start_us: int, partition_clock_us: int) -> bool:
        """Whether a silent camera may have got to a window beyond its time."""
        if not camera.newest_us:
            return False
        lead_us = min(start_us - camera.newest_us, self.clock.future_us)
        return partition_clock_us - camera.moved_clock_us >= self.clock.idle_us + lead_us

    def _has_begun(self, camera: CameraState, silent_us: int) -> bool:
        """Whether a silent camera without a time may have got to the picture that waits."""
        lead_us = self.clock.window_start(camera.waiting_us) - camera.heard_us
        return lead_us <= self.jump_us or silent_us >= self.clock.idle_us + min(lead_us, self.clock.future_us)

    def _confirm(self, camera: CameraState, time_us: int) -> None:
        """Move the camera's time, if the picture that waits is confirmed by one that is far ahead as well.

        The earlier one of both is believed: if the one that waited has a wrong clock, the other one is not late.
        Of a camera without a time nothing is final yet that could be wrong.
        """
        waiting_us = camera.waiting_us
        if not waiting_us or time_us == waiting_us or time_us < waiting_us - self.jump_us:
            return
        if camera.newest_us and time_us < waiting_us:
            self._move(camera, time_us)
            return
        self._believe(camera)

    def _believe(self, camera: CameraState) -> None:
        """Move the camera's time to the picture that waits; what it says of places counts."""
        waiting_us = camera.waiting_us
        for vehicle_id, x, y, lacks_speed in camera.waiting_places:
            if lacks_speed or camera.untracked_since_us:
                _place(camera, vehicle_id, (waiting_us, x, y))
            if lacks_speed:
                camera.untracked_since_us = max(camera.untracked_since_us, waiting_us)
        self._move(camera, waiting_us)

    def _is_repeated(self, camera: CameraState, time_us: int, frame_id: int, picture: Sequence[FrameDetection]) -> bool:
        """Whether all of a picture was counted before, in a window that is open."""
        window = camera.windows.get(self.clock.window_start(time_us))
        seen = window.seen.get(frame_id, ()) if window is not None else ()
        return all(self._name(detection) in seen for detection in picture)

    def _move_or_wait(self, camera: CameraState, time_us: int) -> None:
        """Take in the time of a picture, whatever was in it."""
        if time_us - camera.newest_us > self.jump_us:
            self._confirm(camera, time_us)
        if time_us - camera.newest_us > self.jump_us:
            _wait(camera, time_us)
        elif time_us > camera.newest_us:
            self._move(camera, time_us)

    def _move(self, camera: CameraState, time_us: int) -> None:
        camera.newest_us, camera.moved_clock_us = time_us, camera.clock_us
        _wait_no_more(camera)

    def _open(self, camera: CameraState, start_us: int) -> OpenWindow:
        window = camera.windows[start_us] = OpenWindow(held_bytes=WINDOW_BYTES)
        camera.held_bytes += WINDOW_BYTES
        camera.final_us = min(camera.final_us or NEVER_US, start_us + self.open_us)
        if camera.sightings:
            # here and not at closing, which depends on how records came in runs
            self._forget(camera)
        return window

    def _close(
        self, camera: CameraState, camera_id: str, limit_us: int, changes: Sequence[Thresholds], clock_us: int
    ) -> Iterator[list[WindowRow]]:
        size_us = self.size_us
        final = sorted(start for start in camera.windows if start + size_us <= limit_us)
        camera.final_us = min((s for s in camera.windows if s + size_us > limit_us), default=NEVER_US) + self.open_us
        for start_us in final:
            window = camera.windows.pop(start_us)
            camera.held_bytes -= window.held_bytes
            camera.finished += 1
            camera.finished_clock_us = clock_us
            camera.closed_until_us = max(camera.closed_until_us, start_us + size_us)
            yield self._rows(camera_id, start_us, window, changes)

    def _rows(
        self, camera_id: str, start_us: int, window: OpenWindow, changes: Sequence[Thresholds]
    ) -> list[WindowRow]:
        end_us = start_us + self.size_us
        scale = self.scale.at(start_us, changes) if changes else self.scale
        lanes = sorted(window.lanes.items())
        whole = lanes[0][1] if len(lanes) == 1 else union(lane for _, lane in lanes)
        rows = [whole.row(camera_id, None, start_us, end_us, scale)]
        rows += [lane.row(camera_id, lane_id, start_us, end_us, scale) for lane_id, lane in lanes if lane_id != NO_LANE]
        return rows

    def _track(self, camera: CameraState, time_us: int, detection: FrameDetection, waits: bool) -> float | None:
        """Remember where the vehicle is; estimate its speed when the detection has none.

        What a picture that waits says of places is put aside until it is believed.
        """
        here = _sighting(time_us, detection)
        before = camera.sightings.get(detection.vehicle_id)
        speed_kmh = detection.speed_estimate
        if waits:
            _wait(camera, time_us)
            camera.waiting_places.append((detection.vehicle_id, here[1], here[2], speed_kmh is None))
            _take(camera, _place_bytes(detection.vehicle_id))
        else:
            _place(camera, detection.vehicle_id, here)
        if speed_kmh is not None:
            return speed_kmh
        if not waits:
            camera.untracked_since_us = max(camera.untracked_since_us, time_us)
        return self.estimator.estimate_kmh(before, here)

    def _forget(self, camera: CameraState) -> None:
        """Drop vehicles unseen for long, and all of them once every detection has a speed again."""
        # an event of a window that is still open may lag this far: no sighting it could use is dropped
        lag_us = self.clock.lateness_us + self.clock.size_us
        oldest_us = camera.newest_us - lag_us - self.estimator.forget_after_us
        if camera.untracked_since_us < oldest_us:
            camera.untracked_since_us = 0
            _drop_places(camera)
            return
        for vehicle_id in [v for v, sighting in camera.sightings.items() if sighting[0] < oldest_us]:
            del camera.sightings[vehicle_id]
            _take(camera, -_place_bytes(vehicle_id))

    def _name(self, detection: FrameDetection) -> str:
        """What tells a detection of a frame apart."""
        return _name_without_id(detection) if detection.vehicle_id in self.untracked_ids else detection.vehicle_id

    def _made_room(self, camera: CameraState) -> bool:
        """Drop the places of vehicles; whether the camera may hold more then."""
        _drop_places(camera)
        return camera.held_bytes <= MAX_CAMERA_BYTES


def _unseen(
    picture: Sequence[FrameDetection], names: Sequence[str], seen: Collection[str]
) -> tuple[list[FrameDetection], list[str]]:
    """What of a picture was not seen before, each once, with its name."""
    new: dict[str, FrameDetection] = {}
    for name, detection in zip(names, picture, strict=True):
        if name not in seen:
            new.setdefault(name, detection)
    return list(new.values()), list(new)


def count_held(camera: CameraState) -> None:
    """Count what is held of a camera whose row does not tell."""
    names = [*camera.sightings, *(vehicle_id for vehicle_id, *_ in camera.waiting_places)]
    camera.tracked_bytes = sum(_place_bytes(name) for name in names)
    for window in camera.windows.values():
        window.held_bytes = window.held_bytes or len(msgspec.msgpack.encode(window)) + WINDOW_BYTES
    camera.held_bytes = camera.tracked_bytes + sum(window.held_bytes for window in camera.windows.values())


def _drop_places(camera: CameraState) -> None:
    camera.sightings.clear()
    camera.waiting_places.clear()
    camera.held_bytes -= camera.tracked_bytes
    camera.tracked_bytes = 0


def _place(camera: CameraState, vehicle_id: str, here: Sighting) -> None:
    before = camera.sightings.get(vehicle_id)
    if before is None or before[0] < here[0]:
        camera.sightings[vehicle_id] = here
        if before is None:
            _take(camera, _place_bytes(vehicle_id))


def _wait(camera: CameraState, time_us: int) -> None:
    """Have a picture wait; another one that did waits no more."""
    if camera.waiting_us != time_us:
        _wait_no_more(camera)
        camera.waiting_us = time_us


def _wait_no_more(camera: CameraState) -> None:
    camera.waiting_us = 0
    if camera.waiting_places:
        _take(camera, -sum(_place_bytes(vehicle_id) for vehicle_id, *_ in camera.waiting_places))
        camera.waiting_places.clear()


def _take(camera: CameraState, size: int) -> None:
    camera.tracked_bytes += size
    camera.held_bytes += size


def _place_bytes(vehicle_id: str) -> int:
    return name_bytes(vehicle_id) + SIGHTING_BYTES


def _sighting(time_us: int, detection: FrameDetection) -> Sighting:
    centroid, box = detection.centroid, detection.bbox
    if centroid is not None:
        return time_us, centroid.x, centroid.y
    return time_us, box.x + box.w / 2, box.y + box.h / 2


def _name_without_id(detection: FrameDetection) -> str:
    """What tells a detection of a frame apart that has no id of its own: its class and its box."""
    box = detection.bbox
    return f"\0{detection.vehicle_class} {box.x!r} {box.y!r} {box.w!r} {box.h!r}"
