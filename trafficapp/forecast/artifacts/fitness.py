"""Whether a model can predict what it shall, in a registry of models of roads or in one of models of cameras."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from trafficapp.forecast.artifacts.artifact import Artifact
from trafficapp.forecast.quantities import SPEED, Quantity

#: Says why a model cannot serve; None when it can.
Fitness: TypeAlias = Callable[[Artifact], str | None]


def unfit(artifact: Artifact, step_seconds: int, quantity: Quantity = SPEED) -> str | None:
    """Why a model cannot predict what it shall; None when it can.

    Args:
        artifact: the model.
        step_seconds: length of a step of what is predicted.
        quantity: what is to be predicted, and how far ahead.
    """
    layout = artifact.about.layout
    if layout.quantity.name != quantity.name:
        return f"it predicts {layout.quantity.name}, not {quantity.name}"
    if layout.step_seconds != step_seconds:
        return f"it was trained with steps of {layout.step_seconds} s, those of the settings are {step_seconds} s"
    missing = [minutes for minutes in quantity.horizons_minutes if minutes not in layout.horizons_minutes]
    if missing:
        return f"it does not predict {', '.join(f'{minutes:g}' for minutes in missing)} minutes ahead"
    return None


def fitness(step_seconds: int, quantity: Quantity) -> Fitness:
    """`unfit` for models of one registry."""
    return lambda artifact: unfit(artifact, step_seconds, quantity)
