"""The nearest of many pieces of a path, all at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class ManyPieces:
    """Pieces of a path as columns.

    Args:
        pieces: of the path: where each begins on its map, its direction and its length, and what else is known of it.
    """

    def __init__(self, pieces: Sequence[Sequence[float]]) -> None:
        self._columns = np.array(pieces).T.copy()

    def near(self, x: float, y: float, more_m: float) -> Sequence[int]:
        """Numbers of the pieces that are at most `more_m` farther from a place of the map than the nearest."""
        px, py, ux, uy, length = self._columns[:5]
        dx, dy = x - px, y - py
        reached = dx * ux
        reached += dy * uy
        np.maximum(reached, 0, out=reached)
        np.minimum(reached, length, out=reached)
        dx -= reached * ux
        dy -= reached * uy
        off = np.hypot(dx, dy)
        found: list[int] = np.flatnonzero(off <= off.min() + more_m).tolist()
        return found
