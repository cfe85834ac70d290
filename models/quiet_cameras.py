"""Cameras that finish no windows any more: an internal topic from the windows to the alerts."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class QuietCamera(Struct, frozen=True):
    """Said once for each time that a camera is quiet, whether it sends empty pictures or nothing.

    Attributes:
        newest_window_end_us: end of the newest window that it finished, microseconds since the epoch.
    """

    camera_id: str
    newest_window_end_us: int


encode_quiet_camera = msgspec.json.Encoder().encode
decode_quiet_camera = msgspec.json.Decoder(QuietCamera).decode
