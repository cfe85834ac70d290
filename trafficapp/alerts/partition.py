"""All cameras of one partition of ``traffic.metrics``: finished windows in, steps of alerts and state rows out.

As with the windows, the state is a pure function of the partition's records up to `applied`, whatever the runs
in which they came. The topic may hold a window again at a later offset, after a crash of the worker that
finished it: windows of a camera come in the order of time, so one that is not newer than the last is a repeat.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct, field

from models.alerts import AlertEvent
from models.detections import UNDECODABLE
from models.quiet_cameras import QuietCamera
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from models.window_rows import WindowRow, decode_window_row
from trafficapp.alerts.lifecycle import CauseState, advance, ended_unseen
from trafficapp.alerts.rules import Cause
from trafficapp.state_rows import (
    OFFSET_BYTES,
    PARTITION_KEY_PREFIX,
    UNTOLD,
    SourceLog,
    continued,
    partition_key,
    state_row,
)

logger = logging.getLogger(__name__)


class Record(Protocol):
    """What is read of a Kafka record."""

    offset: int
    value: bytes | None


class CameraAlerts(Struct, array_like=True):
    """Everything known of one camera's alerts.

    Attributes:
        offset: offset of the last record that was applied.
        newest_us: start of the newest window that was counted, -1 before the first. A window of unknown level
            is never counted.
        causes: by alert type.
        newest_end_us: end of the newest window that was counted.
        seen_end_us: end of the newest window of any level.
    """

    offset: int = -1
    newest_us: int = -1
    causes: dict[str, CauseState] = field(default_factory=dict)
    # new fields go to the end: rows that were written without them must stay readable
    newest_end_us: int = -1
    seen_end_us: int = -1


class _Applied(Struct, array_like=True):
    """The row of a partition: how far it was applied, and the id of the topic that is meant by it."""

    applied: int = -1
    log_id: str = ""


_decode_camera = msgspec.msgpack.Decoder(CameraAlerts).decode
_decode_partition = msgspec.msgpack.Decoder(_Applied).decode


def decode_row(key: bytes, row: bytes) -> object:
    """What a state row says; raises one of `models.records.MALFORMED` on one that is none."""
    state = row[OFFSET_BYTES:]
    return _decode_partition(state) if key.startswith(PARTITION_KEY_PREFIX) else (key.decode(), _decode_camera(state))


class PartitionAlerts:
    """The alerts of all cameras of one partition.

    Args:
        partition: its number.
        causes: what may raise an alert.
        max_gap_us: windows that begin further apart than this are not in a row.
        forget_us: an open alert is over when no window of known level followed the newest one for this long.
        rows: state rows to go on from, by key.
        log: which log the records are of.

    Raises:
        OtherLog: the rows were made of another one.
    """

    def __init__(
        self,
        partition: int,
        causes: Sequence[Cause],
        max_gap_us: int,
        forget_us: int,
        rows: Mapping[bytes, bytes],
        log: SourceLog = UNTOLD,
    ) -> None:
        self._causes = tuple(causes)
        self._max_gap_us = max_gap_us
        self._forget_us = forget_us
        self._key = partition_key(partition)
        self._dirty: set[bytes] = set()
        # both only in memory: they say what was told early, and nothing of what is so
        self._quiet: dict[bytes, int] = {}
        self._told_early: set[bytes] = set()
        own = rows.get(self._key)
        partition_row = _Applied() if own is None else _decode_partition(own[OFFSET_BYTES:])
        self.applied = partition_row.applied
        self._log = continued(SourceLog(partition_row.log_id), log)
        self.cameras = {key: _decode_camera(row[OFFSET_BYTES:]) for key, row in rows.items() if key != self._key}

    def apply(self, records: Iterable[Record]) -> list[AlertEvent]:
        """Apply consecutive records; those that are applied already change nothing.

        Returns:
            the steps that they lead to, in order.
        """
        steps: list[AlertEvent] = []
        for record in records:
            if record.offset <= self.applied:
                continue
            self.applied = record.offset
            try:
                row = decode_window_row(record.value)  # type: ignore[arg-type]
                if row.lane_id is not None:
                    continue
                start_us, end_us = epoch_us(row.window_start), epoch_us(row.window_end)
            except (*UNDECODABLE, ValueError, OverflowError) as error:
                logger.warning("offset %d of finished windows is none: %s", record.offset, error)
                continue
            steps += self._apply(record.offset, row, start_us, end_us)
        return steps

    def hear(self, quiet: Iterable[QuietCamera]) -> None:
        """Remember cameras that finish no more windows, until `early_ends` tells what comes of it."""
        for one in quiet:
            key = one.camera_id.encode()
            self._quiet[key] = max(self._quiet.get(key, -1), one.newest_window_end_us)

    def early_ends(self) -> list[AlertEvent]:
        """The ends of open alerts that the next window of a quiet camera would lead to, told before it comes.

        The state stays as it is: the next window leads to the same steps again. A camera is left for later
        as long as not all of its windows were applied, and for good when it has newer ones.
        """
        steps: list[AlertEvent] = []
        for key, end_us in list(self._quiet.items()):
            camera = self.cameras.get(key)
            if camera is None or camera.seen_end_us < end_us:
                continue
            del self._quiet[key]
            ends = self._ends(key.decode(), camera) if camera.seen_end_us == end_us else []
            if ends:
                self._told_early.add(key)
            steps += ends
        return steps

    def changed_rows(self) -> list[tuple[bytes, bytes]]:
        """State rows that changed since the last call: cameras first, the partition's row last."""
        rows = [(key, state_row(self.cameras[key].offset, self.cameras[key])) for key in sorted(self._dirty)]
        self._dirty.clear()
        rows.append((self._key, state_row(self.applied, _Applied(self.applied, self._log.id))))
        return rows

    def all_rows(self) -> list[tuple[bytes, bytes]]:
        """All state rows, in the same order."""
        self._dirty.update(self.cameras)
        return self.changed_rows()

    def _apply(self, offset: int, row: WindowRow, start_us: int, end_us: int) -> list[AlertEvent]:
        key = row.camera_id.encode()
        camera = self.cameras.get(key)
        if camera is None:
            camera = self.cameras[key] = CameraAlerts()
        if offset <= camera.offset or end_us <= camera.seen_end_us or start_us <= camera.newest_us:
            # in the camera's row already, or a window that was sent again
            return []
        unseen_us = start_us - max(camera.newest_end_us, camera.newest_us)
        # an end that was told early holds even if the camera's clock stood still meanwhile
        forgotten = unseen_us >= self._forget_us or key in self._told_early
        self._told_early.discard(key)
        steps = self._ends(row.camera_id, camera) if forgotten else []
        if forgotten:
            camera.causes = {}
        camera.offset, camera.seen_end_us = offset, end_us
        self._dirty.add(key)
        if row.congestion_level == "UNKNOWN":
            return steps
        gap = start_us - camera.newest_us > self._max_gap_us
        camera.newest_us, camera.newest_end_us = start_us, end_us
        for cause in self._causes:
            state = camera.causes.get(cause.alert_type)
            if state is None:
                state = camera.causes[cause.alert_type] = CauseState()
            step = advance(cause, state, row, start_us, end_us, gap=gap)
            if step is not None:
                steps.append(step)
        return steps

    def _ends(self, camera_id: str, camera: CameraAlerts) -> list[AlertEvent]:
        """The ends of a camera's open alerts, at the moment that follows from its newest window of known level."""
        ended_us = max(camera.newest_end_us, camera.newest_us) + self._forget_us
        unseen_seconds = self._forget_us / MICROSECONDS_PER_SECOND
        steps = []
        for cause in self._causes:
            state = camera.causes.get(cause.alert_type, CauseState())
            step = ended_unseen(cause, state, camera_id, ended_us, unseen_seconds)
            if step is not None:
                steps.append(step)
        return steps
