"""When something is due that happens every night or every week, by the clocks of a city."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOUR_AND_MINUTE = r"([01]\d|2[0-3]):([0-5]\d)"

#: How settings say it; empty is never.
NIGHTLY_PATTERN = rf"^({_HOUR_AND_MINUTE})?$"
WEEKLY_PATTERN = rf"^(({'|'.join(_WEEKDAYS)}) {_HOUR_AND_MINUTE})?$"
_DUE = re.compile(rf"^(?:({'|'.join(_WEEKDAYS)}) )?{_HOUR_AND_MINUTE}$")


@dataclass(frozen=True, slots=True)
class DueTimes:
    """Every day or one day a week, at a local time.

    Attributes:
        hour, minute: of the local clock.
        zone: name of the time zone.
        weekday: 0 is Monday; None is every day.
    """

    hour: int
    minute: int
    zone: str
    weekday: int | None = None

    @classmethod
    def read(cls, text: str, zone: str) -> DueTimes | None:
        """Read ``02:30`` or ``sun 03:00``; None when it is empty, which means never.

        Raises:
            ValueError: it is something else.
        """
        if not text:
            return None
        found = _DUE.match(text)
        if found is None:
            raise ValueError(f"{text!r} is neither a time such as 02:30 nor a weekday and a time such as sun 03:00")
        weekday, hour, minute = found.groups()
        return cls(int(hour), int(minute), zone, None if weekday is None else _WEEKDAYS.index(weekday))

    def last_before(self, moment: datetime) -> datetime:
        """The newest time that was due at a moment, in UTC.

        A local time that a clock change leaves out is due as if the clock had not been changed; one that comes twice
        is due the first time.
        """
        city = ZoneInfo(self.zone)
        day = moment.astimezone(city).date() + timedelta(days=1)
        while True:
            if self.weekday in (None, day.weekday()):
                local = datetime(day.year, day.month, day.day, self.hour, self.minute, tzinfo=city)
                due = local.astimezone(UTC)
                if due <= moment:
                    return due
            day -= timedelta(days=1)
