"""A plotting area with axes, drawn as vectors: ticks at round numbers, units on both axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from reportlab.graphics.shapes import Drawing, Line, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase.pdfmetrics import stringWidth

FONT, BOLD = "Helvetica", "Helvetica-Bold"
FONT_SIZE = 7.5
INK, FAINT, BLUE, LIGHT = HexColor("#222222"), HexColor("#d4d4d4"), HexColor("#1f4e79"), HexColor("#9db7d1")


def text(drawing: Drawing, x: float, y: float, words: str, *, anchor: str = "start", bold: bool = False) -> None:
    """Write a line of text."""
    font = BOLD if bold else FONT
    drawing.add(String(x, y, words, fontName=font, fontSize=FONT_SIZE, fillColor=INK, textAnchor=anchor))


def fitting(words: str, width: float) -> str:
    """The text, cut with an ellipsis where it is wider than `width` points."""
    if stringWidth(words, FONT, FONT_SIZE) <= width:
        return words
    while words and stringWidth(words + "…", FONT, FONT_SIZE) > width:
        words = words[:-1]
    return words + "…"


def nice_top(value: float) -> tuple[float, float]:
    """The end of an axis from 0 that holds a value, and the distance of its ticks: 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0, 0.25
    rough = value / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999999)
    return math.ceil(value / step - 1e-9) * step, step


def number(value: float) -> str:
    """A number as it stands at a tick."""
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


@dataclass
class Axes:
    """An area in a drawing for values from 0 to `top`, along ``[0, 1]``.

    Attributes:
        left, bottom, width, height: of the area, points.
        title: what is shown, with its unit.
        top: end of the value axis.
        step: distance of its ticks.
    """

    drawing: Drawing
    left: float
    bottom: float
    width: float
    height: float
    title: str
    top: float
    step: float
    right: float = field(init=False)

    def __post_init__(self) -> None:
        self.right = self.left + self.width

    def x(self, share: float) -> float:
        """Where a share of the length lies."""
        return self.left + share * self.width

    def y(self, value: float) -> float:
        """Where a value lies."""
        return self.bottom + min(max(value / self.top, 0.0), 1.0) * self.height

    def frame(self) -> None:
        """Draw title, ticks and grid."""
        text(self.drawing, self.left, self.bottom + self.height + 8, self.title, bold=True)
        for tick in range(round(self.top / self.step) + 1):
            value = tick * self.step
            height = self.y(value)
            self.drawing.add(Line(self.left, height, self.right, height, strokeColor=FAINT, strokeWidth=0.4))
            text(self.drawing, self.left - 4, height - 2.5, number(value), anchor="end")
        self.drawing.add(Line(self.left, self.bottom, self.right, self.bottom, strokeColor=INK, strokeWidth=0.7))
        self.drawing.add(
            Line(self.left, self.bottom, self.left, self.bottom + self.height, strokeColor=INK, strokeWidth=0.7)
        )

    def tick(self, share: float, label: str) -> None:
        """Mark a place on the other axis."""
        x = self.x(share)
        self.drawing.add(Line(x, self.bottom, x, self.bottom - 3, strokeColor=INK, strokeWidth=0.7))
        text(self.drawing, x, self.bottom - 11, label, anchor="middle")

    def axis_title(self, words: str) -> None:
        """Name the other axis."""
        text(self.drawing, self.right, self.bottom - 22, words, anchor="end")

    def line(self, points: Sequence[tuple[float, float | None]], color: Color = BLUE) -> None:
        """Draw a line through (share, value); it breaks where a value is None. A lone point is a dot."""
        run: list[float] = []
        for share, value in [*points, (0.0, None)]:
            if value is not None:
                run += [self.x(share), self.y(value)]
            elif run:
                if len(run) == 2:
                    run = [run[0] - 1, run[1], run[0] + 1, run[1]]
                self.drawing.add(PolyLine(run, strokeColor=color, strokeWidth=1.1, strokeLineJoin=1))
                run = []

    def bar(self, share: float, share_width: float, value: float, color: Color = LIGHT) -> None:
        """Draw an upright bar."""
        self.drawing.add(
            Rect(
                self.x(share), self.bottom, share_width * self.width, self.y(value) - self.bottom,
                fillColor=color, strokeColor=INK, strokeWidth=0.4,
            )
        )  # fmt: skip

    def level(self, value: float, label: str) -> None:
        """Draw a dashed line across at a value, named at its right end."""
        height = self.y(value)
        self.drawing.add(
            Line(self.left, height, self.right, height, strokeColor=INK, strokeWidth=0.5, strokeDashArray=[2, 2])
        )
        text(self.drawing, self.right + 3, height - 2.5, label)
