"""Records of ``traffic.metrics`` as the alerts read them: finished windows of whole cameras.

The topic is ours, but whatever stands there must not end a worker, nor silence a camera for long: what cannot be a
window is told and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from models.cameras.detections import UNDECODABLE
from models.cameras.quiet_cameras import AFTER_QUIET_HEADER
from models.cameras.window_rows import WindowRow, decode_window_row
from models.timestamps import epoch_us, rfc3339

#: Of a record that the broker stamped.
_LOG_APPEND_TIME = 1

#: No camera has a longer name (`models.cameras.detections.Identifier`): an alert of one would not fit into a record.
_MAX_CAMERA_ID = 256

#: The largest whole number that a state row holds.
_MAX_COUNT = 2**63 - 1

#: 9999-01-01: what follows from a window before it is a date, too.
_TIMES_END_US = 253_370_764_800 * 1_000_000

#: Stands for a moment that cannot be read: no window ends there.
_UNREADABLE_US = -2
_MAX_DIGITS = 18

#: So much of what is wrong is told: it may quote what came.
_MAX_TOLD = 200


class Record(Protocol):
    """What is read of a Kafka record; ``timestamp`` is milliseconds since the epoch, its type 1 when the broker's."""

    offset: int
    timestamp: int
    timestamp_type: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class NoWindowError(ValueError):
    """A record that is no finished window."""


class FinishedWindow(Struct, frozen=True, gc=False):
    """A finished window of a whole camera.

    Attributes:
        key: the camera, as its state row is named.
        start_us, end_us: microseconds since the epoch.
        after_quiet_us: end of the newest window before, when the camera was told to be quiet after it; below -1 when
            that cannot be read, None when nothing is said.
    """

    row: WindowRow
    key: bytes
    start_us: int
    end_us: int
    after_quiet_us: int | None


def record_time_us(record: Record) -> int:
    """When the broker appended a record, microseconds since the epoch; -1 when another clock stamped it."""
    return record.timestamp * 1000 if record.timestamp_type == _LOG_APPEND_TIME else -1


def read_window(record: Record, ahead_us: int) -> FinishedWindow | None:
    """Read a record.

    Args:
        record: of ``traffic.metrics``.
        ahead_us: how far a window may end after its record was written, by the broker's clock.

    Returns:
        the window, None when it is that of a lane.

    Raises:
        NoWindowError: it is none, or one that cannot be.
    """
    try:
        row = decode_window_row(record.value)  # type: ignore[arg-type]
        if row.lane_id is not None:
            return None
        start_us, end_us, key = epoch_us(row.window_start), epoch_us(row.window_end), row.camera_id.encode()
    except (*UNDECODABLE, ValueError, OverflowError) as error:
        raise NoWindowError(str(error)[:_MAX_TOLD]) from None
    if not 0 <= start_us < end_us <= _TIMES_END_US:
        raise NoWindowError(f"there is no window from {start_us} us to {end_us} us")
    record_us = record_time_us(record)
    if 0 <= record_us < end_us - ahead_us:
        raise NoWindowError(f"the window that ends at {rfc3339(end_us)} was not over when it was written")
    if not 0 < len(row.camera_id) <= _MAX_CAMERA_ID or row.camera_id[0] == "\0":
        raise NoWindowError(f"there is no camera {row.camera_id[:20]!r}")
    if not (0 <= row.vehicle_count <= _MAX_COUNT and 0 <= row.queue_length <= _MAX_COUNT):
        raise NoWindowError("a count is out of range")
    return FinishedWindow(row, key, start_us, end_us, _after_quiet_us(record) if record.headers else None)


def _after_quiet_us(record: Record) -> int | None:
    for name, value in record.headers:
        if name == AFTER_QUIET_HEADER:
            readable = value is not None and len(value) <= _MAX_DIGITS and value.isdigit()
            return int(value) if readable else _UNREADABLE_US  # type: ignore[arg-type]
    return None
