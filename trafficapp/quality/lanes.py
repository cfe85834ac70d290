"""Signs that a lane is out of order, window by window; after IRIS's rules for detectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import Struct

from models.quality.sources import ObservedWindow, Reason
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.settings.quality import QualitySettings

#: IRIS's bin.
BIN_US = 30 * MICROSECONDS_PER_SECOND
_MINUTE_US = 60 * MICROSECONDS_PER_SECOND
#: So many windows in a row with a speed that cannot be.
_FAST_WINDOWS = 3


class LaneSigns(Struct, array_like=True, gc=False):
    """What is remembered of a lane.

    Attributes:
        bin: number of the 30 s that are being counted.
        vehicles: in it so far, in windows in which they moved.
        present: in it so far, in all windows.
        windows: in it so far.
        crowded: bins running with too many.
        before: mean vehicles a window of the bin before; -1: none.
        spiked_s: seconds for spikes, see `QualitySettings.spike_seconds`.
        same: vehicles, detections and speed of the newest window.
        same_since_us: since when they are the same.
        standing_since_us: since when as many stand; 0: they do not.
        fast: windows in a row with a speed that cannot be.
    """

    bin: int = -1
    vehicles: int = 0
    present: int = 0
    windows: int = 0
    crowded: int = 0
    before: float = -1.0
    spiked_s: int = 0
    same: tuple[int, int, float | None] = (0, 0, None)
    same_since_us: int = 0
    standing_since_us: int = 0
    fast: int = 0


@dataclass(frozen=True, slots=True)
class LaneRules:
    """The rules for lanes.

    Attributes:
        settings: in numbers.
    """

    settings: QualitySettings

    def signs(self, lane: LaneSigns, window: ObservedWindow, before_end_us: int) -> Iterator[tuple[Reason, str]]:
        """Take a window in; what speaks against the lane, each with its evidence.

        Args:
            lane: is changed.
            window: newer than all before.
            before_end_us: end of the lane's window before; what follows it without a gap goes on with it.
        """
        settings, is_next = self.settings, window.start_us == before_end_us
        yield from self._bins(lane, window)
        same = window.vehicles, window.detections, window.speed_kmh
        is_standing = window.stopped_ratio == 1.0
        if not (is_next and is_standing and same[0] == lane.same[0]):
            lane.standing_since_us = 0
        if is_standing and not lane.standing_since_us:
            lane.standing_since_us = window.start_us
        if not is_next or same != lane.same:
            lane.same, lane.same_since_us = same, window.start_us
        stood_us, same_us = window.end_us - lane.standing_since_us, window.end_us - lane.same_since_us
        if is_standing and stood_us >= settings.locked_on_minutes * _MINUTE_US:
            yield "locked_on", f"{same[0]} vehicles, all standing, for {stood_us / _MINUTE_US:.0f} min"
        if same[2] and same_us >= settings.no_change_minutes * _MINUTE_US:
            yield (
                "no_change",
                f"{same[1]} detections at {same[2]:g} km/h in each window for {same_us / _MINUTE_US:.0f} min",
            )
        lane.fast = lane.fast + 1 if (same[2] or 0.0) > settings.most_kmh else 0
        if lane.fast >= _FAST_WINDOWS:
            yield "impossible_speed", f"mean speed of {same[2]:g} km/h, above {settings.most_kmh:g}"

    def _bins(self, lane: LaneSigns, window: ObservedWindow) -> Iterator[tuple[Reason, str]]:
        # longer windows are a bin each
        bin_us = max(BIN_US, window.end_us - window.start_us)
        settings, number = self.settings, window.start_us // bin_us
        if number != lane.bin:
            if lane.windows:
                yield from self._bin_over(lane, bin_us)
            if number != lane.bin + 1:
                # nothing was counted in between: those bins were empty
                gone_s = (number - lane.bin - 1) * bin_us // MICROSECONDS_PER_SECOND if lane.bin >= 0 else 0
                lane.crowded, lane.before, lane.spiked_s = 0, -1.0, max(lane.spiked_s - gone_s, 0)
            lane.bin, lane.vehicles, lane.present, lane.windows = number, 0, 0, 0
        if window.speed_kmh is None or window.speed_kmh >= settings.chatter_moving_kmh:
            lane.vehicles += window.vehicles
        if 2 - window.detections / max(window.vehicles, 1) < settings.churn_share:
            lane.present += window.vehicles
        else:
            # ids are not kept: that is a fault of its own, and how many vehicles there are is not known
            lane.before = -1.0
        lane.windows += 1

    def _bin_over(self, lane: LaneSigns, bin_us: int) -> Iterator[tuple[Reason, str]]:
        settings, seconds = self.settings, bin_us // MICROSECONDS_PER_SECOND
        most = settings.chatter_vehicles * bin_us / BIN_US
        lane.crowded = lane.crowded + 1 if lane.vehicles >= most else 0
        if lane.crowded >= 2:
            yield "chatter", f"{lane.vehicles} vehicles in {seconds} s, {lane.crowded} times running"
        mean = lane.present / lane.windows
        is_spike = lane.before >= 0 and lane.present > 0 and abs(mean - lane.before) >= settings.spike_vehicles
        lane.spiked_s = max(lane.spiked_s + (seconds if is_spike else -seconds), 0)
        if lane.spiked_s > settings.spike_seconds:
            yield "spike", f"from {lane.before:.0f} to {mean:.0f} vehicles a window within {seconds} s, again and again"
        lane.before = mean if lane.present else -1.0
