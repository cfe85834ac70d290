"""Speeds of a corridor over time and distance as a picture, told apart by lightness."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from itertools import groupby

from reportlab.graphics.shapes import Drawing, Line, Rect
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase.pdfmetrics import stringWidth

from models.roads.measures import SpeedSurface
from trafficapp.reports.axes import FAINT, FONT, FONT_SIZE, INK, fitting, text

#: Shares of free flow from which a class of speed begins, its words and its fill. The shares are those between the
#: levels of service of urban streets, Highway Capacity Manual, 6th edition, exhibit 16-3.
CLASSES: tuple[tuple[float, str, Color], ...] = (
    (0.80, "free", HexColor("#eef4fa")),
    (0.67, "nearly free", HexColor("#c6d9ec")),
    (0.50, "slowed", HexColor("#8fb3d6")),
    (0.40, "slow", HexColor("#4f7fb0")),
    (0.30, "very slow", HexColor("#1f4e79")),
    (0.00, "jammed", HexColor("#0b1626")),
)
_NOTHING = HexColor("#ffffff")
_LEFT, _RIGHT, _BOTTOM, _KEY = 128.0, 52.0, 36.0, 14.0
_LEAST_ROW, _MOST_ROW, _MOST_HEIGHT = 3.0, 16.0, 430.0
_TICKS = 8
_FONT_HEIGHT = 8.0


def class_of(speed_kmh: float, free_flow_kmh: float) -> int:
    """The place of a speed in `CLASSES`."""
    share = speed_kmh / free_flow_kmh
    return next(place for place, (least, *_) in enumerate(CLASSES) if share >= least)


def surface_picture(surface: SpeedSurface, width: float, clock: tzinfo, tz: str) -> Drawing:
    """The picture: time to the right, the corridor from the bottom up in driving direction.

    Args:
        surface: with at least one road and step.
        width: of the picture, points.
        clock: of its times.
        tz: the name of the clock.
    """
    length_m = surface.roads[-1].end_m
    shortest_m = min(road.end_m - road.begin_m for road in surface.roads)
    # the shortest road is to be seen, the whole to fit a page
    height = min(max(_LEAST_ROW * length_m / shortest_m, len(surface.roads) * _MOST_ROW, 120.0), _MOST_HEIGHT)
    drawing = Drawing(width, height + _BOTTOM + _KEY + 12)
    plot = width - _LEFT - _RIGHT
    steps = len(surface.starts)
    for road, speeds in zip(surface.roads, surface.speeds_kmh, strict=True):
        bottom = _BOTTOM + road.begin_m / length_m * height
        row = (road.end_m - road.begin_m) / length_m * height
        classes = [None if speed is None else class_of(speed, road.free_flow_kmh) for speed in speeds]
        for found, run in groupby(range(steps), key=classes.__getitem__):
            places = list(run)
            x, wide = _LEFT + places[0] / steps * plot, len(places) / steps * plot
            if found is None:
                _hatch(drawing, x, bottom, wide, row)
            else:
                drawing.add(_cell(x, bottom, wide, row, CLASSES[found][2]))
    _roads(drawing, surface, height, plot, length_m)
    _times(drawing, [datetime.fromisoformat(start).astimezone(clock) for start in surface.starts], plot, height)
    text(drawing, _LEFT + plot, 4, f"local time, {tz}", anchor="end")
    _key(drawing, height + _BOTTOM + 8, width)
    return drawing


def _cell(x: float, bottom: float, width: float, height: float, fill: Color) -> Rect:
    # a line of its own colour closes the seams that viewers show between neighbours
    return Rect(x, bottom, width, height, fillColor=fill, strokeColor=fill, strokeWidth=0.2)


def _hatch(drawing: Drawing, x: float, bottom: float, width: float, height: float) -> None:
    drawing.add(_cell(x, bottom, width, height, _NOTHING))
    middle = bottom + height / 2
    drawing.add(Line(x, middle, x + width, middle, strokeColor=FAINT, strokeWidth=0.6, strokeDashArray=[1, 2]))


def _roads(drawing: Drawing, surface: SpeedSurface, height: float, plot: float, length_m: float) -> None:
    """Borders of roads, their names where there is room, and metres on the right."""
    free_from = 0.0
    for road in surface.roads:
        begin, end = (_BOTTOM + metres / length_m * height for metres in (road.begin_m, road.end_m))
        drawing.add(Line(_LEFT - 3, begin, _LEFT, begin, strokeColor=INK, strokeWidth=0.5))
        middle = (begin + end) / 2 - 2.5
        if middle >= free_from:
            name = road.road_name if road.road_name != road.road_id else road.road_id
            text(drawing, _LEFT - 6, middle, fitting(name, _LEFT - 10), anchor="end")
            free_from = middle + _FONT_HEIGHT
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _BOTTOM + share * height
        drawing.add(Line(_LEFT + plot, y, _LEFT + plot + 3, y, strokeColor=INK, strokeWidth=0.5))
        text(drawing, _LEFT + plot + 6, y - 2.5, f"{share * length_m:,.0f} m")
    drawing.add(Rect(_LEFT, _BOTTOM, plot, height, fillColor=None, strokeColor=INK, strokeWidth=0.7))


def _times(drawing: Drawing, starts: Sequence[datetime], plot: float, height: float) -> None:
    every = max(1, round(len(starts) / _TICKS))
    # whole hours where there are some
    hours = [place for place, start in enumerate(starts) if start.minute == 0]
    if len(hours) > 2:
        thinned = -(-len(hours) // _TICKS)
        thinned = next((step for step in (1, 2, 3, 4, 6, 12, 24) if step >= thinned), thinned)
        places = [place for place in hours if starts[place].hour % thinned == 0] or hours[::thinned]
    else:
        places = list(range(0, len(starts), every))
    long = (starts[-1] - starts[0]).total_seconds() > 86_400
    for place in places[: 3 * _TICKS]:
        x = _LEFT + place / len(starts) * plot
        drawing.add(Line(x, _BOTTOM, x, _BOTTOM - 3, strokeColor=INK, strokeWidth=0.7))
        text(drawing, x, _BOTTOM - 12, f"{starts[place]:%H:%M}", anchor="middle")
        if long and (place == places[0] or starts[place].hour == 0):
            text(drawing, x, _BOTTOM - 22, f"{starts[place]:%d %b}", anchor="middle")


def _key(drawing: Drawing, y: float, width: float) -> None:
    """The scale in words, with the shares of free flow."""
    words = []
    above = 1.0
    for least, word, fill in CLASSES:
        share = f"≥ {least:.0%}" if above == 1.0 else f"< {above:.0%}"
        words.append((f"{word} {share}".replace("%", " %"), fill))
        above = least
    words.append(("not measured", None))
    # as wide as their words, with the rest of the width shared out between them
    wide = [stringWidth(word, FONT, FONT_SIZE) + 12 for word, _ in words]
    between = min((width - sum(wide)) / (len(words) - 1), 18.0)
    for number, (word, color) in enumerate(words):
        x = sum(wide[:number]) + number * between
        if color is None:
            drawing.add(Rect(x, y, 9, 7, fillColor=_NOTHING, strokeColor=INK, strokeWidth=0.4, strokeDashArray=[1, 2]))
        else:
            drawing.add(Rect(x, y, 9, 7, fillColor=color, strokeColor=INK, strokeWidth=0.4))
        text(drawing, x + 12, y + 0.5, word)
