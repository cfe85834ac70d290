"""Signs that a camera is out of order: what it tells as ids, and when its windows come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from msgspec import Struct

from models.quality.sources import ObservedWindow, Reason
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.settings.quality import QualitySettings

#: Ids and lags are judged over this.
SPAN_US = 600 * MICROSECONDS_PER_SECOND
#: A topic that is given more partitions moves a camera once: so many moves are two producers with other partitioners.
_PARTITION_MOVES = 4
#: A median of fewer cameras says little.
_LEAST_CAMERAS = 5


class CameraSigns(Struct, array_like=True, gc=False):
    """What is remembered of a camera as a whole.

    Attributes:
        span: number of the ten minutes that are being counted.
        vehicles: in it so far, each window's.
        detections: likewise.
        least_lag_us: least time from the end of a window to its record, in it so far.
        lag_us: of the ten minutes before; None before there are any.
        lag_span: which ten minutes that was.
        lanes: of the newest window, in which something was counted.
        vehicles_now: of the newest window.
        one_id_since_us: since when there is one vehicle in several lanes; 0: there is not.
        partition: that its newest window came in; -1: none is known.
        other: that the newest window of another one came in; -1: there was none.
        moved_us: when that changed last, and the times before, the newest last.
    """

    span: int = -1
    vehicles: int = 0
    detections: int = 0
    least_lag_us: int = 0
    lag_us: int | None = None
    lag_span: int = -1
    lanes: int = 0
    vehicles_now: int = 0
    one_id_since_us: int = 0
    partition: int = -1
    other: int = -1
    moved_us: tuple[int, ...] = ()

    def come_in(self, partition: int, start_us: int) -> None:
        """A window came in a partition, be it a repeat of another one."""
        if partition != self.partition:
            if self.partition >= 0:
                self.other, self.moved_us = self.partition, (*self.moved_us, start_us)[-_PARTITION_MOVES:]
            self.partition = partition


@dataclass(frozen=True, slots=True)
class CameraRules:
    """The rules for cameras.

    Attributes:
        settings: in numbers.
    """

    settings: QualitySettings

    def signs(
        self, camera: CameraSigns, window: ObservedWindow, lag_us: int, others: Callable[[], Sequence[CameraSigns]]
    ) -> Iterator[tuple[Reason, str]]:
        """Take a camera's window in; what speaks against it, each with its evidence.

        Args:
            camera: is changed.
            window: newer than all before.
            lag_us: from its end to its record.
            others: tells all cameras of the partition, this one among them; asked once in ten minutes of a camera.
        """
        yield from self._partitions(camera, window)
        yield from self._one_id(camera, window)
        span = window.start_us // SPAN_US
        if span != camera.span:
            if camera.span >= 0:
                camera.lag_us, camera.lag_span = camera.least_lag_us, camera.span
                yield from self._churn(camera)
                yield from self._drift(camera, others())
            camera.span, camera.vehicles, camera.detections, camera.least_lag_us = span, 0, 0, lag_us
        camera.vehicles += window.vehicles
        camera.detections += window.detections
        camera.least_lag_us = min(camera.least_lag_us, lag_us)

    @staticmethod
    def _partitions(camera: CameraSigns, window: ObservedWindow) -> Iterator[tuple[Reason, str]]:
        """One camera's records in two partitions: its windows come in one and the other by turns."""
        moved_us = camera.moved_us
        if len(moved_us) == _PARTITION_MOVES and window.start_us - moved_us[0] <= SPAN_US:
            yield (
                "two_partitions",
                f"its windows come in partitions {camera.other} and {camera.partition} by turns: producers choose "
                "partitions in different ways, and its figures are split",
            )

    def _one_id(self, camera: CameraSigns, window: ObservedWindow) -> Iterator[tuple[Reason, str]]:
        """Judge the window before, whose lanes are known by now."""
        if camera.vehicles_now == 1 and camera.lanes > 1:
            camera.one_id_since_us = camera.one_id_since_us or window.start_us
        else:
            camera.one_id_since_us = 0
        lanes, camera.vehicles_now, camera.lanes = camera.lanes, window.vehicles, 0
        minutes = (window.start_us - camera.one_id_since_us) / MICROSECONDS_PER_SECOND / 60
        if camera.one_id_since_us and minutes >= self.settings.one_id_minutes:
            yield "one_id", f"one vehicle in {lanes} lanes at once, for {minutes:.0f} min"

    def _churn(self, camera: CameraSigns) -> Iterator[tuple[Reason, str]]:
        """At least so many were seen once: n vehicles with s of them seen once have at least 2n - s detections."""
        if camera.vehicles < self.settings.churn_vehicles:
            return
        share = 2 - camera.detections / camera.vehicles
        if share >= self.settings.churn_share:
            yield "id_churn", f"at least {share:.0%} of {camera.vehicles} vehicles seen in one picture only"

    def _drift(self, camera: CameraSigns, others: Sequence[CameraSigns]) -> Iterator[tuple[Reason, str]]:
        lags = [one.lag_us for one in others if one.lag_us is not None and abs(one.lag_span - camera.lag_span) <= 1]
        if camera.lag_us is None or len(lags) < _LEAST_CAMERAS:
            return
        drift_s = (camera.lag_us - median(lags)) / MICROSECONDS_PER_SECOND
        if abs(drift_s) >= self.settings.drift_seconds:
            direction = "behind" if drift_s > 0 else "ahead"
            yield "clock_drift", f"its clock is {abs(drift_s):.0f} s {direction} those of {len(lags)} cameras"
