"""The newest window of every camera, put together from its rows without decoding more than their heads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import msgspec

from trafficapp.stores.redis import LANES_MARK, document

AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]


class RowHead(msgspec.Struct, gc=False, frozen=True):
    """What must be known of a row to place it; the rest of its fields is only checked to be JSON."""

    camera_id: str
    window_start: AwareTime
    window_end: AwareTime
    lane_id: int | None


class _CurrentDocument(msgspec.Struct):
    camera_id: str
    window_start: AwareTime
    window_end: AwareTime
    lanes: list[msgspec.Raw] = msgspec.field(default_factory=list)


decode_head = msgspec.json.Decoder(RowHead).decode
decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_document = msgspec.json.Decoder(_CurrentDocument).decode


@dataclass(slots=True)
class CameraWindow:
    """The rows of one camera's window.

    Attributes:
        camera_row: the camera-wide row as JSON; None while only lane rows have come.
        lane_rows: rows by lane_id, as JSON.
    """

    camera_id: str
    window_start: datetime
    window_end: datetime
    camera_row: bytes | None = None
    lane_rows: dict[int, bytes] = field(default_factory=dict)

    def lanes(self) -> list[bytes]:
        """Lane rows, ordered by lane_id."""
        return [self.lane_rows[lane_id] for lane_id in sorted(self.lane_rows)]

    def document(self) -> bytes | None:
        """The object kept in Redis, or None while the camera-wide row is missing."""
        return None if self.camera_row is None else document(self.camera_row, self.lanes())


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

    def add(self, head: RowHead, row: bytes) -> CameraWindow | None:
        """Take a row in.

        Returns:
            the camera's newest window, or None when the row belongs to an older one.
        """
        window = self._windows.get(head.camera_id)
        if window is None or head.window_start > window.window_start:
            window = CameraWindow(head.camera_id, head.window_start, head.window_end)
            self._windows[head.camera_id] = window
        elif head.window_start < window.window_start:
            return None
        if head.lane_id is None:
            window.camera_row = row
        else:
            window.lane_rows[head.lane_id] = row
        return window

    def add_document(self, current: bytes) -> CameraWindow | None:
        """Take in what `CameraWindow.document` gave; None when a newer or more complete one is here.

        Raises:
            msgspec.MsgspecError: it is no such document.
        """
        decoded = _decode_document(current)
        known = self._windows.get(decoded.camera_id)
        if known is not None and known.window_start > decoded.window_start:
            return None
        if known is None or known.window_start < decoded.window_start:
            known = CameraWindow(decoded.camera_id, decoded.window_start, decoded.window_end)
            self._windows[decoded.camera_id] = known
        if known.camera_row is None:
            head, mark, _ = current.rpartition(LANES_MARK)
            known.camera_row = head + b"}" if mark else current
        for raw in decoded.lanes:
            lane_id = decode_head(raw).lane_id
            if lane_id is not None:
                known.lane_rows.setdefault(lane_id, bytes(raw))
        return known

    def discard(self, camera_ids: Iterable[str]) -> None:
        """Forget cameras."""
        for camera_id in camera_ids:
            self._windows.pop(camera_id, None)
