from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trafficapp.settings import SettingsError, load_settings
from trafficapp.settings.due_times import DueTimes


@pytest.mark.parametrize(
    ("text", "moment", "due"),
    [
        ("02:30", "2026-01-14T01:30Z", "2026-01-14T01:30Z"),
        ("02:30", "2026-01-14T01:29Z", "2026-01-13T01:30Z"),
        ("sun 03:00", "2026-01-14T12:00Z", "2026-01-11T02:00Z"),
        ("wed 00:10", "2026-01-13T23:10Z", "2026-01-13T23:10Z"),
        # the clocks go forward: half past two is not there, and is due as if it were
        ("02:30", "2026-03-29T05:00Z", "2026-03-29T01:30Z"),
        # they go back: half past two comes twice, and is due once
        ("02:30", "2026-10-25T05:00Z", "2026-10-25T00:30Z"),
    ],
)
def test_what_was_due_last_by_the_clocks_of_the_city(text: str, moment: str, due: str) -> None:
    times = DueTimes.read(text, "Europe/Rome")
    assert times is not None
    assert times.last_before(datetime.fromisoformat(moment)) == datetime.fromisoformat(due)


def test_a_year_of_nights_has_each_of_them_once() -> None:
    times = DueTimes.read("02:30", "Europe/Rome")
    assert times is not None
    start = datetime(2026, 1, 1, tzinfo=UTC)
    due = {times.last_before(start + timedelta(hours=hour)) for hour in range(365 * 24)}
    assert len(due) == 366


def test_never_and_nonsense() -> None:
    assert DueTimes.read("", "Europe/Rome") is None
    with pytest.raises(ValueError, match="neither a time"):
        DueTimes.read("25:00", "Europe/Rome")
    for section, value in (("forecast", {"train_weekly": "03:00"}), ("backup", {"nightly": "sun 03:00"})):
        with pytest.raises(SettingsError, match=section):
            load_settings(**{section: value})
