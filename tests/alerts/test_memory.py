"""What is remembered of cameras that were heard to be quiet."""

from __future__ import annotations

from models.cameras.quiet_cameras import QuietCamera
from trafficapp.alerts.camera import CameraAlerts
from trafficapp.alerts.lifecycle import CauseState, OpenAlert
from trafficapp.alerts.memory import HeardQuiet

_OPEN = CauseState(open=OpenAlert("a", "WARNING", "HIGH", "a rule", 100, 200, 0.6))
_KEY = b"cam"


def camera(seen_end_us: int, *, has_open: bool = True) -> CameraAlerts:
    """The alerts of a camera whose newest window ends at a time."""
    return CameraAlerts(seen_end_us=seen_end_us, causes={"congestion": _OPEN} if has_open else {})


def told(heard: HeardQuiet, known: CameraAlerts | None, applied: int = 0) -> int:
    """How many ends are told now."""
    return len(heard.take({} if known is None else {_KEY: known}, applied))


def test_what_newer_windows_have_made_untrue_is_not_remembered() -> None:
    heard, known = HeardQuiet(), camera(600)
    heard.hear(QuietCamera("cam", 500), known)
    assert not heard.is_waiting
    assert told(heard, known) == 0
    # the same was heard before those windows were applied
    heard.hear(QuietCamera("cam", 500), None)
    heard.window_applied(_KEY)
    assert told(heard, known) == 0
    assert not heard.is_waiting


def test_it_is_told_once_when_all_its_windows_were_applied() -> None:
    heard = HeardQuiet()
    heard.hear(QuietCamera("cam", 500), None)
    for seen_us, count, waits in ((400, 0, True), (500, 1, False), (500, 0, False)):
        heard.window_applied(_KEY)
        assert (told(heard, camera(seen_us)), heard.is_waiting) == (count, waits)


def test_of_a_camera_without_an_open_alert_nothing_is_remembered() -> None:
    heard = HeardQuiet()
    heard.hear(QuietCamera("cam", 500), camera(500, has_open=False))
    assert not heard.is_waiting


def test_what_is_still_waited_for_behind_the_windows_it_speaks_of_will_never_be_true() -> None:
    # the offset that was waited for may be passed in one step, by a run of many windows
    for applied, waits in ((8, True), (9, False), (20, False)):
        heard = HeardQuiet()
        heard.hear(QuietCamera("cam", 500), None)
        heard.wait_until(10, applied=0)
        assert heard.is_waiting
        assert told(heard, camera(400), applied) == 0
        assert heard.is_waiting is waits
