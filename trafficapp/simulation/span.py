"""Which past is simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from trafficapp.simulation.chance import Incident
from trafficapp.simulation.city import City, Floats
from trafficapp.simulation.days import DayTraffic, simulate_days

STEP_MINUTES = 5


@dataclass(frozen=True)
class Span:
    """Days follow from the seed, and are cut to [start, end), which are whole steps."""

    seed: int
    start: datetime
    end: datetime
    zone: ZoneInfo
    incidents: Sequence[Incident] = ()

    def days(self, city: City, progress: Callable[[int], None] = lambda minutes: None) -> Iterator[DayTraffic]:
        """Simulate it, see `simulate_days`."""
        return simulate_days(city, self.seed, self.start, self.end, self.zone, self.incidents, progress)


def step_means(values: Floats) -> Floats:
    """Means over steps of the minutes of a day."""
    means: Floats = values.reshape(-1, STEP_MINUTES, values.shape[1]).mean(1)
    return means
