"""What a window counts. One accumulator per lane; the camera's is their union."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from models.cameras.window_rows import FinishedWindow
from trafficapp.windows.congestion import CongestionScale
from trafficapp.windows.speed_sketch import counted, percentiles_of

#: Key of the accumulator for detections without a lane.
NO_LANE = -1

_SPEED_DECIMALS = 3
_RATIO_DECIMALS = 4
#: Buckets of more speeds are counted: the counts are shorter then.
_MOST_BUCKETS_LISTED = 200


class Accumulator(Struct, array_like=True):
    """Counts of one lane within one window.

    Attributes:
        detections: detections counted, each once.
        uncounted_speeds: how many of them had a speed that is not in `speeds_kmh`: of rows of a version before.
        uncounted_sum_kmh: sum of those speeds.
        stopped: how many of all speeds were below the stopped speed.
        vehicles: the class each distinct vehicle was first seen with.
        other_classes: further (vehicle, class) pairs of vehicles whose class changed.
        queue: distinct vehicles seen stopped.
        speeds_kmh: the speeds of detections, in their order; they are counted and summed up at the end.
    """

    detections: int = 0
    uncounted_speeds: int = 0
    uncounted_sum_kmh: float = 0.0
    stopped: int = 0
    vehicles: dict[str, str] = field(default_factory=dict)
    other_classes: set[tuple[str, str]] = field(default_factory=set)
    queue: set[str] = field(default_factory=set)
    speeds_kmh: list[float] = field(default_factory=list)
    # new fields go to the end: rows that were written without them must stay readable

    @property
    def speeds(self) -> int:
        """How many detections had a speed."""
        return self.uncounted_speeds + len(self.speeds_kmh)

    def row(
        self, camera_id: str, lane_id: int | None, start: str, end: str, scale: CongestionScale,
        pictures: int, buckets: list[int],
    ) -> FinishedWindow:  # fmt: skip
        """The final row of this accumulator.

        Args:
            camera_id: the camera.
            lane_id: the lane; None for all together.
            start: of the window, as it is written.
            end: likewise.
            scale: of the congestion score.
            pictures: so many were taken in the window.
            buckets: those of the speeds, ascending.
        """
        classes: dict[str, int] = {}
        for vehicle_class in self.vehicles.values():
            classes[vehicle_class] = classes.get(vehicle_class, 0) + 1
        for _, vehicle_class in self.other_classes:
            classes[vehicle_class] = classes.get(vehicle_class, 0) + 1
        if len(classes) > 1:
            classes = dict(sorted(classes.items()))
        count = len(self.vehicles)
        speeds_kmh, speeds = self.speeds_kmh, self.speeds
        mean_kmh = stopped_ratio = score = None
        if speeds:
            mean_kmh = (self.uncounted_sum_kmh + sum(speeds_kmh)) / speeds
            stopped_ratio = self.stopped / speeds
            score = scale.score(count, mean_kmh, stopped_ratio)
            mean_kmh, stopped_ratio = round(mean_kmh, _SPEED_DECIMALS), round(stopped_ratio, _RATIO_DECIMALS)
        # a window that was open when speeds began to be sketched has only some of them in its sketch
        if len(buckets) != speeds:
            buckets = []
        p15, p50, p85, p95 = percentiles_of(buckets)
        sketch = buckets if len(buckets) <= _MOST_BUCKETS_LISTED else counted(buckets)
        # by place, in the order of `WindowRow`: names take a third of a microsecond, and each row comes by here
        return FinishedWindow(
            camera_id, start, end, lane_id, count, classes, mean_kmh, stopped_ratio, len(self.queue),
            scale.level(score), score, self.detections, p15, p50, p85, p95, pictures=pictures, speed_counts=sketch,
        )  # fmt: skip


def union(lanes: Sequence[Accumulator]) -> Accumulator:
    """The accumulator of a camera from those of its lanes."""
    detections = uncounted_speeds = stopped = in_lanes = 0
    uncounted_sum_kmh = 0.0
    speeds_kmh: list[float] = []
    queue: set[str] = set()
    other_classes: set[tuple[str, str]] = set()
    for lane in lanes:
        detections += lane.detections
        uncounted_speeds += lane.uncounted_speeds
        uncounted_sum_kmh += lane.uncounted_sum_kmh
        stopped += lane.stopped
        in_lanes += len(lane.vehicles)
        speeds_kmh += lane.speeds_kmh
        queue |= lane.queue
        other_classes |= lane.other_classes
    vehicles: dict[str, str] = {}
    for lane in reversed(lanes):
        # the class in the first lane stays
        vehicles |= lane.vehicles
    if len(vehicles) < in_lanes:
        other_classes.update(pair for lane in lanes for pair in lane.vehicles.items())
    if other_classes:
        other_classes = {pair for pair in other_classes if vehicles[pair[0]] != pair[1]}
    return Accumulator(
        detections, uncounted_speeds, uncounted_sum_kmh, stopped, vehicles, other_classes, queue, speeds_kmh
    )
