"""Which window a detection belongs to, what time a camera has, and which of its windows are final.

docs/windows.md has the rules in words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from models.administration.thresholds import Thresholds
from models.cameras.detections import FrameDetection
from models.cameras.window_rows import FinishedWindow
from models.timestamps import rfc3339
from trafficapp.windows.accumulator import NO_LANE, Accumulator, union
from trafficapp.windows.camera_state import CameraState, OpenWindow
from trafficapp.windows.camera_time import CAMERA_TIME
from trafficapp.windows.clock import EventClock
from trafficapp.windows.congestion import CongestionScale
from trafficapp.windows.holding import (
    FRAME_BYTES,
    LANE_BYTES,
    MAX_CAMERA_BYTES,
    MOST_CHARACTER_BYTES,
    MOST_DETECTION_BYTES,
    SPEED_BYTES,
    TEXT_BYTES,
    WINDOW_BYTES,
    name_bytes,
)
from trafficapp.windows.places import drop_places, forget_places, places_matter, speed_by_places, wait, wait_no_more
from trafficapp.windows.speed import SpeedEstimator
from trafficapp.windows.speed_sketch import buckets_of, together
from trafficapp.windows.timeline import next_final_us, take_final


class NotCounted(NamedTuple):
    """How many detections of a message were not counted, and why."""

    repeated: int = 0
    late: int = 0
    full: int = 0


#: When everything was counted.
NOTHING = NotCounted()


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
            CAMERA_TIME.move_or_wait(camera, time_us, self.jump_us)
            return None
        is_far = time_us - camera.newest_us > self.jump_us
        if is_far and camera.waiting_us and not self._is_repeated(camera, time_us, frame_id, picture):
            CAMERA_TIME.confirm(camera, time_us, self.jump_us)
            is_far = time_us - camera.newest_us > self.jump_us
        start_us = time_us - time_us % self.size_us
        window = camera.windows.get(start_us)
        if start_us + self.open_us <= camera.newest_us or (
            window is None and start_us + self.size_us <= camera.closed_until_us
        ):
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
        if camera.held_bytes > MAX_CAMERA_BYTES and not _made_room(camera):
            camera.full += len(names)
            # its time counts, so that windows become final and make room
            CAMERA_TIME.move_or_wait(camera, time_us, self.jump_us)
            return NotCounted(repeated, full=len(names))
        if window is None:
            window = self._open(camera, start_us)
        text = "".join(names)
        held_bytes = len(names) * TEXT_BYTES + (len(text) if text.isascii() else len(text.encode()))
        if seen:
            seen |= new
        else:
            window.seen[frame_id] = new
            held_bytes += FRAME_BYTES
        held_bytes += self._count(camera, window, time_us, picture, is_far)
        window.held_bytes += held_bytes
        camera.held_bytes += held_bytes
        camera.counted += len(names)
        if is_far:
            wait(camera, time_us)
        elif time_us > camera.newest_us:
            # `move`, written out since every picture comes by here
            camera.newest_us = time_us
            camera.moved_clock_us = camera.clock_us
            if camera.waiting_us:
                wait_no_more(camera)
        return NotCounted(repeated) if repeated else None

    def _count(
        self, camera: CameraState, window: OpenWindow, time_us: int, picture: Sequence[FrameDetection], waits: bool
    ) -> int:
        """Count detections that are new in their lanes; how many bytes more the lanes hold then."""
        held_bytes, lanes = len(picture) * SPEED_BYTES, window.lanes
        untracked_ids, stopped_below_kmh = self.untracked_ids, self.stopped_below_kmh
        keeps_places = places_matter(camera, waits)
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
                if keeps_places or speed_kmh is None:
                    # from the first one that lacks a speed, those behind it keep their places as well
                    keeps_places = True
                    speed_kmh = speed_by_places(camera, self.estimator, time_us, detection, waits)
                vehicle_class = detection.vehicle_class
                first_class = lane.vehicles.get(vehicle_id)
                if first_class is None:
                    lane.vehicles[vehicle_id] = vehicle_class
                    held_bytes += name_bytes(vehicle_id) + TEXT_BYTES + len(vehicle_class) * MOST_CHARACTER_BYTES
                elif first_class != vehicle_class and (vehicle_id, vehicle_class) not in lane.other_classes:
                    lane.other_classes.add((vehicle_id, vehicle_class))
                    held_bytes += name_bytes(vehicle_id) + name_bytes(vehicle_class)
            if speed_kmh is not None:
                lane.speeds_kmh.append(speed_kmh)
                if speed_kmh < stopped_below_kmh:
                    lane.stopped += 1
                    if is_vehicle and vehicle_id not in lane.queue:
                        lane.queue.add(vehicle_id)
                        held_bytes += name_bytes(vehicle_id)
        return held_bytes

    def takes_all(self, camera: CameraState, time_us: int, count: int) -> bool:
        """Whether so many detections of one picture may be added together as well as one by one.

        So it is when none of them waits or confirms, and the camera could hold all of them.
        """
        is_near = time_us - camera.newest_us <= self.jump_us
        return is_near and camera.held_bytes + count * MOST_DETECTION_BYTES <= MAX_CAMERA_BYTES

    def close_final(
        self, camera: CameraState, camera_id: str, partition_clock_us: int, changes: Sequence[Thresholds] = ()
    ) -> Iterator[list[FinishedWindow]]:
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
    ) -> Iterator[list[FinishedWindow]]:
        """Take out the windows of a camera that has been silent for the idle time-out; yields as `close_final`.

        Those that lie beyond the camera's time stay for as long as the camera may still be on its way there.
        """
        if partition_clock_us - camera.clock_us < self.clock.idle_us:
            # most are not silent, at most ticks
            return iter(())
        until_us = CAMERA_TIME.silent_until_us(camera, camera.windows, partition_clock_us, self.clock)
        return iter(()) if until_us is None else self._close(camera, camera_id, until_us, changes, partition_clock_us)

    def _is_repeated(self, camera: CameraState, time_us: int, frame_id: int, picture: Sequence[FrameDetection]) -> bool:
        """Whether all of a picture was counted before, in a window that is open."""
        window = camera.windows.get(self.clock.window_start(time_us))
        seen = window.seen.get(frame_id, ()) if window is not None else ()
        return all(self._name(detection) in seen for detection in picture)

    def _open(self, camera: CameraState, start_us: int) -> OpenWindow:
        window = camera.windows[start_us] = OpenWindow(held_bytes=WINDOW_BYTES)
        camera.held_bytes += WINDOW_BYTES
        camera.final_us = next_final_us(camera, start_us, self.clock)
        if camera.sightings:
            # here and not at closing, which depends on how records came in runs; an event of a window that is still
            # open may lag this far: no place that it could use is dropped
            lag_us = self.clock.lateness_us + self.clock.size_us
            forget_places(camera, camera.newest_us - lag_us - self.estimator.forget_after_us)
        return window

    def _close(
        self, camera: CameraState, camera_id: str, limit_us: int, changes: Sequence[Thresholds], clock_us: int
    ) -> Iterator[list[FinishedWindow]]:
        for start_us, window in take_final(camera, limit_us, self.clock):
            camera.held_bytes -= window.held_bytes
            camera.finished += 1
            camera.finished_clock_us = clock_us
            yield self._rows(camera_id, start_us, window, changes)

    def _rows(
        self, camera_id: str, start_us: int, window: OpenWindow, changes: Sequence[Thresholds]
    ) -> list[FinishedWindow]:
        start, end = rfc3339(start_us), rfc3339(start_us + self.size_us)
        scale = self.scale.at(start_us, changes) if changes else self.scale
        pictures = len(window.seen)
        if len(window.lanes) == 1:
            # the camera's row says what its only lane's does
            ((lane_id, lane),) = window.lanes.items()
            buckets = buckets_of(lane.speeds_kmh)
            row = lane.row(camera_id, None, start, end, scale, pictures, buckets)
            return [row] if lane_id == NO_LANE else [row, msgspec.structs.replace(row, lane_id=lane_id)]
        lanes = sorted(window.lanes.items())
        sketches = [buckets_of(lane.speeds_kmh) for _, lane in lanes]
        total = union([lane for _, lane in lanes])
        rows = [total.row(camera_id, None, start, end, scale, pictures, together(sketches))]
        rows += [
            lane.row(camera_id, lane_id, start, end, scale, pictures, buckets)
            for (lane_id, lane), buckets in zip(lanes, sketches, strict=True)
            if lane_id != NO_LANE
        ]
        return rows

    def _name(self, detection: FrameDetection) -> str:
        """What tells a detection of a frame apart."""
        return _name_without_id(detection) if detection.vehicle_id in self.untracked_ids else detection.vehicle_id


def _unseen(
    picture: Sequence[FrameDetection], names: Sequence[str], seen: Collection[str]
) -> tuple[list[FrameDetection], list[str]]:
    """What of a picture was not seen before, each once, with its name."""
    new: dict[str, FrameDetection] = {}
    for name, detection in zip(names, picture, strict=True):
        if name not in seen:
            new.setdefault(name, detection)
    return list(new.values()), list(new)


def _made_room(camera: CameraState) -> bool:
    """Drop the places of vehicles; whether the camera may hold more then."""
    drop_places(camera)
    return camera.held_bytes <= MAX_CAMERA_BYTES


def _name_without_id(detection: FrameDetection) -> str:
    """What tells a detection of a frame apart that has no id of its own: its class and its box."""
    box = detection.bbox
    return f"\0{detection.vehicle_class} {box.x!r} {box.y!r} {box.w!r} {box.h!r}"
