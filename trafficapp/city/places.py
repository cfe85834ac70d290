"""Finds what has a name by what people type."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from models.city.places import NamedPlace
from trafficapp.roads.graph.road_graph import RoadGraph


class PlaceNames:
    """Names, as they are compared: without accents, case and marks between words."""

    def __init__(self, places: Iterable[NamedPlace]) -> None:
        self._places = [(words_of(f"{place.name} {place.id}"), place) for place in places]

    def find(self, typed: str, limit: int) -> list[NamedPlace]:
        """Places of whose words each typed word begins one; those whose names begin with it first, then the shorter.

        Args:
            typed: as somebody typed it.
            limit: at most.
        """
        wanted = words_of(typed)
        if not wanted:
            return []
        found = [
            (not words[0].startswith(wanted[0]), len(place.name), place.name, place.kind, place)
            for words, place in self._places
            if all(any(word.startswith(part) for word in words) for part in wanted)
        ]
        return [place for *_, place in sorted(found, key=lambda one: one[:4])[:limit]]


def words_of(text: str) -> list[str]:
    """The words of a name as they are compared."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("đ", "d").replace("ß", "ss"))
    kept = "".join(" " if not (one.isalnum() or unicodedata.combining(one)) else one for one in plain)
    return "".join(one for one in kept if not unicodedata.combining(one)).split()


def streets_of(graph: RoadGraph) -> Iterator[NamedPlace]:
    """Every street once, under the name of its road where it has none.

    Several streets of one name, in several quarters, are one place here.
    """
    names = np.where(graph.edge_names != "", graph.edge_names, graph.road_ids)
    middles = (graph.shape_offsets[:-1] + graph.shape_offsets[1:] - 1) // 2
    latitudes, longitudes = graph.shape_lat[middles], graph.shape_lon[middles]
    order = np.argsort(names, kind="stable")
    starts = np.flatnonzero(np.r_[True, names[order][1:] != names[order][:-1]])
    for edges in np.split(order, starts[1:]):
        nearest = edges[_most_central(latitudes[edges], longitudes[edges])]
        name = str(names[nearest])
        yield NamedPlace(
            kind="street",
            id=name,
            name=name,
            latitude=round(float(latitudes[nearest]), 6),
            longitude=round(float(longitudes[nearest]), 6),
        )


def inside_of(ring: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Longitude and latitude of a place inside a zone's ring, near its middle."""
    import shapely

    point = shapely.Polygon(ring).representative_point()
    return float(point.x), float(point.y)


def _most_central(latitudes: np.ndarray, longitudes: np.ndarray) -> int:
    """Which place is nearest to the mean of all."""
    east = (longitudes - longitudes.mean()) * np.cos(np.radians(latitudes.mean()))
    return int(np.argmin((latitudes - latitudes.mean()) ** 2 + east**2))
