"""Running a network with ONNX Runtime, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.features import CLOCK_COLUMNS, FeatureLayout

INPUTS = ("roads", "clock")
OUTPUT = "speeds"


class NetworkError(ValueError):
    """A file is no network, or one of other roads, features or horizons."""


class OnnxNetwork:
    """A network, on one thread: inference must not take the cores from what keeps the numbers exact."""

    def __init__(self, path: Path, layout: FeatureLayout, road_count: int) -> None:
        """Open a network and check that it takes what is built for it.

        Raises:
            NetworkError: it does not, or it cannot be read.
        """
        # loading it takes a sixth of the start of a process that may never run a network
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            # ONNX Runtime gives its own kinds of exceptions no common base besides this.
            self._session: Any = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise NetworkError(f"{path.name} is no network that can be run: {error}") from None
        self._check(path.name, layout, road_count)

    def run(self, roads: Floats, clock: Floats) -> Floats:
        """Scaled speeds, shape (moments, roads, horizons)."""
        (speeds,) = self._session.run([OUTPUT], dict(zip(INPUTS, (roads, clock), strict=True)))
        return np.asarray(speeds, np.float32)

    def _check(self, name: str, layout: FeatureLayout, road_count: int) -> None:
        shapes = {one.name: one.shape[1:] for one in (*self._session.get_inputs(), *self._session.get_outputs())}
        wanted = {
            INPUTS[0]: [road_count, len(layout.columns)],
            INPUTS[1]: [CLOCK_COLUMNS],
            OUTPUT: [road_count, len(layout.horizon_steps)],
        }
        if shapes != wanted:
            raise NetworkError(f"{name} has inputs and outputs {shapes}, where {wanted} is needed")
