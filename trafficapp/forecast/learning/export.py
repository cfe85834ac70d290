"""From a fitted network to ONNX."""

from __future__ import annotations

import io
import logging
import warnings

import torch

from trafficapp.forecast.artifacts.inference import INPUTS, OUTPUT
from trafficapp.forecast.features import CLOCK_COLUMNS
from trafficapp.forecast.learning.fitting import predict
from trafficapp.forecast.learning.packing import Candidate
from trafficapp.forecast.learning.training import Trained

_OPSET = 18
_MOST_MOMENTS = 4096


def candidate(trained: Trained) -> Candidate:
    """A fitted model, ready to be written as an artifact."""
    return Candidate(
        kind=trained.kind,
        data=trained.data,
        linear=trained.linear,
        judged=trained.judged,
        predict=lambda data, moments: predict(trained.network, data, moments),
        network=network_bytes(trained),
        seeds=trained.seeds,
        epochs=trained.epochs,
        seconds=trained.seconds,
    )


def network_bytes(trained: Trained) -> bytes:
    """The network as ONNX, for any number of moments at once."""
    roads = len(trained.data.history.road_ids)
    example = (torch.zeros(2, roads, len(trained.data.layout.columns)), torch.zeros(2, CLOCK_COLUMNS))
    moments = torch.export.Dim("moments", min=1, max=_MOST_MOMENTS)
    # The exporter tells about operators of other packages, which are no concern of who trains.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            trained.network.eval(),
            example,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_shapes=({0: moments}, {0: moments}),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    file = io.BytesIO()
    program.save(file)
    return file.getvalue()
