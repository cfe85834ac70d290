"""What a process remembers of a partition's alerts beside their state. All of it may be lost at any time.

The state is what the log of finished windows says, and any worker has the same. What is here differs from worker to
worker, so no step and no row may depend on it but for when it is sent:

- `HeardQuiet`: which cameras were told to be quiet. Lost, an end is told by the next window of its camera, or when the
  camera is forgotten: the same step, byte for byte, only later. Who takes over hears of all of them again.
- `Unwritten`: whose state rows are to be written. Lost, the rows that were written are older, and the records behind
  them are applied again by who takes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from models.cameras.quiet_cameras import QuietCamera
from trafficapp.alerts.camera import CameraAlerts
from trafficapp.engine.state_rows import forgotten_row, state_row


class HeardQuiet:
    """What was heard of quiet cameras, as long as their alerts may have something to tell of it.

    A camera whose windows were not all applied is remembered until they are. One that has newer windows, or no open
    alert, is not remembered at all: there may be many.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, int] = {}
        self._ripe: dict[bytes, None] = {}
        self._until: int | None = None

    def hear(self, one: QuietCamera, camera: CameraAlerts | None) -> None:
        """Take note of a quiet camera; ``camera`` is what is known of its alerts."""
        key, end_us = one.camera_id.encode(), one.newest_window_end_us
        if camera is None or camera.seen_end_us < end_us:
            self._waiting[key] = max(self._waiting.get(key, -1), end_us)
            self._until = None
        elif camera.seen_end_us == end_us and camera.has_open and self._waiting.setdefault(key, end_us) == end_us:
            self._ripe[key] = None

    def window_applied(self, key: bytes) -> None:
        """A camera has a window more."""
        if key in self._waiting:
            self._ripe[key] = None

    def take(self, cameras: Mapping[bytes, CameraAlerts], applied: int) -> list[tuple[str, CameraAlerts]]:
        """The cameras all of whose windows were applied since the last call, and no newer ones.

        Args:
            cameras: what is known of alerts, by key.
            applied: offset of the last window that was applied.
        """
        found = []
        for key in self._ripe:
            camera, end_us = cameras.get(key), self._waiting[key]
            if camera is None or camera.seen_end_us < end_us:
                continue
            del self._waiting[key]
            if camera.seen_end_us == end_us:
                found.append((key.decode(), camera))
        self._ripe.clear()
        self._forget(applied)
        return found

    @property
    def is_waiting(self) -> bool:
        """Whether windows are missing that something which was heard speaks of."""
        return bool(self._waiting)

    def wait_until(self, end_offset: int, applied: int) -> None:
        """All that was heard speaks of windows before this offset: once that was reached, none of it will be true."""
        self._until = end_offset
        self._forget(applied)

    def _forget(self, applied: int) -> None:
        if self._until is not None and applied + 1 >= self._until:
            self._waiting.clear()


class Unwritten:
    """Which cameras changed, and which were forgotten, since state rows were made last."""

    def __init__(self) -> None:
        self._changed: set[bytes] = set()
        self._forgotten: set[bytes] = set()

    def changed(self, key: bytes) -> None:
        """A camera changed, or is new."""
        self._changed.add(key)
        self._forgotten.discard(key)

    def all_changed(self, keys: Iterable[bytes]) -> None:
        """All cameras are to be written again."""
        self._changed.update(keys)

    def forgotten(self, key: bytes) -> None:
        """A camera was forgotten."""
        self._changed.discard(key)
        self._forgotten.add(key)

    def rows(
        self, cameras: Mapping[bytes, CameraAlerts], partition_row: tuple[bytes, bytes], applied: int
    ) -> list[tuple[bytes, bytes]]:
        """The rows of what changed, the partition's, and those of what was forgotten; nothing is unwritten then."""
        rows = [(key, state_row(cameras[key].offset, cameras[key])) for key in sorted(self._changed)]
        rows.append(partition_row)
        rows += [(key, forgotten_row(applied)) for key in sorted(self._forgotten)]
        self._changed.clear()
        self._forgotten.clear()
        return rows
