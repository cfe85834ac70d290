"""What a window counts. One accumulator per lane; the camera's is their union."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from models.cameras.window_rows import FinishedWindow
from models.timestamps import rfc3339
from trafficapp.windows.congestion import CongestionScale
from trafficapp.windows.speed_sketch import NO_SPEEDS, Sketch

#: Key of the accumulator for detections without a lane.
NO_LANE = -1

_SPEED_DECIMALS = 3
_RATIO_DECIMALS = 4


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
        self, camera_id: str, lane_id: int | None, start_us: int, end_us: int, scale: CongestionScale,
        pictures: int = 0, sketch: Sketch = NO_SPEEDS,
    ) -> FinishedWindow:  # fmt: skip
        """The final row of this accumulator, of a window with so many pictures and the sketch of these speeds."""
        classes: dict[str, int] = {}
        for vehicle_class in self.vehicles.values():
            classes[vehicle_class] = classes.get(vehicle_class, 0) + 1
        for _, vehicle_class in self.other_classes:
            classes[vehicle_class] = classes.get(vehicle_class, 0) + 1
        count = len(self.vehicles)
        speeds = self.speeds
        mean = (self.uncounted_sum_kmh + sum(self.speeds_kmh)) / speeds if speeds else None
        stopped_ratio = self.stopped / speeds if speeds else None
        score = scale.score(count, mean, stopped_ratio)
        # a window that was open when speeds began to be sketched has only some of them in its sketch
        if sketch.speeds != speeds:
            sketch = NO_SPEEDS
        p15, p50, p85, p95 = sketch.percentiles
        return FinishedWindow(
            camera_id=camera_id,
            window_start=rfc3339(start_us),
            window_end=rfc3339(end_us),
            lane_id=lane_id,
            vehicle_count=count,
            counts_by_class=dict(sorted(classes.items())) if len(classes) > 1 else classes,
            avg_speed_kmh=None if mean is None else round(mean, _SPEED_DECIMALS),
            stopped_ratio=None if stopped_ratio is None else round(stopped_ratio, _RATIO_DECIMALS),
            queue_length=len(self.queue),
            congestion_level=scale.level(score),
            congestion_score=score,
            detections=self.detections,
            p15_speed_kmh=p15,
            p50_speed_kmh=p50,
            p85_speed_kmh=p85,
            p95_speed_kmh=p95,
            pictures=pictures,
            speed_counts=sketch.counts,
        )


def union(accumulators: Iterable[Accumulator]) -> Accumulator:
    """The accumulator of a camera from those of its lanes."""
    total = Accumulator()
    for lane in accumulators:
        total.detections += lane.detections
        total.uncounted_speeds += lane.uncounted_speeds
        total.uncounted_sum_kmh += lane.uncounted_sum_kmh
        total.speeds_kmh += lane.speeds_kmh
        total.stopped += lane.stopped
        total.queue |= lane.queue
        total.other_classes |= lane.other_classes
        before = total.vehicles
        # those that were there stay
        total.vehicles = lane.vehicles | before
        if len(total.vehicles) < len(before) + len(lane.vehicles):
            classes = lane.vehicles
            total.other_classes.update(
                (vehicle_id, classes[vehicle_id])
                for vehicle_id in before.keys() & classes.keys()
                if before[vehicle_id] != classes[vehicle_id]
            )
    if total.other_classes:
        total.other_classes = {pair for pair in total.other_classes if total.vehicles[pair[0]] != pair[1]}
    return total
