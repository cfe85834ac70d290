"""The charts of a report. Told apart by lightness, so that a black and white printer does as well."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from reportlab.graphics.shapes import Circle, Drawing, Rect, Wedge
from reportlab.lib.colors import HexColor

from models.cameras.analytics import HourFigures, SegmentFigures, SeverityCount, TrendHour
from trafficapp.reports.axes import INK, LIGHT, Axes, fitting, nice_top, text

#: More points than this do not show on paper: neighbours are drawn as their mean.
MAX_POINTS = 720

SEVERITY_FILLS = {"EMERGENCY": HexColor("#111111"), "CRITICAL": HexColor("#5b7fa6"), "WARNING": HexColor("#dfe8f1")}

_LEFT, _RIGHT = 34.0, 30.0
_TICKS = 8


def over_time(trends: Sequence[TrendHour], width: float, tz: str) -> tuple[Drawing, int]:
    """Speed and congestion, one above the other on the same hours, by the clock of the zone `tz`.

    Returns:
        the drawing, and how many hours each point is the mean of.
    """
    hours = math.ceil(len(trends) / MAX_POINTS)
    drawing = Drawing(width, 262)
    plot = width - _LEFT - _RIGHT
    speeds = _points(trends, hours, lambda hour: hour.avg_speed_kmh)
    scores = _points(trends, hours, lambda hour: hour.avg_congestion_score)
    top, step = nice_top(max((value for _, value in speeds if value is not None), default=60.0))
    upper = Axes(drawing, _LEFT, 158, plot, 88, "Mean speed, km/h", top, step)
    lower = Axes(drawing, _LEFT, 30, plot, 88, "Mean congestion score, 0 free to 1 jammed", 1.0, 0.25)
    for axes, points in ((upper, speeds), (lower, scores)):
        axes.frame()
        axes.line(points)
        for share, label in _time_ticks(trends):
            axes.tick(share, label)
    lower.axis_title(f"local time, {tz}")
    return drawing, hours


def hours_of_day(profile: Sequence[HourFigures], width: float, tz: str) -> Drawing:
    """Vehicles and congestion by hour of the day, side by side, by the clock of the zone `tz`."""
    drawing = Drawing(width, 140)
    plot = (width - 2 * _LEFT - 14) / 2
    top, step = nice_top(max(hour.avg_vehicle_count for hour in profile))
    best = max((hour.avg_congestion_score or 0.0 for hour in profile), default=0.0)
    score_top, score_step = nice_top(best)
    left = Axes(drawing, _LEFT, 30, plot, 92, "Vehicles in a window, mean", top, step)
    right = Axes(drawing, 2 * _LEFT + plot + 14, 30, plot, 92, "Congestion score, mean", score_top, score_step)
    for axes in (left, right):
        axes.frame()
        for tick in range(0, 24, 3):
            axes.tick((tick + 0.5) / 24, f"{tick:02}")
        axes.axis_title(f"hour of the day, {tz}")
    for hour in profile:
        left.bar((hour.hour + 0.12) / 24, 0.76 / 24, hour.avg_vehicle_count)
        if hour.avg_congestion_score is not None:
            right.bar((hour.hour + 0.12) / 24, 0.76 / 24, hour.avg_congestion_score)
    return drawing


def top_segments(segments: Sequence[SegmentFigures], width: float) -> Drawing:
    """The mean congestion of the worst cameras as bars, the worst on top."""
    row, label = 13.0, 150.0
    drawing = Drawing(width, row * len(segments) + 32)
    axes = Axes(drawing, label, 18, width - label - 40, row * len(segments), "", 1.0, 0.25)
    for place, segment in enumerate(segments):
        bottom = axes.bottom + (len(segments) - place - 1) * row
        length = segment.avg_congestion_score * axes.width
        fill = {"fillColor": LIGHT, "strokeColor": INK, "strokeWidth": 0.4}
        drawing.add(Rect(label, bottom + 2.5, length, row - 5, **fill))
        text(drawing, label - 5, bottom + 4, fitting(segment.camera_id, label - 10), anchor="end")
        text(drawing, label + length + 4, bottom + 4, f"{segment.avg_congestion_score:.4f}")
    for tick in range(5):
        axes.tick(tick / 4, f"{tick / 4:g}")
    text(drawing, axes.right, axes.bottom + axes.height + 5, "Mean congestion score, 0 free to 1 jammed", anchor="end")
    return drawing


def severities(pie: Sequence[SeverityCount], width: float) -> Drawing:
    """Shares of the alerts by severity; the shares stand beside their wedges."""
    drawing = Drawing(width, 130)
    x, y, radius = width / 2, 62.0, 48.0
    total = sum(part.count for part in pie)
    if len(pie) == 1:
        drawing.add(Circle(x, y, radius, fillColor=SEVERITY_FILLS[pie[0].severity], strokeColor=INK, strokeWidth=0.6))
        text(drawing, x + radius + 8, y, f"{pie[0].severity} 100 %")
        return drawing
    angle = 90.0
    last_heights = {"start": 1000.0, "end": -1000.0}
    for part in pie:
        extent = 360.0 * part.count / total
        fill = {"fillColor": SEVERITY_FILLS[part.severity], "strokeColor": INK, "strokeWidth": 0.6}
        drawing.add(Wedge(x, y, radius, angle - extent, angle, **fill))
        middle = math.radians(angle - extent / 2)
        side = "start" if math.cos(middle) >= 0 else "end"
        height = y + (radius + 8) * math.sin(middle) - 2.5
        # clockwise from the top: downwards on the right, upwards on the left
        height = min(height, last_heights[side] - 10) if side == "start" else max(height, last_heights[side] + 10)
        last_heights[side] = height
        share = f"{part.severity} {100 * part.count / total:.1f} %"
        text(drawing, x + (radius + 8) * math.cos(middle), height, share, anchor=side)
        angle -= extent
    return drawing


def _points(
    trends: Sequence[TrendHour], hours: int, value: Callable[[TrendHour], float | None]
) -> list[tuple[float, float | None]]:
    """Means of so many hours each, hours weighing as many windows as they have, at the middle of their time."""
    points: list[tuple[float, float | None]] = []
    for first in range(0, len(trends), hours):
        group = trends[first : first + hours]
        known = [(found, hour.windows) for hour in group if (found := value(hour)) is not None]
        weight = sum(windows for _, windows in known)
        mean = sum(found * windows for found, windows in known) / weight if weight else None
        points.append(((first + len(group) / 2) / len(trends), mean))
    return points


def _time_ticks(trends: Sequence[TrendHour]) -> list[tuple[float, str]]:
    """At most eight places with their labels: hours within two days, else days."""
    starts = [datetime.fromisoformat(hour.local_hour_start) for hour in trends]
    if starts[-1] - starts[0] <= timedelta(hours=48):
        step = next(hours for hours in (1, 2, 3, 6, 12) if len(starts) <= hours * _TICKS or hours == 12)
        chosen = [place for place, start in enumerate(starts) if start.hour % step == 0]
        return [(place / len(starts), f"{starts[place]:%d %b %H:00}") for place in chosen]
    midnights = [place for place, start in enumerate(starts) if start.hour == 0]
    every = math.ceil(len(midnights) / _TICKS)
    return [(place / len(starts), f"{starts[place]:%d %b}") for place in midnights[::every]]
