"""Alerts about cameras that send nothing: raised and ended by the windows, which know a partition's clock."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from models.alerts import AlertAction, AlertEvent
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.alerts import wording
from trafficapp.alerts.lifecycle import alert_id


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """When a camera is missed.

    Attributes:
        limit_us: silence that an alert is raised for, by the partition's clock.
        min_windows: how many windows a camera must have finished to be missed at all: whoever sends made-up names
            raises no alert for each.
    """

    limit_us: int
    min_windows: int = 12


class Silence(Struct, array_like=True, frozen=True):
    """A silence that an alert was raised for; times in microseconds since the epoch.

    Attributes:
        raised_us: record time of the tick that raised it.
        newest_us: event time of the camera's newest event before.
        measured_us: how long the camera had been silent by the partition's clock.
        limit_us: the rule's limit.
        tick: partition and offset of that tick. Its time alone would not tell two alerts apart: the broker's clock may
            go back, and a camera may stand in two partitions.
    """

    raised_us: int
    newest_us: int
    measured_us: int
    limit_us: int
    # new fields go to the end: rows that were written without them must stay readable
    tick: str = ""


def fell_silent(camera_id: str, silence: Silence) -> AlertEvent:
    """The step that opens the alert."""
    message = wording.silence(silence.measured_us / MICROSECONDS_PER_SECOND, rfc3339(silence.newest_us))
    return _step(camera_id, silence, "opened", silence.raised_us, message)


def came_back(camera_id: str, silence: Silence, record_us: int) -> AlertEvent:
    """The step that ends it, at the time of the record that broke the silence."""
    ended_us = max(record_us, silence.raised_us)
    return _step(camera_id, silence, "resolved", ended_us, wording.return_of(rfc3339(silence.newest_us)))


def was_forgotten(camera_id: str, silence: Silence, tick_us: int) -> AlertEvent:
    """The step that ends it when the camera is forgotten, at the time of the tick that found it so."""
    ended_us = max(tick_us, silence.raised_us)
    return _step(camera_id, silence, "resolved", ended_us, wording.forgotten(rfc3339(silence.newest_us)))


def _step(camera_id: str, silence: Silence, action: AlertAction, at_us: int, message: str) -> AlertEvent:
    raised = rfc3339(silence.raised_us)
    return AlertEvent(
        id=alert_id("camera_silent", camera_id, f"{raised} {silence.tick}".rstrip()),
        action=action,
        revision=1 if action == "opened" else 2,
        severity="WARNING",
        alert_type="camera_silent",
        camera_id=camera_id,
        title=wording.title("camera_silent", "WARNING", camera_id),
        message=message,
        congestion_level=None,
        congestion_score=None,
        since=rfc3339(silence.newest_us),
        triggered_at=raised,
        updated_at=rfc3339(at_us),
        rule=f"no events for {silence.limit_us / MICROSECONDS_PER_SECOND:g} s",
        values={
            "silent_seconds": silence.measured_us / MICROSECONDS_PER_SECOND,
            "newest_event": rfc3339(silence.newest_us),
        },
        resolved_at=rfc3339(at_us) if action == "resolved" else None,
    )
