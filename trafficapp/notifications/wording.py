"""What notifications say to people."""

from __future__ import annotations

from collections.abc import Sequence

from trafficapp.notifications.conditions import RoadCondition

#: Minutes ahead of which speeds are predicted.
HORIZONS_MINUTES = (10, 20, 30)


def heavy_congestion(road: RoadCondition, predicted_kmh: Sequence[float], below_kmh: float) -> str:
    """What is expected, and what that means."""
    speeds = _listed([_number(kmh) for kmh in predicted_kmh])
    minutes = _listed([str(minutes) for minutes in HORIZONS_MINUTES[: len(predicted_kmh)]])
    return (
        f"{_name(road)}: {speeds} km/h expected in {minutes} minutes, "
        f"heavy congestion is below {_number(below_kmh)} km/h; now {_now(road)}"
    )


def sudden_jam(road: RoadCondition, before_kmh: float, minutes: float) -> str:
    """From what to what the speed fell, and how fast."""
    share = 1 - road.current_speed_kmh / before_kmh
    return (
        f"{_name(road)}: speed fell by {share:.0%} within {_span(minutes)}, from {_number(before_kmh)} km/h; "
        f"now {_now(road)}"
    )


def severe_traffic(road: RoadCondition, above: float) -> str:
    """How bad it is."""
    if road.closed:
        return f"{_name(road)}: closed to traffic"
    return f"{_name(road)}: jam factor {road.jam_factor:.1f} of 10, severe is above {above:g}; now {_now(road)}"


def _name(road: RoadCondition) -> str:
    return road.road_name or f"Road {road.road_id}"


def _now(road: RoadCondition) -> str:
    return f"{_number(road.current_speed_kmh)} km/h, {_number(road.free_flow_kmh)} km/h when it is free"


def _number(value: float) -> str:
    """With one decimal, unless it is a whole one."""
    return f"{value:.1f}".removesuffix(".0")


def _span(minutes: float) -> str:
    """A time as people say it: seconds below one and a half minutes, else whole minutes."""
    seconds, whole = round(minutes * 60), round(minutes)
    count, unit = (seconds, "second") if seconds < 90 and seconds != 60 else (whole, "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
