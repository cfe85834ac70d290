"""The oracle of the windows, for logs of millions of detections: it looks things up that the other one walks through.

Every rule is that of `tests.windows.oracle.Oracle`; only where something is found again is remembered. The tests hold
the two against each other.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from tests.windows.entries import Picture, Seen, Tick
from tests.windows.oracle import TICK_US, Camera, Counted, Moment, Oracle, identity_of


class _Open(list[Counted]):
    """Detections of windows that are not final."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: set[int] = set()
        self.identities: set[tuple[int, Hashable]] = set()

    def append(self, one: Counted) -> None:
        super().append(one)
        self.starts.add(one.start_us)
        self.identities.add((one.start_us, one.identity))

    def drop(self, starts: set[int]) -> None:
        """Forget final windows: nothing is counted in them any more, and nobody asks for them."""
        kept = [one for one in self if one.start_us not in starts]
        self.clear()
        self.starts.clear()
        self.identities.clear()
        for one in kept:
            self.append(one)


@dataclass
class QuickOracle(Oracle):
    """Reads a log entry by entry."""

    _clocks: list[int] = field(default_factory=list)

    def _new_camera(self, moment: Moment) -> Camera:
        camera = super()._new_camera(moment)
        camera.counted = _Open()
        return camera

    def _is_known(self, camera: Camera, picture: Picture, seen: Seen) -> bool:
        assert isinstance(camera.counted, _Open)
        return (self._start_us(picture), identity_of(picture, seen)) in camera.counted.identities

    def _open_starts(self, camera: Camera) -> list[int]:
        assert isinstance(camera.counted, _Open)
        return sorted(start_us for start_us in camera.counted.starts if not self._is_final(camera, start_us))

    def _finish(self, offset: int, camera_id: str, camera: Camera) -> None:
        assert isinstance(camera.counted, _Open)
        final = {start_us for start_us in camera.counted.starts if self._is_final(camera, start_us)}
        if final:
            super()._finish(offset, camera_id, camera)
            camera.counted.drop(final)

    def _speed_kmh(self, camera: Camera, picture: Picture, seen: Seen) -> float | None:
        if seen.speed_kmh is not None and camera.lacking_us is None:
            return seen.speed_kmh  # nothing that could be forgotten
        return super()._speed_kmh(camera, picture, seen)

    def _tick(self, offset: int, tick: Tick) -> None:
        moved = 0
        if self.ticks:
            moved = min(max(tick.record_ms * 1000 - self.ticks[-1], 0), TICK_US)
        self._clocks.append((self._clocks[-1] if self._clocks else 0) + moved)
        super()._tick(offset, tick)

    def _clock_us(self, ticks: int) -> int:
        return self._clocks[ticks - 1] if ticks else 0
