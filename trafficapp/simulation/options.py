"""What can be said on the command line of ``trafficapp simulate``: durations, times, incidents."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import NamedTuple

import click

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d)")
_INCIDENT = re.compile(r"(?P<edge>.+)@\+?(?P<after>[^@/]+)/(?P<length>[^@/]+)")


class DurationType(click.ParamType):
    """A length of time such as 14d, 6h, 20min or 90s."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it."""
        if isinstance(value, timedelta):
            return value
        found = _duration(str(value))
        if found is None:
            self.fail(f"{value!r} is no duration such as 14d, 6h, 20min or 90s", param, ctx)
        return found


class StartHourType(click.ParamType):
    """A local hour, or ``day`` (None here means: as the clock has it)."""

    name = "hour|day"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check it."""
        if value != "day" and not (value.isdecimal() and int(value) < 24):
            self.fail(f"{value!r} is neither an hour from 0 to 23 nor 'day'", param, ctx)
        return value


class AskedIncident(NamedTuple):
    """An incident somebody asks for: on which edge, how long after the start, how long."""

    edge_id: str
    after: timedelta
    length: timedelta


class IncidentType(click.ParamType):
    """``EDGE@+120s/20min``."""

    name = "edge@+after/length"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> AskedIncident:
        """Read it."""
        if isinstance(value, AskedIncident):
            return value
        found = _INCIDENT.fullmatch(str(value))
        if found is not None:
            after, length = (
                timedelta(0) if found["after"] == "0s" else _duration(found["after"]),
                _duration(found["length"]),
            )
            if after is not None and length is not None:
                return AskedIncident(found["edge"], after, length)
        self.fail(f"{value!r} is not of the form EDGE@+120s/20min", param, ctx)


def _duration(text: str) -> timedelta | None:
    found = _DURATION.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        return None
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
