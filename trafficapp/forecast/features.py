"""What a model sees. Training and serving build it here and nowhere else, so it cannot differ.

For each road: its last steps, the means of its neighbours in the same steps, usual speeds before and after, and how
much of it was really measured. Speeds are scaled; missing ones are filled with the last known before (or the first
after) and said to be missing; means over neighbours leave them out. The clock goes beside: harmonics of the local day.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from trafficapp.forecast.clock import DAY_SECONDS, Bools, Floats, Integers, local_seconds
from trafficapp.forecast.neighbours import NEIGHBOURHOODS
from trafficapp.forecast.profiles import UsualSpeeds
from trafficapp.forecast.quantities import Quantity

#: The usual speeds of the past are told at every third step.
_PAST_EVERY = 3
_HARMONICS = (1, 2, 4)
CLOCK_COLUMNS = 2 * len(_HARMONICS)


#: In files these have no unit in their names: the quantity says it.
_WRITTEN = {"mean_kmh": "mean", "deviation_kmh": "deviation"}


class FeatureLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename=_WRITTEN):
    """All that decides about features besides graph and profile. It is a part of every artifact.

    What has a default is left out where it has it: artifacts from before it was there are the same as ever.
    """

    quantity: Quantity
    input_steps: int
    step_seconds: int
    horizon_steps: tuple[int, ...]
    zone: str
    mean_kmh: float
    deviation_kmh: float
    #: Inputs of the weather, `trafficapp.forecast.weather_inputs.WEATHER_INPUTS`, or none.
    weather: tuple[str, ...] = ()

    @property
    def horizons_minutes(self) -> tuple[float, ...]:
        """How far ahead the predictions are."""
        return tuple(steps * self.step_seconds / 60 for steps in self.horizon_steps)

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column of a road's features is."""
        back = range(self.input_steps - 1, -1, -1)
        return (
            *(f"speed_{steps}_ago" for steps in back),
            *(f"{near}_{steps}_ago" for near in NEIGHBOURHOODS for steps in back),
            *(f"usual_{steps}_ago" for steps in list(back)[::_PAST_EVERY]),
            *(f"usual_in_{steps}" for steps in self.horizon_steps),
            *("missing_share", "steps_since_known"),
            *(f"weather_{name}" for name in self.weather),
            *(("weather_known",) if self.weather else ()),
        )

    def scale(self, speeds_kmh: Floats) -> Floats:
        """Speeds as a model knows them."""
        return ((speeds_kmh - self.mean_kmh) / self.deviation_kmh).astype(np.float32)

    def speeds(self, scaled: Floats) -> Floats:
        """The way back; no speed is below 0."""
        return self.quantity.cut_off(scaled * self.deviation_kmh + self.mean_kmh).astype(np.float32)


class Features(NamedTuple):
    """The inputs of a model for some moments, and for which roads they mean something."""

    roads: Floats  # (moments, roads, columns)
    clock: Floats  # (moments, CLOCK_COLUMNS)
    seen: Bools  # (moments, roads): at least one step was measured


def build_features(
    layout: FeatureLayout,
    neighbours: Floats,
    usual: UsualSpeeds,
    recent_kmh: Floats,
    last_times: Integers,
    weather: Floats | None = None,
) -> Features:
    """Features of some moments.

    Args:
        layout: steps, horizons and scaling.
        neighbours: the matrices of `neighbour_matrices`.
        usual: the usual speeds: of an artifact when serving, without the own day when training.
        recent_kmh: shape (moments, input steps, roads), the newest last, NaN where nothing was measured.
        last_times: when the newest step of each moment began, in seconds since the epoch.
        weather: of the newest step of each moment, shape (moments, inputs of the layout), NaN where it is not known;
            None where nothing is known of any.
    """
    scaled = layout.scale(recent_kmh)
    known: Bools = np.isfinite(scaled)
    near = _neighbour_means(neighbours, np.where(known, scaled, 0), known)
    usual_past = layout.scale(usual.at(_offset(layout, last_times, range(1 - layout.input_steps, 1, _PAST_EVERY))))
    usual_coming = layout.scale(usual.at(_offset(layout, last_times, layout.horizon_steps)))
    own, since = _filled(scaled, known, layout.scale(usual.at(last_times)))
    near = np.where(np.isfinite(near), near, own[:, None])
    moments, _, roads = recent_kmh.shape
    seen = np.asarray(known.any(1))
    missing = np.stack([1 - known.mean(1), since / layout.input_steps], 1)
    columns = [own, near.reshape(moments, -1, roads), usual_past, usual_coming, missing]
    if layout.weather:
        told = np.full((moments, len(layout.weather)), np.nan, np.float32) if weather is None else weather
        columns.append(np.repeat(_weather_columns(told)[:, :, None], roads, 2))
    values = np.concatenate(columns, 1, dtype=np.float32).transpose(0, 2, 1)
    return Features(np.ascontiguousarray(values), clock_columns(last_times, layout.zone), seen)


def _weather_columns(weather: Floats) -> Floats:
    """What is known of the weather, 0 where nothing is, and whether anything is; shape (moments, inputs + 1)."""
    known: Bools = np.isfinite(weather)
    columns: Floats = np.concatenate([np.where(known, weather, 0), known.any(1, keepdims=True)], 1, dtype=np.float32)
    return columns


def clock_columns(times: Integers, zone: str) -> Floats:
    """Harmonics of the local day, shape (moments, CLOCK_COLUMNS)."""
    turn = 2 * np.pi * (local_seconds(times, zone) % DAY_SECONDS) / DAY_SECONDS
    waves = [wave(times_a_day * turn) for times_a_day in _HARMONICS for wave in (np.sin, np.cos)]
    return np.stack(waves, -1).astype(np.float32)


def _offset(layout: FeatureLayout, times: Integers, steps: range | tuple[int, ...]) -> Integers:
    return times[:, None] + layout.step_seconds * np.array(steps, np.int64)


def _neighbour_means(neighbours: Floats, values: Floats, known: Bools) -> Floats:
    """Means over known neighbours, shape (moments, neighbourhoods, steps, roads); NaN where there are none."""
    means: Floats = values[:, None] @ neighbours.transpose(0, 2, 1)
    if known.all():
        weights = np.broadcast_to(neighbours.sum(2)[None, :, None], means.shape)
    else:
        weights = known[:, None].astype(np.float32) @ neighbours.transpose(0, 2, 1)
    found: Floats = np.divide(means, weights, out=np.full_like(means, np.nan), where=weights > 1e-6)
    return found


def _filled(scaled: Floats, known: Bools, usual_now: Floats) -> tuple[Floats, Floats]:
    """Values without gaps, and the number of steps since a road was last measured."""
    steps = known.shape[1]
    if known.all():
        return scaled, np.zeros((known.shape[0], known.shape[2]), np.float32)
    at = np.arange(steps)[:, None]
    before = np.maximum.accumulate(np.where(known, at, -1), 1)
    after = np.minimum.accumulate(np.where(known, at, steps)[:, ::-1], 1)[:, ::-1]
    source = np.where(before >= 0, before, np.minimum(after, steps - 1))
    filled = np.take_along_axis(scaled, source, 1)
    seen = np.asarray(known.any(1, keepdims=True))
    since = np.where(seen[:, 0], steps - 1 - before[:, -1], steps).astype(np.float32)
    return np.where(seen, filled, usual_now[:, None]), since
