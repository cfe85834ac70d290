"""Places that ship with a package: nearest on the ground, with how far away."""

from __future__ import annotations

import numpy as np
import pytest

from trafficapp.geocoding.addresses import metres_between
from trafficapp.geocoding.offline_places import OfflinePlaces, shipped_places


@pytest.fixture(scope="module")
def places() -> OfflinePlaces:
    return shipped_places()


@pytest.mark.parametrize(
    ("at", "city", "province", "within_m"),
    [
        ((21.0278, 105.8342), "Hanoi", "Hanoi", 1_000),
        # the name is that of a district; the province is right
        ((10.7769, 106.7009), "Quận Một", "Ho Chi Minh", 1_000),
        ((44.4940, 11.3430), "Bologna", "Emilia-Romagna", 1_000),
        ((69.6500, 18.9500), "Tromsø", "Troms", 1_000),
    ],
)
def test_the_place_and_its_province(
    places: OfflinePlaces, at: tuple[float, float], city: str, province: str, within_m: float
) -> None:
    [found] = places.nearest([at])
    assert (found.address.source, found.address.city, found.address.province) == ("offline", city, province)
    assert found.address.fulladdress == (city if city == province else f"{city}, {province}")
    assert found.distance_m < within_m
    assert found.distance_m == pytest.approx(
        metres_between(*at, found.address.latitude or 0, found.address.longitude or 0), abs=0.1
    )


def test_the_nearest_is_nearest_in_metres_not_in_degrees(places: OfflinePlaces) -> None:
    """Far in the north, and across the 180th meridian, degrees mislead."""
    points = [
        (78.0, 20.0),
        (70.0, 25.7),
        (65.0, -150.0),
        (-17.0, 179.99),
        (-17.0, -179.99),
        (89.99, 0.0),
        (52.0, -179.9),
    ]
    lat = np.array([place.latitude for place in places._places])
    lon = np.array([place.longitude for place in places._places])
    misled = 0
    for at, found in zip(points, places.nearest(points), strict=True):
        away = np.array([metres_between(*at, *place) for place in zip(lat.tolist(), lon.tolist(), strict=True)])
        assert found.distance_m == pytest.approx(float(away.min()), abs=0.1)
        misled += int(np.argmin(np.hypot(lat - at[0], lon - at[1]))) != int(away.argmin())
    assert misled >= 3


def test_nobody_asks_for_nothing(places: OfflinePlaces) -> None:
    assert places.nearest([]) == []
    with pytest.raises(ValueError, match="no place"):
        OfflinePlaces([])
