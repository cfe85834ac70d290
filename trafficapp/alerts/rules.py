"""What raises an alert and what ends it, from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from models.alerts import AlertType, Severity
from models.cameras.window_rows import Level, WindowRow
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.settings import AlertSettings

Condition: TypeAlias = Callable[[WindowRow], bool]

#: Levels in order; UNKNOWN is none of them.
LEVEL_RANK: dict[Level, int] = {"LOW": 0, "MODERATE": 1, "HIGH": 2, "SEVERE": 3}

#: Severities in order: that of an open alert never falls.
SEVERITY_RANK: dict[Severity, int] = {"WARNING": 0, "CRITICAL": 1, "EMERGENCY": 2}


@dataclass(frozen=True, slots=True)
class Trigger:
    """Raises an alert after some windows in a row.

    Attributes:
        holds: whether a window counts.
        windows: how many in a row raise the alert.
        rule: the same in words.
        severity: of an alert that this window raises.
        on_delay_us: the alert is an alarm that people are told of once it has held for this long without a break
            (ISA-18.2, on-delay timer).
    """

    holds: Condition
    windows: int
    rule: str
    severity: Callable[[WindowRow], Severity]
    on_delay_us: int = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """Why there may be an alert; a camera has one open alert for each cause at most.

    Attributes:
        triggers: what raises it, the strongest first.
        is_calm: whether a window counts towards its end.
        calm: the same in words, behind "windows in a row".
        calm_windows: how many in a row end it.
        update_us: time between two steps that only tell another level.
    """

    alert_type: AlertType
    triggers: tuple[Trigger, ...]
    is_calm: Condition
    calm: str
    calm_windows: int
    update_us: int


def causes_of(settings: AlertSettings, on_delay_seconds: float) -> tuple[Cause, ...]:
    """The causes that finished windows can show.

    Args:
        settings: what raises and ends them.
        on_delay_seconds: for how long a level of HIGH must hold until people are told.
    """
    return (_congestion(settings, round(on_delay_seconds * MICROSECONDS_PER_SECOND)), _stopped_traffic(settings))


def _congestion(settings: AlertSettings, on_delay_us: int) -> Cause:
    def at_least(level: Level, windows: int, severity: Severity, delay_us: int) -> Trigger:
        rank = LEVEL_RANK[level]
        return Trigger(
            lambda row: LEVEL_RANK[row.congestion_level] >= rank,
            windows,
            f"congestion_level >= {level} for {_windows(windows)}",
            lambda _: severity,
            delay_us,
        )

    calm_below = LEVEL_RANK[settings.calm_below]
    return Cause(
        "congestion",
        (
            at_least("SEVERE", settings.severe_windows, "CRITICAL", 0),
            at_least("HIGH", settings.high_windows, "WARNING", on_delay_us),
        ),
        lambda row: LEVEL_RANK[row.congestion_level] < calm_below,
        f"below {settings.calm_below}",
        settings.resolve_windows,
        round(settings.update_seconds * MICROSECONDS_PER_SECOND),
    )


def _stopped_traffic(settings: AlertSettings) -> Cause:
    ratio, queue, flowing = settings.stopped_ratio, settings.stopped_queue_length, settings.flowing_ratio
    windows = settings.stopped_windows
    stands = Trigger(
        lambda row: row.stopped_ratio is not None and row.stopped_ratio >= ratio and row.queue_length >= queue,
        windows,
        f"stopped_ratio >= {ratio:g} and queue_length >= {queue} for {_windows(windows)}",
        lambda row: "CRITICAL" if row.congestion_level == "SEVERE" else "WARNING",
    )
    return Cause(
        "stopped_traffic",
        (stands,),
        lambda row: row.stopped_ratio is not None and row.stopped_ratio < flowing,
        f"with less than {flowing:.0%} of speeds stopped",
        settings.resolve_windows,
        round(settings.update_seconds * MICROSECONDS_PER_SECOND),
    )


def _windows(count: int) -> str:
    return f"{count} window" if count == 1 else f"{count} windows"
