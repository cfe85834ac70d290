"""Cameras that finish no windows any more: told by the windows to the alerts, at once and in the log of windows.

At once, on an internal topic, so that an alert can end though no further window comes. And with the next window that
the camera finishes after all: its camera-wide record on ``traffic.metrics`` carries the header `AFTER_QUIET_HEADER`.
So the windows alone say what became of the alerts, whoever reads them and whenever the internal topic was read.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

#: Header of the first camera-wide window after a camera was told to be quiet. Its value is
#: `QuietCamera.newest_window_end_us` of what was told, as decimal digits.
AFTER_QUIET_HEADER = "trafficapp-after-quiet"


class QuietCamera(Struct, frozen=True):
    """Said once for each time that a camera is quiet, whether it sends empty pictures or nothing.

    Attributes:
        newest_window_end_us: end of the newest window that it finished, microseconds since the epoch.
    """

    camera_id: str
    newest_window_end_us: int


encode_quiet_camera = msgspec.json.Encoder().encode
decode_quiet_camera = msgspec.json.Decoder(QuietCamera).decode
