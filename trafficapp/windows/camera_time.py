"""How the time of a camera moves: "The camera's time" and "Silence" in docs/windows.md."""

from __future__ import annotations

from trafficapp.windows import places
from trafficapp.windows.camera_state import CameraState
from trafficapp.windows.timeline import Timeline


class CameraTime(Timeline[CameraState]):
    """The time of a camera. Of its pictures at most one waits, and what that one said of places waits with it."""

    def wait(self, source: CameraState, time_us: int) -> None:
        """Have a picture wait."""
        places.wait(source, time_us)

    def wait_no_more(self, source: CameraState) -> None:
        """No picture waits; what one that did said of places is forgotten."""
        places.wait_no_more(source)

    def count_waiting(self, source: CameraState) -> None:
        """What the picture that waits says of places counts."""
        places.keep_waiting_places(source)


CAMERA_TIME = CameraTime()
