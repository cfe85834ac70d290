"""The path of a route as a line in metres, and where on it a place may be."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import asin, atan2, cos, hypot, inf, pi, radians
from typing import TYPE_CHECKING, NamedTuple

from trafficapp.movement.distance import METRES_PER_DEGREE, metres_between

if TYPE_CHECKING:
    from trafficapp.transit.many_pieces import ManyPieces

#: Points nearer than this are one.
_SAME_M = 0.01
#: A point that is no farther beside the line of its neighbours does not bend it.
_BEND_M = 2.0
#: Of a path with more pieces, those that are near are looked for in one step first.
_FEW = 24


class Found(NamedTuple):
    """A place on a path.

    Attributes:
        at_m: from the beginning of the path, along it.
        off_m: how far the place that was asked for lies beside it.
        cost_m: `off_m`, and what speaks against it.
    """

    at_m: float
    off_m: float
    cost_m: float


class Piece(NamedTuple):
    """A straight piece: on the map where it begins, its direction and length; along the path its begin.

    `scale` is metres along the path for one on the map.
    """

    x: float
    y: float
    ux: float
    uy: float
    length: float
    begin_m: float
    scale: float


class RoutePath:
    """A path.

    Lengths along it are those of a globe. Where a place lies is decided on a flat map, true to scale at the middle of
    the path. Points that hardly bend the line are left out there; lengths still go by all of them.

    Args:
        places: latitude and longitude of its points, degrees WGS 84.
        closed_within_m: a path whose end is so near its beginning is driven round and round.

    Raises:
        ValueError: it has no length.
    """

    _many: ManyPieces | None

    __slots__ = ("_begins", "_east", "_is_long", "_lon", "_many", "_pieces", "is_closed", "length_m")

    def __init__(self, places: Sequence[tuple[float, float]], closed_within_m: float) -> None:
        latitudes = [latitude for latitude, _ in places]
        self._lon = places[0][1] if places else 0.0
        self._east = METRES_PER_DEGREE * cos(radians((min(latitudes, default=0) + max(latitudes, default=0)) / 2))
        points, along = list[tuple[float, float, float]](), 0.0
        here: tuple[float, float] | None = None
        for place in places:
            metres = 0.0 if here is None else metres_between(*here, *place)
            if here is None or metres > _SAME_M:
                here, along = place, along + metres
                points.append((*self.on_map(*place), along))
        if len(points) < 2:
            raise ValueError("the path has no length")
        self.length_m = along
        gap = metres_between(*places[0], *places[-1])
        self.is_closed = gap <= closed_within_m and along > 4 * gap
        self._pieces = [_piece(*ends) for ends in pairwise(_bends(points))]
        self._begins = [piece.begin_m for piece in self._pieces]
        self._is_long, self._many = len(self._pieces) > _FEW, None

    def on_map(self, latitude: float, longitude: float) -> tuple[float, float]:
        """East and north of a place in metres; across the antimeridian the shorter way."""
        east = (longitude - self._lon + 540) % 360 - 180
        return east * self._east, latitude * METRES_PER_DEGREE

    def between(
        self, x: float, y: float, from_m: float, to_m: float, at_m: float, ahead: float, back: float
    ) -> Found | None:
        """The likeliest place of a stretch, for who was at `at_m` before.

        Args:
            x: place on the map.
            y: likewise.
            from_m: where the stretch begins; on a path that is closed it may be below 0.
            to_m: where it ends; there it may be beyond the length.
            at_m: where it was before.
            ahead: metres beside the path that a metre further on weighs as much as.
            back: the same of a metre backwards.

        Returns:
            a place whose `at_m` lies between `from_m` and `to_m`; None when nothing of the path does.
        """
        best_cost, best_at, best_off = inf, 0.0, inf
        length_m, begins = self.length_m, self._begins
        for shift in (0.0, length_m, -length_m) if self.is_closed else (0.0,):
            low, high = max(from_m - shift, 0.0), min(to_m - shift, length_m)
            if low > high:
                continue
            first, last = max(bisect_right(begins, low) - 1, 0), bisect_right(begins, high)
            for px, py, ux, uy, length, begin_m, scale in self._pieces[first:last]:
                dx, dy = x - px, y - py
                beside = dx * uy - dy * ux
                if beside >= best_cost or -beside >= best_cost:
                    continue
                reached = dx * ux + dy * uy
                reached = 0.0 if reached < 0 else length if reached > length else reached
                along = begin_m + reached * scale
                if along < low or along > high:
                    along = low if along < low else high
                    reached = (along - begin_m) / scale
                off = hypot(dx - reached * ux, dy - reached * uy)
                way = along + shift - at_m
                cost = off + (way * ahead if way >= 0 else -way * back)
                if cost < best_cost:
                    best_cost, best_at, best_off = cost, along + shift, off
        return None if best_cost == inf else Found(best_at, best_off, best_cost)

    def anywhere(self, x: float, y: float, at_m: float, heading: tuple[float, float] | None, noise_m: float) -> Found:
        """The likeliest place of the whole path.

        Of several that are about as near, it is one that is driven in the direction of the move, and of these the
        first that comes after `at_m`.

        Args:
            x: place on the map.
            y: likewise.
            at_m: where it was before; 0 for who was nowhere.
            heading: the move as east and north in metres; None when there was none that says anything.
            noise_m: how wrong a place may be.
        """
        best = Found(0.0, inf, inf)
        length_m = self.length_m
        for px, py, ux, uy, length, begin_m, scale in self._near(x, y, 3 * noise_m):
            dx, dy = x - px, y - py
            reached = dx * ux + dy * uy
            reached = 0.0 if reached < 0 else length if reached > length else reached
            off = hypot(dx - reached * ux, dy - reached * uy)
            along = begin_m + reached * scale
            way = along - at_m if along >= at_m else along - at_m + length_m
            cost = off + noise_m * way / length_m
            if heading is not None and heading[0] * ux + heading[1] * uy < 0:
                cost += noise_m
            if cost < best.cost_m:
                # rounding may end it behind the end
                best = Found(min(along, length_m), off, cost)
        return best

    def _near(self, x: float, y: float, more_m: float) -> Iterable[Piece]:
        """Pieces, all that are hardly farther than the nearest among them."""
        if not self._is_long:
            return self._pieces
        if self._many is None:
            # only now, as commands and most workers have no long paths, and nothing else to do with arrays
            from trafficapp.transit.many_pieces import ManyPieces

            self._many = ManyPieces(self._pieces)
        return (self._pieces[index] for index in self._many.near(x, y, more_m))


def _piece(begin: tuple[float, float, float], end: tuple[float, float, float]) -> Piece:
    (x, y, begin_m), (to_x, to_y, end_m) = begin, end
    # at a pole there is no way on the map, but one along the path
    length = hypot(to_x - x, to_y - y) or _SAME_M
    return Piece(x, y, (to_x - x) / length, (to_y - y) / length, length, begin_m, (end_m - begin_m) / length)


def _bends(points: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Points that the others lie between, within `_BEND_M`: one pass, however many there are.

    From a point that is kept, all directions are remembered that pass by every point since. The first point out of
    them, or nearer than the one before it, ends the piece: where a path turns round, the turn is kept.
    """
    kept, anchor, before = [points[0]], points[0], points[0]
    far, low, high, reference = 0.0, -pi, pi, 0.0
    for point in points[1:]:
        dx, dy = point[0] - anchor[0], point[1] - anchor[1]
        metres, direction = hypot(dx, dy), atan2(dy, dx)
        if before is anchor:
            reference = direction
        turn = (direction - reference + pi) % (2 * pi) - pi
        if before is not anchor and (metres < far or not low <= turn <= high):
            kept.append(before)
            anchor = before
            dx, dy = point[0] - anchor[0], point[1] - anchor[1]
            metres, reference, turn, low, high = hypot(dx, dy), atan2(dy, dx), 0.0, -pi, pi
        aside = asin(min(_BEND_M / metres, 1.0)) if metres else pi
        low, high, far, before = max(low, turn - aside), min(high, turn + aside), metres, point
    return [*kept, points[-1]]
