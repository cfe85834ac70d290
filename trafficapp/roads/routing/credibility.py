"""Whether published speeds say something of the traffic, and what is to be told with them.

Speeds are published anew whether or not the feed says anything, so how young they are proves nothing: what counts is
when the newest speed was measured, and how many roads have theirs from a measurement.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from models.timestamps import epoch_us, rfc3339
from trafficapp.roads.routing.published import PublishedSpeeds


def why_unusable(published: PublishedSpeeds, now: datetime, usable_seconds: float) -> str | None:
    """Why speeds say nothing of the traffic; None when they do.

    Args:
        published: the speeds.
        now: aware.
        usable_seconds: for so long after a measurement it says something.
    """
    if published.observed_at is None:
        return "no speed has been measured yet"
    newest = f"the newest speed was measured at {rfc3339(epoch_us(published.observed_at))}"
    if now - published.observed_at > timedelta(seconds=usable_seconds):
        return f"{newest}, older than {usable_seconds / 60:g} minutes"
    if not published.sources.get("model", 0) + published.sources.get("last_value", 0):
        return f"no road was measured lately, {newest}"
    if np.isnan(published.speeds_kmh).all():
        return "no speed of any road of the graph is known"
    return None


def caveat(published: PublishedSpeeds) -> str | None:
    """What is to be told with usable speeds that are not all measured and predicted by a model."""
    told = []
    if not published.sources.get("model", 0):
        told.append("no model predicts, roads are taken to keep the speed measured last")
    if usual := published.sources.get("time_of_day", 0):
        roads = sum(published.sources.values())
        told.append(f"{usual} of {roads} roads were not measured lately and are taken to be as usual at this time")
    return "; ".join(told) or None
