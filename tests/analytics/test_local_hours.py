from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from trafficapp.analytics import figures
from trafficapp.analytics.figures import COLUMNS, SCORE_E4, SCORED, VEHICLES, WINDOWS, RangeSums
from trafficapp.analytics.local_hours import UnknownZone, slot_minutes, time_zone

HOUR = timedelta(hours=1)


def sums_of(start: datetime, slots: int, minutes: int = 60) -> RangeSums:
    """One window with a score in each slot; vehicles number the slots."""
    rows = np.zeros((slots, COLUMNS), dtype=np.int64)
    rows[:, [WINDOWS, SCORED]] = 1
    rows[:, VEHICLES] = range(slots)
    rows[:, SCORE_E4] = 2500
    starts = [start + n * timedelta(minutes=minutes) for n in range(slots)]
    return RangeSums(start, start + slots * timedelta(minutes=minutes), starts, rows, ["a"], rows.sum(axis=0)[None], {})


@pytest.mark.parametrize(
    ("zone", "minutes"),
    [
        *(("UTC", 60), ("Europe/Rome", 60), ("America/New_York", 60), ("Asia/Kolkata", 30)),
        *(("Australia/Lord_Howe", 30), ("Asia/Kathmandu", 15), ("Pacific/Chatham", 15)),
    ],
)
def test_slots_fit_into_local_hours(zone: str, minutes: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert slot_minutes(time_zone(zone), start, start + timedelta(days=365)) == minutes


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../UTC", "/etc/passwd", "Europe", "utc+1"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownZone):
        time_zone(name)


@pytest.mark.parametrize(
    ("day", "hours", "twice", "never"),
    [("2026-03-29", 23, None, 2), ("2026-10-25", 25, 2, None), ("2026-06-01", 24, None, None)],
)
def test_days_on_which_clocks_are_changed(day: str, hours: int, twice: int | None, never: int | None) -> None:
    rome = time_zone("Europe/Rome")
    start = datetime.fromisoformat(day).replace(tzinfo=rome).astimezone(UTC)
    sums = sums_of(start, hours)
    trends = figures.trends(sums, rome)
    assert len(trends) == hours
    local = Counter(datetime.fromisoformat(hour.local_hour_start).hour for hour in trends)
    assert local == Counter({hour: 2 if hour == twice else 1 for hour in range(24) if hour != never})
    assert [datetime.fromisoformat(hour.hour_start) for hour in trends] == [start + n * HOUR for n in range(hours)]
    profile = figures.metrics(sums, rome, lambda _: None).peak_hour_distribution
    # an hour without windows is left out
    assert [entry.hour for entry in profile] == [hour for hour in range(24) if hour != never]
    by_hour = {entry.hour: entry for entry in profile}
    if twice is not None:
        assert by_hour[twice].avg_vehicle_count == 2.5  # slots 2 and 3
    assert by_hour[5].avg_congestion_score == 0.25


def test_hours_of_a_half_hour_zone_begin_at_half_past() -> None:
    kolkata = time_zone("Asia/Kolkata")
    trends = figures.trends(sums_of(datetime(2026, 5, 1, 0, 0, tzinfo=UTC), 4, minutes=30), kolkata)
    assert [(hour.hour_start, hour.local_hour_start, hour.windows) for hour in trends] == [
        ("2026-04-30T23:30:00Z", "2026-05-01T05:00:00+05:30", 1),
        ("2026-05-01T00:30:00Z", "2026-05-01T06:00:00+05:30", 2),
        ("2026-05-01T01:30:00Z", "2026-05-01T07:00:00+05:30", 1),
    ]


def test_the_ten_most_congested_cameras_are_in_order_of_score_then_name() -> None:
    names = [f"c{n:02}" for n in range(14)]
    rows = np.zeros((14, COLUMNS), dtype=np.int64)
    rows[:, WINDOWS] = rows[:, SCORED] = 4
    rows[:, SCORE_E4] = [40 + (n % 3) for n in range(14)]
    rows[13, SCORED] = 0
    start = datetime(2026, 5, 1, tzinfo=UTC)
    sums = RangeSums(start, start + HOUR, [start], rows.sum(axis=0)[None], names, rows, {"WARNING": 2, "CRITICAL": 0})
    found = figures.metrics(sums, UTC, {"c02": "Via Stalingrado"}.get)
    ranked = [segment.camera_id for segment in found.top_segments]
    assert ranked == ["c02", "c05", "c08", "c11", "c01", "c04", "c07", "c10", "c00", "c03"]
    assert found.top_segments[0].road_segment == "Via Stalingrado"
    pie = [(part.severity, part.count) for part in found.incident_pie]
    assert pie == [("EMERGENCY", 0), ("CRITICAL", 0), ("WARNING", 2)]
