"""Which window a detection belongs to, and which windows of a camera are final."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec import field as struct_field

from models.detections import FrameDetection
from models.thresholds import Thresholds
from models.window_rows import WindowRow
from trafficapp.alerts.silence import Silence
from trafficapp.congestion import CongestionScale
from trafficapp.speed import Sighting, SpeedEstimator
from trafficapp.windows.accumulator import NO_LANE, Accumulator, union
from trafficapp.windows.clock import EventClock

#: What became of a detection. Plain numbers: an enumeration costs a twentieth of the throughput.
COUNTED, REPEATED, LATE, FULL = 0, 1, 2, 3

#: Room for detections in one open window, in bytes of vehicle ids and what goes with each. A camera whose
#: clock stands still never closes its window; its state must stay small enough to be written all the same.
#: Thirty pictures a second of a hundred vehicles need half of it.
MAX_WINDOW_BYTES = 1 << 19
_DETECTION_BYTES = 12


class OpenWindow(Struct, array_like=True):
    """A window that still takes detections.

    Attributes:
        seen: the vehicles of each frame that were counted already.
        lanes: accumulator of each lane; `NO_LANE` for detections without one.
        held_bytes: how much of `MAX_WINDOW_BYTES` is taken.
    """

    seen: dict[int, set[str]] = struct_field(default_factory=dict)
    lanes: dict[int, Accumulator] = struct_field(default_factory=dict)
    held_bytes: int = 0


class CameraState(Struct, array_like=True):
    """Everything known of one camera: a pure function of its partition's records up to `offset`.

    Attributes:
        offset: offset of the last record that was applied.
        newest_us: newest event time, 0 before the first event.
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


