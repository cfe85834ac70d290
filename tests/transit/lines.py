"""Paths to drive on, in metres from a place in Bologna, and drives along them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from math import cos, hypot, pi, radians, sin

import numpy as np

Metres = list[tuple[float, float]]
Places = list[tuple[float, float]]

_LATITUDE, _LONGITUDE = 44.4949, 11.3426
_DEGREE_M = 6_371_008.8 * pi / 180


def places(line: Sequence[tuple[float, float]]) -> Places:
    """Latitudes and longitudes of east and north."""
    return [
        (_LATITUDE + north / _DEGREE_M, _LONGITUDE + east / (_DEGREE_M * cos(radians(_LATITUDE))))
        for east, north in line
    ]


def straight() -> Metres:
    return [(0, 0), (1000, 0), (2000, 0), (3000, 0)]


def loop() -> Metres:
    """A ring of 800 m, closed."""
    return [(800 * cos(2 * pi * n / 40), 800 * sin(2 * pi * n / 40)) for n in range(41)]


def figure_eight() -> Metres:
    """Two rings that share a point in which the path crosses itself; closed."""
    first = [(600 - 600 * cos(2 * pi * n / 30), 600 * sin(2 * pi * n / 30)) for n in range(31)]
    second = [(-600 + 600 * cos(2 * pi * n / 30), 600 * sin(2 * pi * n / 30)) for n in range(31)]
    return first + second[1:]


def out_and_back() -> Metres:
    """Along a street and back on its other side."""
    out = [(n * 100.0, 0.0) for n in range(26)]
    return [*out, *reversed([(east, 6.0) for east, _ in out])]


def spiral_with_crossing() -> Metres:
    """A line that crosses itself once and does not come back."""
    return [(0, 0), (1500, 0), (1500, 800), (700, 800), (700, -900)]


def length_of(line: Metres) -> float:
    return sum(hypot(x - px, y - py) for (px, py), (x, y) in pairwise(line))


def at(line: Metres, along_m: float) -> tuple[float, float]:
    """A place on a line."""
    for (px, py), (x, y) in pairwise(line):
        piece = hypot(x - px, y - py)
        if along_m <= piece:
            share = along_m / piece
            return px + share * (x - px), py + share * (y - py)
        along_m -= piece
    return line[-1]


def drive(
    line: Metres, *, metres: float, kmh: float, seconds: float, noise_m: float = 0, seed: int = 0, start_m: float = 0
) -> list[tuple[float, tuple[float, float]]]:
    """Where a vehicle truly is, along and round the line, and the place that it tells."""
    dice = random.Random(seed)
    length, step = length_of(line), kmh / 3.6 * seconds
    told = []
    for along in np.arange(start_m, start_m + metres, step).tolist():
        east, north = at(line, along % length)
        told.append((along, places([(east + dice.gauss(0, noise_m), north + dice.gauss(0, noise_m))])[0]))
    return told
