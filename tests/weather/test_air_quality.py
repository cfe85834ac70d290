"""The index as the EPA computes it since May 2024."""

from __future__ import annotations

import pytest

from trafficapp.weather.air_quality import BANDS, band_of, index_of_pm2_5, whole_index


@pytest.mark.parametrize(
    ("micrograms", "index", "name"),
    [
        (0.0, 0, "Good"),
        (9.0, 50, "Good"),
        (9.1, 51, "Moderate"),
        (9.5, 52, "Moderate"),
        (35.4, 100, "Moderate"),
        (35.5, 101, "Unhealthy for Sensitive Groups"),
        (55.4, 150, "Unhealthy for Sensitive Groups"),
        (55.5, 151, "Unhealthy"),
        (125.4, 200, "Unhealthy"),
        (125.5, 201, "Very Unhealthy"),
        (225.4, 300, "Very Unhealthy"),
        (225.5, 301, "Hazardous"),
        (325.4, 500, "Hazardous"),
        (400.0, 649, "Hazardous"),
    ],
)
def test_an_index_follows_from_the_table_of_may_2024(micrograms: float, index: int, name: str) -> None:
    assert index_of_pm2_5(micrograms) == index
    assert band_of(index).name == name


@pytest.mark.parametrize(
    ("told", "counts_as"), [(9.09, 9.0), (35.49, 35.4), (55.4999, 55.4), (125.45, 125.4), (225.49, 225.4), (0.09, 0.0)]
)
def test_a_concentration_is_cut_to_one_decimal_and_not_rounded(told: float, counts_as: float) -> None:
    assert index_of_pm2_5(told) == index_of_pm2_5(counts_as)


def test_no_tenth_is_lost_to_floats() -> None:
    for tenths in range(4000):
        assert index_of_pm2_5(tenths / 10) == index_of_pm2_5(tenths / 10 + 0.05), tenths / 10


@pytest.mark.parametrize(
    ("index", "whole", "name", "colour", "rgb"),
    [
        (0, 0, "Good", "Green", "#00E400"),
        (50.49, 50, "Good", "Green", "#00E400"),
        (50.5, 51, "Moderate", "Yellow", "#FFFF00"),
        (100.4, 100, "Moderate", "Yellow", "#FFFF00"),
        (100.5, 101, "Unhealthy for Sensitive Groups", "Orange", "#FF7E00"),
        (150.5, 151, "Unhealthy", "Red", "#FF0000"),
        (200.49, 200, "Unhealthy", "Red", "#FF0000"),
        (201, 201, "Very Unhealthy", "Purple", "#8F3F97"),
        (300.5, 301, "Hazardous", "Maroon", "#7E0023"),
        (377.39, 377, "Hazardous", "Maroon", "#7E0023"),
        (500, 500, "Hazardous", "Maroon", "#7E0023"),
        (649, 649, "Hazardous", "Maroon", "#7E0023"),
    ],
)
def test_an_index_with_decimals_has_the_band_of_the_nearest_whole_one(
    index: float, whole: int, name: str, colour: str, rgb: str
) -> None:
    band = band_of(index)
    assert (whole_index(index), band.name, band.colour, band.rgb) == (whole, name, colour, rgb)


def test_bands_meet_without_a_gap() -> None:
    assert [band.lowest for band in BANDS] == [0, 51, 101, 151, 201, 301]