@dataclass(frozen=True, slots=True)
class Windower:
    """The rules for the windows of one camera."""

    clock: EventClock
    scale: CongestionScale
    estimator: SpeedEstimator
    stopped_below_kmh: float
    size_us: int = field(init=False)
    open_us: int = field(init=False)

    def __post_init__(self) -> None:
        """Keep what every detection needs at hand: length of a window, and for how long it stays open."""
        object.__setattr__(self, "size_us", self.clock.size_us)
        object.__setattr__(self, "open_us", self.clock.size_us + self.clock.lateness_us)

    def add(self, camera: CameraState, time_us: int, frame_id: int, detection: FrameDetection) -> int:
        """Count one detection in its window.

        A window is final as soon as the watermark has reached its end, whether it was taken out yet or
        not; so the verdict does not depend on how records were grouped into runs.

        Returns:
            `COUNTED`, `REPEATED`, `LATE`, or `FULL` when the window holds all it may.
        """
        size_us = self.size_us
        start_us = time_us - time_us % size_us
        if start_us + self.open_us <= camera.newest_us:
            camera.late += 1
            return LATE
        window = camera.windows.get(start_us)
        if window is None:
            if start_us + size_us <= camera.closed_until_us:
                camera.late += 1
                return LATE
            window = camera.windows[start_us] = OpenWindow()
            if camera.sightings:
                # here and not at closing, which depends on how records came in runs
                self._forget(camera)
        vehicle_id = detection.vehicle_id
        if window.held_bytes > MAX_WINDOW_BYTES:
            camera.full += 1
            return FULL
        seen = window.seen.get(frame_id)
        if seen is None:
            window.seen[frame_id] = {vehicle_id}
        elif vehicle_id in seen:
            camera.repeated += 1
            return REPEATED
        else:
            seen.add(vehicle_id)
        window.held_bytes += _DETECTION_BYTES + len(vehicle_id)
        speed_kmh = detection.speed_estimate
        if speed_kmh is None or camera.untracked_since_us:
            speed_kmh = self._track(camera, time_us, detection)
        lane_id = detection.lane_id
        lane = window.lanes.get(NO_LANE if lane_id is None else lane_id)
        if lane is None:
            lane = window.lanes[NO_LANE if lane_id is None else lane_id] = Accumulator()
        # Accumulator.add, written out: a call here costs a tenth of the throughput
        lane.detections += 1
        vehicle_class = detection.vehicle_class
        if lane.vehicles.setdefault(vehicle_id, vehicle_class) != vehicle_class:
            lane.other_classes.add((vehicle_id, vehicle_class))
        if speed_kmh is not None:
            lane.speeds += 1
            lane.speed_sum_kmh += speed_kmh
            if speed_kmh < self.stopped_below_kmh:
                lane.stopped += 1
                lane.queue.add(vehicle_id)
        if time_us > camera.newest_us:
            camera.newest_us = time_us
        camera.counted += 1
        return COUNTED

    def close_final(self, camera: CameraState, camera_id: str, changes: Sequence[Thresholds] = ()) -> list[WindowRow]:
        """Take out the windows that the watermark has passed, oldest first.

        Args:
            camera: its state.
            camera_id: its name.
            changes: of the boundaries of the levels.

        Returns:
            for each window the camera-wide row, then its lanes in ascending order.
        """
        # a record of its own has made them final, and the clock stands still between ticks
        limit_us = camera.newest_us - self.clock.lateness_us
        return self._close(camera, camera_id, limit_us, changes, camera.clock_us)

    def close_idle(
        self, camera: CameraState, camera_id: str, partition_clock_us: int, changes: Sequence[Thresholds] = ()
    ) -> list[WindowRow]:
        """Take out all windows of a camera that has been silent for the idle time-out."""
        if not camera.windows or partition_clock_us - camera.clock_us < self.clock.idle_us:
            return []
        limit_us = max(camera.windows) + self.clock.size_us
        return self._close(camera, camera_id, limit_us, changes, partition_clock_us)

    def _close(
        self, camera: CameraState, camera_id: str, limit_us: int, changes: Sequence[Thresholds], clock_us: int
    ) -> list[WindowRow]:
        size_us = self.clock.size_us
        rows: list[WindowRow] = []
        for start_us in sorted(start for start in camera.windows if start + size_us <= limit_us):
            rows += self._rows(camera_id, start_us, camera.windows.pop(start_us), changes)
            camera.finished += 1
            camera.finished_clock_us = clock_us
            camera.closed_until_us = max(camera.closed_until_us, start_us + size_us)
        return rows

    def _rows(
        self, camera_id: str, start_us: int, window: OpenWindow, changes: Sequence[Thresholds]
    ) -> list[WindowRow]:
        end_us = start_us + self.clock.size_us
        scale = self.scale.at(start_us, changes) if changes else self.scale
        lanes = sorted(window.lanes.items())
        whole = lanes[0][1] if len(lanes) == 1 else union(lane for _, lane in lanes)
        rows = [whole.row(camera_id, None, start_us, end_us, scale)]
        rows += [lane.row(camera_id, lane_id, start_us, end_us, scale) for lane_id, lane in lanes if lane_id != NO_LANE]
        return rows

    def _track(self, camera: CameraState, time_us: int, detection: FrameDetection) -> float | None:
        """Remember where the vehicle is; estimate its speed when the detection has none."""
        centroid, box = detection.centroid, detection.bbox
        here: Sighting = (
            (time_us, centroid.x, centroid.y)
            if centroid is not None
            else (time_us, box.x + box.w / 2, box.y + box.h / 2)
        )
        before = camera.sightings.get(detection.vehicle_id)
        if before is None or before[0] < time_us:
            camera.sightings[detection.vehicle_id] = here
        if detection.speed_estimate is not None:
            return detection.speed_estimate
        camera.untracked_since_us = max(camera.untracked_since_us, time_us)
        return self.estimator.estimate_kmh(before, here)

    def _forget(self, camera: CameraState) -> None:
        """Drop vehicles unseen for long, and all of them once every detection has a speed again."""
        # an event of a window that is still open may lag this far: no sighting it could use is dropped
        lag_us = self.clock.lateness_us + self.clock.size_us
        oldest_us = camera.newest_us - lag_us - self.estimator.forget_after_us
        if camera.untracked_since_us < oldest_us:
            camera.untracked_since_us = 0
            camera.sightings.clear()
            return
        for vehicle_id in [v for v, sighting in camera.sightings.items() if sighting[0] < oldest_us]:
            del camera.sightings[vehicle_id]
