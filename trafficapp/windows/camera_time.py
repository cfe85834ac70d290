"""How the time of a camera moves: "The camera's time" and "Silence" in docs/windows.md.

Of a camera's pictures at most one waits: `CameraState.waiting_us` is its time, 0 when none does.
"""

from __future__ import annotations

from trafficapp.windows.camera_state import CameraState
from trafficapp.windows.clock import EventClock
from trafficapp.windows.places import keep_waiting_places, wait, wait_no_more


def move(camera: CameraState, time_us: int) -> None:
    """Move the camera's time; what waited waits no more."""
    camera.newest_us, camera.moved_clock_us = time_us, camera.clock_us
    wait_no_more(camera)


def move_or_wait(camera: CameraState, time_us: int, jump_us: int) -> None:
    """Take in the time of a picture, whatever was in it."""
    if time_us - camera.newest_us > jump_us:
        confirm(camera, time_us, jump_us)
    if time_us - camera.newest_us > jump_us:
        wait(camera, time_us)
    elif time_us > camera.newest_us:
        move(camera, time_us)


def confirm(camera: CameraState, time_us: int, jump_us: int) -> None:
    """Move the camera's time, if the picture that waits is confirmed by one that is far ahead as well.

    The earlier one of both is believed: if the one that waited has a wrong clock, the other one is not late.
    Of a camera without a time nothing is final yet that could be wrong.
    """
    waiting_us = camera.waiting_us
    if not waiting_us or time_us == waiting_us or time_us < waiting_us - jump_us:
        return
    if camera.newest_us and time_us < waiting_us:
        move(camera, time_us)
        return
    believe(camera)


def believe(camera: CameraState) -> None:
    """Move the camera's time to the picture that waits; what it says of places counts."""
    keep_waiting_places(camera)
    move(camera, camera.waiting_us)


def has_begun(camera: CameraState, silent_us: int, clock: EventClock) -> bool:
    """Whether a silent camera without a time may have got to the picture that waits."""
    lead_us = clock.window_start(camera.waiting_us) - camera.heard_us
    return lead_us <= clock.jump_us or silent_us >= clock.idle_us + min(lead_us, clock.future_us)


def move_to_last(camera: CameraState, last_us: int, partition_clock_us: int, clock: EventClock) -> bool:
    """Move the time of a silent camera to the last of its open windows, once it may have got there.

    Args:
        camera: its state.
        last_us: start of that window, which lies beyond the camera's time.
        partition_clock_us: as of the last tick.
        clock: the rules.

    Returns:
        whether it may have got there.
    """
    if not camera.newest_us:
        return False
    lead_us = min(last_us - camera.newest_us, clock.future_us)
    if partition_clock_us - camera.moved_clock_us < clock.idle_us + lead_us:
        return False
    waits_there = clock.window_start(camera.waiting_us) == last_us
    camera.newest_us = camera.waiting_us if waits_there else last_us
    camera.moved_clock_us = partition_clock_us
    wait_no_more(camera)
    return True
