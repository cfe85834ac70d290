"""The Air Quality Index of the EPA: its bands with their names and colours, and the index of fine particles.

Source of all of it: EPA, Technical Assistance Document for the Reporting of Daily Air Quality, EPA-454/B-24-002, May
2024, tables 1, 2 and 6, after 40 CFR part 58, appendix G, as of 6 May 2024.
"""

from __future__ import annotations

from bisect import bisect_right
from math import floor
from typing import NamedTuple


class Band(NamedTuple):
    """A category of the index.

    Attributes:
        lowest: the least index that belongs to it.
        name: as the EPA calls it.
        colour: as the EPA calls it.
        rgb: the colour's formula, as hexadecimal digits.
    """

    lowest: int
    name: str
    colour: str
    rgb: str


BANDS = (
    Band(0, "Good", "Green", "#00E400"),
    Band(51, "Moderate", "Yellow", "#FFFF00"),
    Band(101, "Unhealthy for Sensitive Groups", "Orange", "#FF7E00"),
    Band(151, "Unhealthy", "Red", "#FF0000"),
    Band(201, "Very Unhealthy", "Purple", "#8F3F97"),
    Band(301, "Hazardous", "Maroon", "#7E0023"),
)
_LOWEST = [band.lowest for band in BANDS]

#: Concentrations of PM2.5 in tenths of µg/m³ and indices, from and to. The last line also holds beyond its end.
_PM2_5 = (
    ((0, 90), (0, 50)),
    ((91, 354), (51, 100)),
    ((355, 554), (101, 150)),
    ((555, 1254), (151, 200)),
    ((1255, 2254), (201, 300)),
    ((2255, 3254), (301, 500)),
)
_PM2_5_FROM = [concentrations[0] for concentrations, _ in _PM2_5]

#: Half a millionth is far more than floats are off in tenths, and far less than anybody measures.
_OFF = 5e-7


def whole_index(index: float) -> int:
    """An index as it is reported: rounded to the nearest whole number, halves up."""
    return floor(index + 0.5)


def band_of(index: float) -> Band:
    """The band of an index, which may have decimals; beyond 500 is hazardous as well."""
    return BANDS[bisect_right(_LOWEST, whole_index(index)) - 1]


def index_of_pm2_5(micrograms: float) -> int:
    """The index of a concentration of PM2.5 in µg/m³, not negative.

    The concentration is cut to one decimal, the index rounded to a whole number. The EPA's index is that of a day's
    mean; of a momentary concentration it says what a day of it would be.
    """
    tenths = floor(micrograms * 10 + _OFF)
    (low, high), (index_low, index_high) = _PM2_5[bisect_right(_PM2_5_FROM, tenths) - 1]
    return whole_index(index_low + (index_high - index_low) * (tenths - low) / (high - low))
