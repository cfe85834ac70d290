"""Cells of a GTFS feed: times, days, numbers; and the days of its services."""

from __future__ import annotations

import re
from datetime import date

from models.timetables.timetable import Service
from trafficapp.timetables.feed_files import FeedFiles, Problems, UnusableFeed

_TIME = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d)").fullmatch
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ADDED, _REMOVED = "1", "2"
#: A calendar goes on no longer than this many days: some feeds write 2099 for "until further notice".
MOST_DAYS = 3660


def seconds_of(cell: str) -> int | None:
    """Seconds of the service day of a time such as 25:10:00.

    Raises:
        ValueError: it is none.
    """
    if not cell:
        return None
    found = _TIME(cell)
    if found is None:
        raise ValueError(f"{cell!r} is no time such as 25:10:00")
    hours, minutes, seconds = map(int, found.groups())
    return hours * 3600 + minutes * 60 + seconds


def day_of(cell: str) -> int:
    """The ordinal of a day such as 20260131.

    Raises:
        ValueError: it is none.
    """
    if len(cell) != 8 or not cell.isdecimal():
        raise ValueError(f"{cell!r} is no day such as 20260131")
    return date(int(cell[:4]), int(cell[4:6]), int(cell[6:])).toordinal()


def services(files: FeedFiles, problems: Problems) -> list[Service]:
    """All services of calendar.txt and calendar_dates.txt.

    Raises:
        UnusableFeed: there is neither.
    """
    if "calendar" not in files and "calendar_dates" not in files:
        raise UnusableFeed("there is neither calendar.txt nor calendar_dates.txt")
    weekly: dict[str, tuple[int, int, int]] = {}
    for line, row in files.rows("calendar", ("service_id", *_WEEKDAYS, "start_date", "end_date"), problems):
        try:
            first, last = day_of(row["start_date"]), day_of(row["end_date"])
        except ValueError as error:
            problems.add("calendar.txt: rows with a day that is none, left out", f"line {line}: {error}")
            continue
        if last < first:
            problems.add("calendar.txt: services that end before they begin", f"line {line}")
        weekdays = sum(1 << index for index, name in enumerate(_WEEKDAYS) if row[name] == "1")
        weekly[row["service_id"]] = weekdays, first, min(last, first + MOST_DAYS)
    dates: dict[tuple[str, str], set[int]] = {}
    for line, row in files.rows("calendar_dates", ("service_id", "date", "exception_type"), problems):
        if row["exception_type"] not in (_ADDED, _REMOVED):
            problems.add("calendar_dates.txt: rows that neither add nor remove a day, left out", f"line {line}")
            continue
        try:
            dates.setdefault((row["service_id"], row["exception_type"]), set()).add(day_of(row["date"]))
        except ValueError as error:
            problems.add("calendar_dates.txt: rows with a day that is none, left out", f"line {line}: {error}")
    names = sorted({*weekly, *(name for name, _ in dates)})
    return [
        Service(
            name,
            *weekly.get(name, (0, 1, 0)),
            sorted(dates.get((name, _ADDED), ())),
            sorted(dates.get((name, _REMOVED), ())),
        )
        for name in names
    ]
