"""The three rules: whether one holds, whether it is calm again, how bad it is.

Severity is CRITICAL when traffic all but stands: for heavy_congestion, less than half the threshold is expected in ten
minutes; after a sudden_jam, less is left than what counts as heavy_congestion; for severe_traffic, the jam factor lies
in the upper half between the threshold and 10.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from models.roads.notifications import NotificationSeverity, NotificationType
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.notifications import wording
from trafficapp.notifications.conditions import RoadCondition
from trafficapp.settings import NotificationSettings

_WORST_JAM_FACTOR = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of a road.

    Attributes:
        state: ``raised`` beyond the threshold, ``calm`` on the good side of it by the margin, else ``between``.
        severity: of a notification that is raised now.
        message: what it says.
    """

    state: Literal["raised", "between", "calm"]
    severity: NotificationSeverity
    message: Callable[[], str]


#: None when the rule knows nothing of the road now.
Rule: TypeAlias = Callable[[RoadCondition], Verdict | None]


def rules_of(settings: NotificationSettings) -> dict[NotificationType, Rule]:
    """The rules with the thresholds of the settings."""
    return {
        "heavy_congestion": lambda road: heavy_congestion(road, settings),
        "sudden_jam": lambda road: sudden_jam(road, settings),
        "severe_traffic": lambda road: severe_traffic(road, settings),
    }


def heavy_below_kmh(free_flow_kmh: float, settings: NotificationSettings) -> float:
    """The speed below which congestion is heavy.

    That of the settings, but no more than a share of free flow: an alley that is driven at 12 km/h when it is empty
    would never be free of congestion.
    """
    return min(settings.heavy_congestion_kmh, settings.heavy_congestion_share * free_flow_kmh)


def heavy_congestion(road: RoadCondition, settings: NotificationSettings) -> Verdict | None:
    """A speed is predicted, at whichever horizon, that is below the threshold."""
    if road.closed or road.predicted_kmh is None or road.predicted_by in ("time_of_day", "closed"):
        return None
    predicted = tuple(road.predicted_kmh)
    below = heavy_below_kmh(road.free_flow_kmh, settings)
    return Verdict(
        _state(below - min(predicted), settings.calm_margin * below),
        "CRITICAL" if predicted[0] < below / 2 else "WARNING",
        lambda: wording.heavy_congestion(road, predicted, below),
    )


def sudden_jam(road: RoadCondition, settings: NotificationSettings) -> Verdict | None:
    """A road flowed within the last minutes, lost a share of that speed, and is below a share of free flow.

    A road that did not flow raises nothing, whatever is left of its speed: it is no jam that is new. It is calm where
    its speed is above the share of free flow by the margin; a closed road has no speed.
    """
    if road.closed:
        return None
    since_us = road.observed_at_us - round(settings.sudden_jam_minutes * 60 * MICROSECONDS_PER_SECOND)
    before = [(kmh, us) for us, kmh in road.speeds_before if since_us <= us < road.observed_at_us]
    if not before:
        return None
    most_kmh, at_us = max(before)
    below = settings.sudden_jam_below_share * road.free_flow_kmh
    state = _state(below - road.current_speed_kmh, settings.calm_margin * below)
    fell = road.current_speed_kmh < (1 - settings.sudden_jam_drop) * most_kmh
    flowed = most_kmh >= settings.sudden_jam_flowed_share * road.free_flow_kmh
    minutes = (road.observed_at_us - at_us) / MICROSECONDS_PER_SECOND / 60
    return Verdict(
        "between" if state == "raised" and not (flowed and fell) else state,
        "CRITICAL" if road.current_speed_kmh < heavy_below_kmh(road.free_flow_kmh, settings) else "WARNING",
        lambda: wording.sudden_jam(road, most_kmh, minutes),
    )


def severe_traffic(road: RoadCondition, settings: NotificationSettings) -> Verdict | None:
    """The jam factor is above the threshold, or the road is closed."""
    above = settings.severe_jam_factor
    return Verdict(
        "raised" if road.closed else _state(road.jam_factor - above, settings.calm_margin * above),
        "CRITICAL" if road.closed or road.jam_factor >= (above + _WORST_JAM_FACTOR) / 2 else "WARNING",
        lambda: wording.severe_traffic(road, above),
    )


def _state(beyond: float, margin: float) -> Literal["raised", "between", "calm"]:
    if beyond > 0:
        return "raised"
    return "calm" if beyond <= -margin else "between"
