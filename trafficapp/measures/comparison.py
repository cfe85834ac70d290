"""Before and after: how a travel time differs, with an interval that says how sure that is.

The daily means of each span are the sample, since quarters of an hour of one day are alike (they are no independent
draws); their difference has Welch's interval: unequal variances, degrees of freedom after Welch and Satterthwaite
(Welch: The Generalization of 'Student's' Problem when Several Different Population Variances are Involved, Biometrika
34, 1947).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, tzinfo

import numpy as np

from models.roads.measures import ComparedSpan, TravelTimeComparison
from trafficapp.measures.paces import Floats

#: Fewer days say nothing of how days differ.
LEAST_DAYS = 2
#: Of a day, so much must be measured for its mean to count: a share of the steps that a day of the span has at most.
LEAST_SHARE = 0.5
CONFIDENCE = 0.95


def daily_means(times: Floats, starts: Sequence[datetime], clock: tzinfo) -> list[float]:
    """The mean travel time of each local day that was measured for long enough, seconds."""
    days: dict[date, list[float]] = {}
    due: dict[date, int] = {}
    for start, seconds in zip(starts, times.tolist(), strict=True):
        day = start.astimezone(clock).date()
        due[day] = due.get(day, 0) + 1
        if math.isfinite(seconds):
            days.setdefault(day, []).append(seconds)
    most = max(due.values(), default=0)
    return [float(np.mean(found)) for _, found in sorted(days.items()) if len(found) >= LEAST_SHARE * most]


def compare(before: Sequence[float], after: Sequence[float]) -> TravelTimeComparison:
    """Set the daily means of two spans beside each other.

    Returns:
        the difference after − before, its 95 % interval, and whether 0 lies outside of it; without an interval where a
        span has fewer than `LEAST_DAYS` days.
    """
    spans = [_span(before), _span(after)]
    if not before or not after:
        return TravelTimeComparison(before=spans[0], after=spans[1])
    a, b = np.array(before), np.array(after)
    difference = float(b.mean() - a.mean())
    relative = difference / float(a.mean())
    if min(len(a), len(b)) < LEAST_DAYS:
        return TravelTimeComparison(
            before=spans[0], after=spans[1], difference_seconds=round(difference, 2), relative=round(relative, 4)
        )
    parts = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    error = math.sqrt(sum(parts))
    freedom = None
    half = 0.0
    if error > 0:
        freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
        half = student_t(freedom, CONFIDENCE) * error
    return TravelTimeComparison(
        before=spans[0],
        after=spans[1],
        difference_seconds=round(difference, 2),
        relative=round(relative, 4),
        low_seconds=round(difference - half, 2),
        high_seconds=round(difference + half, 2),
        confidence=CONFIDENCE,
        degrees_of_freedom=None if freedom is None else round(freedom, 2),
        is_significant=abs(difference) > half,
    )


def student_t(freedom: float, confidence: float) -> float:
    """Half the width of Student's distribution that holds so much of it."""
    # half a second to import, and only who compares pays for it
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, freedom))


def _span(days: Sequence[float]) -> ComparedSpan:
    if not days:
        return ComparedSpan(days=0)
    deviation = float(np.std(days, ddof=1)) if len(days) > 1 else None
    return ComparedSpan(
        days=len(days), mean_seconds=round(float(np.mean(days)), 2),
        deviation_seconds=None if deviation is None else round(deviation, 2),
    )  # fmt: skip
