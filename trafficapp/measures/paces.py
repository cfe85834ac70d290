"""How long roads took, step by step: what reliability, surfaces and bottlenecks are reckoned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: A speed below counts as this much: an observation of a road that stands says nothing of how long it will take.
LEAST_KMH = 1.0


@dataclass(frozen=True, slots=True)
class MeasuredRoad:
    """A road as measures need it.

    Attributes:
        length_m: of it.
        free_flow_kmh: as the feed told it last.
        coordinates: its line as (longitude, latitude).
        lanes: on average, as the graph has it.
        begin, end: nodes of the graph, in driving direction; -1 where it does not know the road.
        nodes: all that it touches.
    """

    road_id: str
    road_name: str
    length_m: float
    free_flow_kmh: float
    coordinates: Sequence[tuple[float, float]] = ()
    lanes: float = 1.0
    begin: int = -1
    end: int = -1
    nodes: frozenset[int] = frozenset()

    @property
    def free_flow_seconds(self) -> float:
        """How long it takes at free flow."""
        return self.length_m * 3.6 / self.free_flow_kmh


@dataclass(frozen=True, eq=False, slots=True)
class StepPaces:
    """The mean pace of roads in each step of a span; a step is what lies between two multiples of its length.

    The pace is the mean of 1/speed of the observations of a step: the time that a vehicle needs, not the mean speed.

    Attributes:
        roads: in the order of the columns; of a corridor in driving direction.
        first_step: begins at this many steps after 1970.
        step_seconds: length of a step.
        hours_per_km: shape (steps, roads); NaN where nothing was measured.
    """

    roads: Sequence[MeasuredRoad]
    first_step: int
    step_seconds: int
    hours_per_km: Floats

    @property
    def starts(self) -> list[datetime]:
        """When each step begins, UTC."""
        first = datetime.fromtimestamp(self.first_step * self.step_seconds, UTC)
        return [first + timedelta(seconds=self.step_seconds * step) for step in range(len(self.hours_per_km))]

    @property
    def seconds(self) -> Floats:
        """How long each road took in each step, seconds."""
        seconds: Floats = self.hours_per_km * np.array([road.length_m for road in self.roads]) * 3.6
        return seconds

    @property
    def free_flow_seconds(self) -> Floats:
        """How long each road takes at free flow, seconds."""
        return np.array([road.free_flow_seconds for road in self.roads])
