"""What is predicted: the speeds of roads, or the congestion scores of cameras and their lanes.

Everything here works on either. Names that end in ``_kmh`` are older than the scores: they hold values in the unit of
the quantity, which every history and every artifact says.
"""

from __future__ import annotations

import msgspec
import numpy as np

from trafficapp.forecast.clock import Floats


class Quantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number that is measured over and over again for each entity.

    Attributes:
        name: as in files and tables.
        entity: what it is of, as a column of files is called.
        unit: for people; "" where the number has none.
        decimals: that are worth showing.
        lowest, highest: predictions are cut off there; None where there is no end.
        possible_to: a measurement above this is none.
        right_share, right_at_least: a prediction is right when it is at most this share of itself off, or this much.
        least_error: a usual error is never believed to be smaller.
        least_for_mape: a relative error of less than this means nothing.
        self_test_tolerance: how far the self-test of an artifact may be off: other processors round otherwise.
        step_seconds: usual length of a step.
        input_steps: steps that a prediction is made from.
        output_steps: steps ahead that it may reach; a moment to learn from has as many behind it.
        horizons_minutes: usual horizons.
    """

    name: str
    entity: str
    unit: str
    decimals: int
    lowest: float
    highest: float | None
    possible_to: float
    right_share: float
    right_at_least: float
    least_error: float
    least_for_mape: float
    self_test_tolerance: float
    step_seconds: int
    input_steps: int
    output_steps: int
    horizons_minutes: tuple[float, ...]

    def cut_off(self, values: Floats) -> Floats:
        """Predictions within what there is."""
        within: Floats = np.maximum(values, self.lowest)
        return within if self.highest is None else np.minimum(within, self.highest)

    def said(self, value: float) -> str:
        """A number with its unit, for people."""
        return f"{value:.{self.decimals + 1}f} {self.unit}".rstrip()


SPEED = Quantity(
    name="speed_kmh",
    entity="road_id",
    unit="km/h",
    decimals=2,
    lowest=0.0,
    highest=None,
    possible_to=250.0,
    right_share=0.10,
    right_at_least=5.0,
    least_error=0.1,
    least_for_mape=1.0,
    self_test_tolerance=0.05,
    step_seconds=300,
    input_steps=12,
    output_steps=12,
    horizons_minutes=(10.0, 20.0, 30.0),
)

CONGESTION_SCORE = Quantity(
    name="congestion_score",
    entity="entity",
    unit="",
    decimals=4,
    lowest=0.0,
    highest=1.0,
    possible_to=1.0,
    right_share=0.10,
    right_at_least=0.05,
    least_error=0.001,
    least_for_mape=0.05,
    self_test_tolerance=0.001,
    step_seconds=60,
    input_steps=15,
    output_steps=30,
    horizons_minutes=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 30.0),
)
