"""The newest window of every camera, put together from its rows without decoding more than must be known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from models.cameras.detections import Identifier
from models.cameras.window_rows import Level
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us, rfc3339
from trafficapp.stores.redis.connection import LANES_MARK, document

_LaneId = Annotated[int, Meta(ge=0, le=32_767)]
_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Ratio = Annotated[float, Meta(ge=0, le=1)]
_Speed = Annotated[float, Meta(ge=0, le=1e6)]

#: As long as ``windows.size_seconds`` may be.
_LONGEST_WINDOW_US = 3_600 * MICROSECONDS_PER_SECOND

_NO_LANES: Mapping[int, bytes] = {}


class _Row(Struct, gc=False):
    """A `models.cameras.window_rows.WindowRow` whose values are what they may be; it has all of its fields."""

    camera_id: Identifier
    window_start: str
    window_end: str
    lane_id: _LaneId | None
    vehicle_count: _Count
    counts_by_class: dict[str, int]
    avg_speed_kmh: _Speed | None
    stopped_ratio: _Ratio | None
    queue_length: _Count
    congestion_level: Level
    congestion_score: _Ratio | None
    detections: _Count
    p15_speed_kmh: _Speed | None = None
    p50_speed_kmh: _Speed | None = None
    p85_speed_kmh: _Speed | None = None
    p95_speed_kmh: _Speed | None = None


class _BareRow(_Row, gc=False, forbid_unknown_fields=True):
    """The same as the topic has it, without any other fields: what sums are made of is not for people."""

    pictures: Raw | UnsetType = UNSET
    speed_counts: Raw | UnsetType = UNSET


class _Head(Struct, gc=False):
    camera_id: str
    window_start: str
    window_end: str
    lane_id: int | None


class RowHead(Struct, gc=False, frozen=True):
    """What must be known of a row to place it; times are microseconds since the epoch."""

    camera_id: str
    start_us: int
    end_us: int
    lane_id: int | None


class _CurrentDocument(Struct):
    camera_id: str
    window_start: str
    window_end: str
    lanes: list[msgspec.Raw] = msgspec.field(default_factory=list)


decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_bare_row = msgspec.json.Decoder(_BareRow).decode
_decode_row = msgspec.json.Decoder(_Row).decode
_encode_row = msgspec.json.Encoder().encode
_decode_document = msgspec.json.Decoder(_CurrentDocument).decode


@lru_cache(maxsize=4096)
def _time_us(text: str) -> int:
    """Microseconds since the epoch; one object for all rows of a window, of which many may be kept."""
    return epoch_us(text)


@lru_cache(maxsize=4096)
def _is_written_as_ours(text: str) -> bool:
    return rfc3339(epoch_us(text)) == text


def decode_head(row: bytes | msgspec.Raw) -> RowHead:
    """The head of a row that a sink has published.

    Raises:
        Exception: one of `models.records.MALFORMED`.
    """
    head = _decode_head(row)
    return RowHead(head.camera_id, _time_us(head.window_start), _time_us(head.window_end), head.lane_id)


def read_row(value: bytes | None) -> tuple[RowHead, bytes]:
    """Read what should be a row; what it says besides the fields of a row is left out.

    Returns:
        its head, and the row as JSON that can be spliced into a document.

    Raises:
        Exception: it is no row: one of `models.records.MALFORMED`.
    """
    value, is_bare = (value or b"").strip(), True
    try:
        row: _Row = _decode_bare_row(value)
    except msgspec.ValidationError:
        row, is_bare = _decode_row(value), False
    if isinstance(row, _BareRow) and (row.pictures is not UNSET or row.speed_counts is not UNSET):
        row.pictures = row.speed_counts = UNSET
        is_bare = False
    start, end = row.window_start, row.window_end
    head = RowHead(row.camera_id, _time_us(start), _time_us(end), row.lane_id)
    if head.start_us < 0 or not 0 < head.end_us - head.start_us <= _LONGEST_WINDOW_US:
        raise ValueError(f"no window is from {start} to {end}")
    if is_bare and _is_written_as_ours(start) and _is_written_as_ours(end):
        return head, value
    row.window_start, row.window_end = rfc3339(head.start_us), rfc3339(head.end_us)
    return head, _encode_row(row)


class CameraWindow(Struct, gc=False):
    """The rows of one camera's window. There may be very many: what is kept of one is what must be.

    Attributes:
        start_us, end_us: microseconds since the epoch.
        told_at: when its newest row came, in seconds of a clock of the caller.
        camera_row: the camera-wide row as JSON; None while only lane rows have come.
        lane_rows: rows by lane_id, as JSON; None before the first.
    """

    camera_id: str
    start_us: int
    end_us: int
    told_at: float
    camera_row: bytes | None = None
    lane_rows: dict[int, bytes] | None = None

    def row(self, lane_id: int | None) -> bytes | None:
        """The row of a lane, or the camera-wide one for None."""
        return self.camera_row if lane_id is None else (self.lane_rows or _NO_LANES).get(lane_id)

    def lanes(self) -> list[bytes]:
        """Lane rows, ordered by lane_id."""
        rows = self.lane_rows or _NO_LANES
        return [rows[lane_id] for lane_id in sorted(rows)]

    def document(self) -> bytes | None:
        """The object kept in Redis, or None while the camera-wide row is missing."""
        return None if self.camera_row is None else document(self.camera_row, self.lanes())

    def put_lane(self, lane_id: int, row: bytes) -> None:
        """Keep the row of a lane."""
        if self.lane_rows is None:
            self.lane_rows = {}
        self.lane_rows[lane_id] = row


class NewestWindows:
    """Keeps the newest window of each camera; a row of an older one changes nothing."""

    def __init__(self) -> None:
        self._windows: dict[str, CameraWindow] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def __iter__(self) -> Iterator[CameraWindow]:
        return iter(self._windows.values())

    def get(self, camera_id: str) -> CameraWindow | None:
        """The newest window of a camera, or None when it never reported."""
        return self._windows.get(camera_id)

    def ordered(self) -> list[CameraWindow]:
        """All windows, ordered by camera_id."""
        return [self._windows[camera_id] for camera_id in sorted(self._windows)]

    def camera_ids(self) -> list[str]:
        """All cameras."""
        return list(self._windows)

    def add(self, head: RowHead, row: bytes, now: float = 0.0) -> CameraWindow | None:
        """Take a row in that is told now.

        Returns:
            the camera's newest window, or None when the row belongs to an older one.
        """
        window = self._at(head.camera_id, head.start_us, head.end_us)
        if window is None:
            return None
        window.told_at = now
        if head.lane_id is None:
            window.camera_row = row
        else:
            window.put_lane(head.lane_id, row)
        return window

    def add_document(self, current: bytes, told_at: float = 0.0) -> CameraWindow | None:
        """Take in what `CameraWindow.document` gave; None when a newer or more complete one is here.

        Raises:
            Exception: it is no such document: one of `models.records.MALFORMED`.
        """
        decoded = _decode_document(current)
        lanes = [(_decode_head(raw).lane_id, bytes(raw)) for raw in decoded.lanes]
        window = self._at(decoded.camera_id, _time_us(decoded.window_start), _time_us(decoded.window_end))
        if window is None:
            return None
        window.told_at = max(window.told_at, told_at)
        if window.camera_row is None:
            head, mark, _ = current.rpartition(LANES_MARK)
            window.camera_row = head + b"}" if mark else current
        for lane_id, row in lanes:
            if lane_id is not None and window.row(lane_id) is None:
                window.put_lane(lane_id, row)
        return window

    def forget(self, camera_ids: Sequence[str], told_until: float) -> None:
        """Forget those of the cameras of which no row came after a time."""
        for camera_id in camera_ids:
            window = self._windows.get(camera_id)
            if window is not None and window.told_at <= told_until:
                del self._windows[camera_id]

    def discard(self, camera_ids: Iterable[str]) -> None:
        """Forget cameras."""
        for camera_id in camera_ids:
            self._windows.pop(camera_id, None)

    def _at(self, camera_id: str, start_us: int, end_us: int) -> CameraWindow | None:
        """The window of a camera that begins then, a new one if need be; None when there is a newer one."""
        window = self._windows.get(camera_id)
        if window is not None and start_us == window.start_us:
            return window
        if window is not None:
            if start_us < window.start_us:
                return None
            camera_id = window.camera_id  # the same object as the key
        window = self._windows[camera_id] = CameraWindow(camera_id, start_us, end_us, float("-inf"))
        return window
