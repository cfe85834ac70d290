"""Saturdays and Sundays have usual speeds of their own as soon as enough of them are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.forecast.synthetic import HORIZONS, ZONE, artifact, town
from trafficapp.forecast.artifacts.artifact import load
from trafficapp.forecast.clock import local_days, weekend
from trafficapp.forecast.learning.history import SpeedHistory
from trafficapp.forecast.learning.windows import prepare
from trafficapp.forecast.profiles import held_out_profile, plain_profile, smooth_profile, weekends_apart


def quiet_weekends(days: int) -> tuple[SpeedHistory, np.ndarray]:
    """The town, 15 km/h faster on weekends, and which of its steps these are."""
    history = town(days)
    free = weekend(local_days(history.times, ZONE))
    return replace(history, speeds_kmh=history.speeds_kmh + np.float32(15) * free[:, None]), free


def test_it_takes_a_week_and_a_bit_to_tell_weekends_apart() -> None:
    assert not weekends_apart(town(5).times, ZONE)
    assert weekends_apart(town(12).times, ZONE)
    # the 7th and 8th of March 2026 are the weekend of this town's first week
    days = np.unique(local_days(town(10).times, ZONE))
    assert [str(np.datetime64(int(day), "D")) for day in days[weekend(days)]] == ["2026-03-07", "2026-03-08"]


def test_usual_speeds_differ_by_what_weekends_differ() -> None:
    history, free = quiet_weekends(14)
    seen = (history.speeds_kmh, history.times, ZONE, history.step_seconds)
    saturday, tuesday = history.times[free][:96], history.times[~free][:96]
    for make in (plain_profile, smooth_profile):
        together, apart = make(*seen), make(*seen, apart=True)
        np.testing.assert_allclose(together.at(saturday), together.at(tuesday))
        difference = float((apart.at(saturday) - apart.at(tuesday)).mean())
        assert 10 < difference < 17
    held_out = held_out_profile(*seen, apart=True)
    changed = history.speeds_kmh.copy()
    changed[free] += 100
    # a Saturday sees the Sunday, but not itself
    others = held_out_profile(np.where(local_days(history.times, ZONE)[:, None] == local_days(saturday[:1], ZONE),
                                       changed, history.speeds_kmh), *seen[1:], apart=True)  # fmt: skip
    np.testing.assert_array_equal(held_out.at(saturday), others.at(saturday))


def test_an_artifact_keeps_them(tmp_path: Path) -> None:
    history, free = quiet_weekends(14)
    data = prepare(history, HORIZONS)
    assert data.smooth.weekend_kmh is not None
    loaded = load(artifact(data, tmp_path)).knowledge
    times = history.times[free][:200:50]
    np.testing.assert_array_equal(loaded.smooth.at(times), data.smooth.at(times))
    np.testing.assert_array_equal(loaded.plain.at(times), data.plain.at(times))
    error = np.abs(loaded.plain.at(history.times[free]) - history.speeds_kmh[free]).mean()
    assert error < np.abs(loaded.plain.speeds_kmh.mean(0) - history.speeds_kmh[free]).mean()
