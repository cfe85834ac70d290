"""What is known of a camera, as it stands in its state row."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec import field as struct_field

from trafficapp.alerts.silence import Silence
from trafficapp.windows.accumulator import Accumulator
from trafficapp.windows.holding import WINDOW_BYTES, place_bytes
from trafficapp.windows.speed import Sighting


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
    # new fields go to the end: rows that were written without them must stay readable


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

    def hold(self, size: int) -> None:
        """Count bytes that places of vehicles take more, or less when it is negative."""
        self.tracked_bytes += size
        self.held_bytes += size

    def was_known(self, offset: int) -> bool:
        """Whether the camera was known when a record came."""
        return self.first_offset <= offset or any(first <= offset < end for first, end in self.known_before)


def count_held(camera: CameraState) -> None:
    """Count what is held of a camera whose row does not tell."""
    names = [*camera.sightings, *(vehicle_id for vehicle_id, *_ in camera.waiting_places)]
    camera.tracked_bytes = sum(place_bytes(name) for name in names)
    for window in camera.windows.values():
        window.held_bytes = window.held_bytes or len(msgspec.msgpack.encode(window)) + WINDOW_BYTES
    camera.held_bytes = camera.tracked_bytes + sum(window.held_bytes for window in camera.windows.values())
