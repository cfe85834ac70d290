"""Which roads lie beside each other, and means over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from trafficapp.forecast.clock import Floats, Integers

#: What a mean over neighbours is taken of: one and two roads downstream, one and two upstream.
NEIGHBOURHOODS = ("down_1", "up_1", "down_2", "up_2")


@dataclass(frozen=True, eq=False)
class RoadLinks:
    """Links between roads, each with a weight above 0: how near, or how much traffic goes that way."""

    road_count: int
    from_road: Integers
    to_road: Integers
    weight: Floats

    def __post_init__(self) -> None:
        if not len(self.from_road) == len(self.to_road) == len(self.weight):
            raise ValueError("a link has a from_road, a to_road and a weight")
        ends = np.concatenate([self.from_road, self.to_road])
        if len(ends) and not 0 <= ends.min() <= ends.max() < self.road_count:
            raise ValueError(f"a link leads to a road that is not among the {self.road_count}")
        if not (np.isfinite(self.weight).all() and (self.weight > 0).all()):
            raise ValueError("the weight of a link is a number above 0")

    @classmethod
    def none(cls, road_count: int) -> RoadLinks:
        """Roads without links."""
        return cls(road_count, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))

    @classmethod
    def from_matrix(cls, matrix: Floats) -> RoadLinks:
        """Links of a weighted adjacency; what a road has with itself is no link."""
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"an adjacency is square, not {matrix.shape}")
        from_road, to_road = np.nonzero(matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype)))
        return cls(len(matrix), from_road, to_road, matrix[from_road, to_road].astype(np.float32))

    def matrix(self) -> Floats:
        """The weighted adjacency, with nothing on its diagonal."""
        matrix = np.zeros((self.road_count, self.road_count), np.float32)
        matrix[self.from_road, self.to_road] = self.weight
        return matrix

    def among(self, kept: np.typing.NDArray[np.bool_]) -> RoadLinks:
        """The links between some of the roads, which are numbered anew."""
        number = np.cumsum(kept) - 1
        both = kept[self.from_road] & kept[self.to_road]
        return RoadLinks(int(kept.sum()), number[self.from_road[both]], number[self.to_road[both]], self.weight[both])

    def graph_hash(self, road_ids: Sequence[str]) -> str:
        """What tells this graph of these roads from any other."""
        digest = sha256("\n".join(road_ids).encode())
        for column in (self.from_road.astype("<i8"), self.to_road.astype("<i8"), self.weight.astype("<f4")):
            digest.update(column.tobytes())
        return digest.hexdigest()


def neighbour_matrices(links: RoadLinks) -> Floats:
    """Matrices that take a mean over each neighbourhood, shape (neighbourhoods, roads, roads).

    A road without such neighbours has a row of zeros.
    """
    down = links.matrix()
    two_down = down @ down
    two_up = down.T @ down.T
    return np.stack([_rows_to_one(matrix) for matrix in (down, down.T, two_down, two_up)])


def _rows_to_one(matrix: Floats) -> Floats:
    sums = matrix.sum(1, keepdims=True)
    mean: Floats = np.divide(matrix, sums, out=np.zeros_like(matrix), where=sums > 0)
    return mean
