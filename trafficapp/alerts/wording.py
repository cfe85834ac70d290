"""What alerts say to a person in a control room."""

from __future__ import annotations

from models.alerts import AlertType, Severity
from models.cameras.window_rows import Level, WindowRow

#: Levels that fit the words "heavy" and "severe".
_CONGESTED = ("HIGH", "SEVERE")


def title(alert_type: AlertType, severity: Severity, camera_id: str, eased_to: Level | None = None) -> str:
    """What is the matter, and where; of an open alert whose level has fallen since also to which."""
    if alert_type == "camera_silent":
        return f"No events from {camera_id}"
    now = "" if eased_to is None or eased_to in _CONGESTED else f", now level {eased_to}"
    if alert_type == "stopped_traffic":
        return f"Traffic stands still at {camera_id}{now}"
    return f"{'Heavy' if severity == 'WARNING' else 'Severe'} congestion at {camera_id}{now}"


def situation(row: WindowRow, seconds: float) -> str:
    """What a window saw of it, and for how long it has lasted."""
    return f"{_seen(row)}, level {row.congestion_level}, for {duration(seconds)}"


def development(
    row: WindowRow, seconds: float, severity: Severity, opened_as: Severity | None, worst: Level | None
) -> str:
    """What became of an open alert: its rise, its worst level, what the newest window saw.

    Args:
        row: the newest window.
        seconds: from the begin of what raised it to the end of that window.
        severity: now.
        opened_as: the severity it was opened with; None when that is not known.
        worst: the highest level since it was opened; None likewise.
    """
    told = [] if opened_as in (None, severity) else [f"risen from {opened_as} to {severity}"]
    if worst not in (None, row.congestion_level):
        told.append(f"at worst level {worst}")
    before = ", ".join(told)
    past = f"{before[0].upper()}{before[1:]}. " if told else ""
    return f"{past}{_seen(row)}, now level {row.congestion_level}, {duration(seconds)} after it began"


def _seen(row: WindowRow) -> str:
    vehicles = f"{row.vehicle_count} vehicle" if row.vehicle_count == 1 else f"{row.vehicle_count} vehicles"
    speed = "" if row.avg_speed_kmh is None else f", {row.avg_speed_kmh:.1f} km/h on average"
    stopped = f", {row.queue_length} stopped" if row.queue_length else ""
    return f"{vehicles}{speed}{stopped}"


def ending(windows: int, calm: str, seconds: float) -> str:
    """Why it is over, and how long it was."""
    in_a_row = "1 window" if windows == 1 else f"{windows} windows in a row"
    return f"Over: {in_a_row} {calm}; it lasted {duration(seconds)}"


def unseen(unseen_seconds: float, seconds: float) -> str:
    """That nothing is known of it any more, and how long it was."""
    return f"Over: no vehicle with a known speed was seen for {duration(unseen_seconds)}; it lasted {duration(seconds)}"


def silence(seconds: float, newest_event: str) -> str:
    """How long a camera has said nothing, and what its newest event was: an empty road looks the same as a fault."""
    return f"Nothing for {duration(seconds)}: no vehicles, or no camera; its newest event is of {newest_event}"


def return_of(newest_event: str) -> str:
    """That a camera sends again."""
    return f"It sends again; before the silence its newest event was of {newest_event}"


def forgotten(newest_event: str) -> str:
    """That a camera has been silent for so long that it is no longer expected."""
    return f"Forgotten: it has sent nothing for long; its newest event was of {newest_event}"


def duration(seconds: float) -> str:
    """A length of time as people say it: ``25 s``, ``1 min 35 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s"
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    parts = (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else "")
    return " ".join([part for part in parts if part][:2])
