"""Zones of a tap: known cells, borders, and the two ends of the map."""

from __future__ import annotations

import pytest

from trafficapp.riders.cells import cell_of, middle_of, station_of, station_zone


@pytest.mark.parametrize(
    ("latitude", "longitude", "cell"),
    [
        # the example of the Wikipedia article on geohash, cut to five characters
        (57.64911, 10.40744, "u4pru"),
        # of the documentation of Redis' GEOHASH: Palermo and Catania, likewise
        (38.115556, 13.361389, "sqc8b"),
        (37.502669, 15.087269, "sqdtr"),
        (44.5056, 11.3430, "srbj4"),
        # borders belong to the cell north and east of them
        (0.0, 0.0, "s0000"),
        (45.0, 11.25, "u2000"),
        (44.9999999, 11.25, "srbpb"),
        (45.0, 11.2499999, "u0pbp"),
        # 180 degrees east is 180 degrees west; the pole belongs to the northernmost cell
        (0.0, 180.0, "80000"),
        (0.0, -180.0, "80000"),
        (90.0, 0.0, "upbpb"),
        (-90.0, -180.0, "00000"),
    ],
)
def test_a_place_lies_in_one_cell(latitude: float, longitude: float, cell: str) -> None:
    assert cell_of(latitude, longitude, 5) == cell


def test_a_smaller_cell_begins_with_the_larger_one_and_its_middle_lies_in_it() -> None:
    cell = cell_of(44.5056, 11.3430, 6)
    assert cell[:5] == cell_of(44.5056, 11.3430, 5)
    assert cell_of(*middle_of(cell), 6) == cell


@pytest.mark.parametrize("station_id", ["ST-01", "srbj4", "", "station:", "ü:1"])
def test_a_station_is_no_cell(station_id: str) -> None:
    assert station_of(station_zone(station_id)) == station_id
    assert station_of(cell_of(44.5, 11.3, 5)) is None
