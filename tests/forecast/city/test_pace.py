"""When rounds of predictions are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trafficapp.forecast.city.pace import Pace
from trafficapp.roads.graph.versions import time_of, version_after


def pace_from(now: float) -> Pace:
    return Pace.after_take_over(now, settle_seconds=0.25, at_most_seconds=2.0, apart_seconds=2.0, refresh_seconds=60.0)


def test_a_round_is_due_when_the_feed_has_settled_but_is_not_put_off_for_ever() -> None:
    pace = pace_from(100.0)
    assert pace.due_at() == 100.25
    pace.records_came(100.2)
    assert pace.due_at() == 100.45
    for tenth in range(3, 30):
        pace.records_came(100 + tenth / 10)
    assert pace.due_at() == 102.0
    pace.round_made(102.1)
    assert pace.due_at() == 162.1


def test_rounds_keep_their_distance_and_a_batch_after_a_quiet_time_is_answered_at_once() -> None:
    pace = pace_from(100.0)
    pace.round_made(100.3)
    pace.records_came(100.5)
    assert pace.due_at() == 102.3
    pace.round_made(102.4)
    pace.records_came(105.0)
    assert pace.due_at() == 105.25


@pytest.mark.parametrize("every_seconds", [0.1, 0.3, 0.5, 1.0])
def test_however_the_feed_trickles_versions_do_not_run_ahead_of_the_clock(every_seconds: float) -> None:
    begin = datetime(2026, 11, 21, 7, tzinfo=UTC)
    pace, came, versions = pace_from(0.0), 0.0, list[str]()
    while came < 1800:
        due = pace.due_at()
        if came <= due:
            pace.records_came(came)
            came += every_seconds
            continue
        pace.round_made(due)
        versions.append(version_after(begin + timedelta(seconds=due), versions[-1] if versions else None))
        assert (time_of(versions[-1]) - begin).total_seconds() <= due + 1
    assert versions == sorted(set(versions))
    assert len(versions) > 500
