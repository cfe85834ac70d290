"""Cameras that finish no more windows."""

from __future__ import annotations

from models.cameras.quiet_cameras import QuietCamera
from tests.windows.entries import QUIET_US, SECOND_US, T0_US, Entry, Picture, Seen, Tick, fresh, records
from tests.windows.logs import silence
from trafficapp.settings import Settings
from trafficapp.windows.rules import quiet_limit_us

T0_MS = T0_US // 1000


def picture(second: float, *seen: Seen) -> Picture:
    """A picture of camera a, recorded when it was taken."""
    time_us = T0_US + round(second * SECOND_US)
    return Picture("a", time_us, round(second * 10), seen, "frame", b"a", time_us // 1000)


def said(log: list[Entry]) -> list[QuietCamera]:
    return fresh().apply(records(log)).quiet


def end_of(window: int) -> QuietCamera:
    return QuietCamera("a", T0_US + (window + 1) * 5 * SECOND_US)


def test_it_is_said_once_for_each_time_that_windows_stop() -> None:
    car, again = picture(1, Seen("v1", speed_kmh=30.0)), picture(101, Seen("v1", speed_kmh=30.0))
    log = [Tick(T0_MS), car, *silence(T0_MS + 1000, 90), again, *silence(T0_MS + 101_000, 90)]
    assert said(log) == [end_of(0), end_of(20)]


def test_pictures_of_an_empty_road_do_not_hide_it() -> None:
    log: list[Entry] = [Tick(T0_MS), picture(1, Seen("v1", speed_kmh=30.0))]
    for second in range(2, 60):
        log += [Tick(T0_MS + second * 1000), picture(second)]
    assert said(log) == [end_of(0)]


def test_windows_that_go_on_and_cameras_without_any_are_not_quiet() -> None:
    log: list[Entry] = [Tick(T0_MS)]
    for second in range(60):
        log += [Tick(T0_MS + second * 1000), picture(second, Seen("v1", speed_kmh=30.0))]
    assert said(log) == []
    assert said([Tick(T0_MS), picture(1), *silence(T0_MS, 90)]) == []


def test_a_row_from_before_does_not_make_a_camera_quiet() -> None:
    log = records([Tick(T0_MS), picture(1, Seen("v1", speed_kmh=30.0)), *silence(T0_MS + 1000, 90)])
    windows = fresh()
    windows.apply(log[:13])
    (camera,) = windows.cameras.states.values()
    assert camera.finished_clock_us >= 0
    camera.finished_clock_us = -1
    assert windows.apply(log[12:]).quiet == []


def test_the_limit_lies_beyond_the_end_of_alerts_and_grows_with_the_windows() -> None:
    assert quiet_limit_us(Settings()) == 300 * SECOND_US > QUIET_US
    hours = Settings(windows={"size_seconds": 3600})
    assert quiet_limit_us(hours) > (240 + 3600) * SECOND_US
