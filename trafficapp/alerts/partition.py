"""All cameras of one partition of ``traffic.metrics``: finished windows in, steps of alerts and state rows out.

As with the windows, the state is a pure function of the partition's records up to `applied`, whatever the runs
in which they came. The topic may hold a window again at a later offset, after a crash of the worker that
finished it: windows of a camera come in the order of time, so one that is not newer than the last is a repeat.

That a camera was quiet is part of these records, too (docs/decisions/0014). What is heard of it on another topic lets
ends be told early, as the same bytes, and changes nothing of the state: it is `trafficapp.alerts.memory`, which may be
lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from models.alerts import AlertEvent
from models.cameras.quiet_cameras import QuietCamera
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.alerts.camera import Absence, CameraAlerts, CameraRules
from trafficapp.alerts.memory import HeardQuiet, Unwritten
from trafficapp.alerts.reading import FinishedWindow, NoWindowError, Record, read_window, record_time_us
from trafficapp.alerts.rules import Cause
from trafficapp.engine.forgetting import Forgetting
from trafficapp.engine.state_rows import (
    OFFSET_BYTES,
    UNTOLD,
    SourceLog,
    continued,
    decoded_row,
    partition_key,
    state_row,
)

logger = logging.getLogger(__name__)

_HOUR_US = 3600 * MICROSECONDS_PER_SECOND
_ABSENCE = Absence()


class _Applied(Struct, array_like=True):
    """The row of a partition.

    Attributes:
        applied: how far it was applied.
        looked_hour: hour since the epoch in which it was last looked which cameras are silent.
        looked_before_hour: the one before that.
        log_id, partitions: which log it is of, see `SourceLog`.
    """

    applied: int = -1
    looked_hour: int = -1
    looked_before_hour: int = -1
    log_id: str = ""
    partitions: int = 0
    # new fields go to the end: rows that were written without them must stay readable


_decode_camera = msgspec.msgpack.Decoder(CameraAlerts).decode
_decode_partition = msgspec.msgpack.Decoder(_Applied).decode


def decode_row(key: bytes, row: bytes) -> object:
    """What a state row says; raises one of `models.records.MALFORMED` on one that is none."""
    return decoded_row(key, row, _decode_camera, _decode_partition)


class PartitionAlerts:
    """The alerts of all cameras of one partition: their state, and what this process remembers beside it.

    Args:
        partition: its number.
        causes: what may raise an alert.
        max_gap_us: windows that begin further apart than this are not in a row.
        forget_us: an open alert is over when no window of known level followed the newest one for this long.
        rows: state rows to go on from, by key.
        log: which log the records are of.
        forget_cameras_us: a camera without windows for this long is forgotten, by the broker's clock.
        absence: when a camera may have been forgotten by those who finish windows.
        ahead_us: how far a window may end after its record was written; what lies farther ahead is left out.
        is_at_home: whether this is the partition that a camera's key leads to.

    Raises:
        OtherLog: the rows were made of another one.

    Attributes:
        applied: offset of the last record applied; -1 before the first.
        cameras: the state of each camera, by key.
    """

    def __init__(
        self,
        partition: int,
        causes: Sequence[Cause],
        max_gap_us: int,
        forget_us: int,
        rows: Mapping[bytes, bytes],
        log: SourceLog = UNTOLD,
        *,
        forget_cameras_us: int = 24 * _HOUR_US,
        absence: Absence = _ABSENCE,
        ahead_us: int = _HOUR_US,
        is_at_home: Callable[[bytes], bool] = lambda key: True,
    ) -> None:
        self._partition = partition
        self._rules = CameraRules(partition, is_at_home, tuple(causes), max_gap_us, forget_us, absence)
        self._ahead_us = ahead_us
        self._key = partition_key(partition)
        own = rows.get(self._key)
        partition_row = _Applied() if own is None else _decode_partition(own[OFFSET_BYTES:])
        self.applied = partition_row.applied
        self._log = continued(SourceLog(partition_row.log_id, partition_row.partitions), log)
        self._looked = Forgetting(forget_cameras_us, partition_row.looked_hour)
        self._looked_before = Forgetting(forget_cameras_us, partition_row.looked_before_hour)
        self.cameras = {key: _decode_camera(row[OFFSET_BYTES:]) for key, row in rows.items() if key != self._key}
        # what follows is no state, and may be lost
        self._heard = HeardQuiet()
        self._unwritten = Unwritten()
        for key in self._silent(self._looked_before, self.applied + 1):
            # a process that was frozen wrote it late: what was open has been told to be over since
            self._forget(key)

    def apply(self, records: Iterable[Record]) -> list[AlertEvent]:
        """Apply consecutive records; those that are applied already change nothing.

        Returns:
            the steps that they lead to, in order.
        """
        steps: list[AlertEvent] = []
        faults: list[str] = []
        for record in records:
            if record.offset <= self.applied:
                continue
            self.applied = record.offset
            window: FinishedWindow | None = None
            try:
                window = read_window(record, self._ahead_us)
            except NoWindowError as error:
                faults.append(f"offset {record.offset} is left out: {error}")
            # asked before cameras are looked through: that is part of this record, and not all of it
            is_due = window is not None and self._is_due(record.offset, window.key)
            record_us, looked_hour = record_time_us(record), self._looked.hour
            if record_us >= 0 and self._looked.is_due(record_us):
                self._looked_before.hour = looked_hour
                steps += self._look_through(record.offset, record_us)
            if window is not None and is_due:
                steps += self._apply(record.offset, record_us, window, faults)
        if faults:
            # one line for all: there may be many
            logger.warning(
                "partition %d of finished windows has %d that cannot be, the first one: %s",
                *(self._partition, len(faults), faults[0]),
            )
        return steps

    def hear(self, quiet: Iterable[QuietCamera]) -> None:
        """Take note of cameras that finish no more windows, until `early_ends` tells what comes of it."""
        for one in quiet:
            self._heard.hear(one, self.cameras.get(one.camera_id.encode()))

    def early_ends(self) -> list[AlertEvent]:
        """The ends of open alerts that the next window of a quiet camera will lead to, told before it comes.

        The state stays as it is: the next window leads to the same steps again. A camera is left for later
        as long as not all of its windows were applied, and for good when it has newer ones.
        """
        quiet = self._heard.take(self.cameras, self.applied)
        return [step for camera_id, camera in quiet for step in self._rules.ends(camera_id, camera)]

    @property
    def is_waiting(self) -> bool:
        """Whether cameras were told to be quiet of which windows are missing here."""
        return self._heard.is_waiting

    def wait_until(self, end_offset: int) -> None:
        """Nothing that was heard speaks of windows at this offset or behind it."""
        self._heard.wait_until(end_offset, self.applied)

    def changed_rows(self) -> list[tuple[bytes, bytes]]:
        """State rows that changed since the last call: cameras, the partition's row, then those of forgotten ones."""
        own = _Applied(self.applied, self._looked.hour, self._looked_before.hour, *self._log)
        return self._unwritten.rows(self.cameras, (self._key, state_row(self.applied, own)), self.applied)

    def all_rows(self) -> list[tuple[bytes, bytes]]:
        """All state rows, in the same order."""
        self._unwritten.all_changed(self.cameras)
        return self.changed_rows()

    def _is_due(self, offset: int, key: bytes) -> bool:
        """Whether a record is not part of its camera's row yet, which may be ahead of the partition's."""
        camera = self.cameras.get(key)
        return camera is None or offset > camera.offset

    def _apply(self, offset: int, record_us: int, window: FinishedWindow, faults: list[str]) -> list[AlertEvent]:
        key = window.key
        camera = self.cameras.get(key)
        if camera is None:
            camera = self.cameras[key] = self._rules.met(window)
        elif not self._rules.is_next(camera, window):
            return []
        if window.after_quiet_us not in (None, camera.seen_end_us):
            faults.append(f"offset {offset}: {window.row.camera_id} was not told to be quiet at its newest window")
        steps = self._rules.take_in(camera, offset, record_us, window)
        self._heard.window_applied(key)
        self._unwritten.changed(key)
        return steps

    def _look_through(self, offset: int, record_us: int) -> list[AlertEvent]:
        """End what is open at cameras without windows for long; forget those that were silent the last time already.

        After an outage all of them are silent. What comes next may be windows that were sent before, or the next ones,
        and must find its camera as it was.
        """
        for key in self._silent(self._looked_before, offset):
            self._forget(key)
        steps: list[AlertEvent] = []
        for key in sorted(self._silent(self._looked, offset)):
            camera = self.cameras[key]
            if camera.has_open:
                steps += self._rules.end_all(key.decode(), camera)
                camera.offset = offset
                self._unwritten.changed(key)
        for key, camera in self.cameras.items():
            if camera.heard_us < 0 and camera.offset < offset:
                # its row does not tell: the time begins now
                camera.offset, camera.heard_us = offset, record_us
                self._unwritten.changed(key)
        return steps

    def _silent(self, looked: Forgetting, offset: int) -> list[bytes]:
        """Cameras that were silent when it was looked; rows that are ahead of a record say what comes later."""
        return [
            key
            for key, camera in self.cameras.items()
            if camera.offset < offset and camera.heard_us >= 0 and looked.is_silent(camera.heard_us)
        ]

    def _forget(self, key: bytes) -> None:
        del self.cameras[key]
        self._unwritten.forgotten(key)
