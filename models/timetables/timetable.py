"""A timetable as it is kept: what a static GTFS feed says of the runs of its vehicles, without repeating itself.

Trips that serve the same stops along the same shape share a `Pattern`, those that take equally long a `Profile`. Others
are named by their place in the lists of the `Timetable`. Times are seconds after the begin of the service day, which
is noon minus twelve hours, so that they go on beyond 24:00 and over changes of the clock (GTFS reference, "Time").
"""

from __future__ import annotations

from msgspec import Struct


class Stop(Struct, array_like=True, frozen=True, gc=False):
    """A place where vehicles stop; degrees WGS 84."""

    stop_id: str
    name: str
    latitude: float
    longitude: float


class Route(Struct, array_like=True, frozen=True, gc=False):
    """A line; `kind` is GTFS's route_type: 0 tram, 1 subway, 2 rail, 3 bus, 4 ferry and so on."""

    route_id: str
    short_name: str
    long_name: str
    kind: int


class Pattern(Struct, array_like=True, frozen=True):
    """The stops that trips serve, in order.

    Attributes:
        route: of the timetable's routes.
        direction: 0 or 1; None where the feed does not say.
        path: of the timetable's paths.
        stops: each of the timetable's stops.
        at_m: where each of them is along the path, metres; never less than the one before.
        sequences: the stop_sequence of each.
        timepoints: whether no vehicle leaves before its time.
    """

    route: int
    direction: int | None
    path: int
    stops: list[int]
    at_m: list[float]
    sequences: list[int]
    timepoints: list[bool]


class Profile(Struct, array_like=True, frozen=True):
    """Scheduled times at the stops of a pattern, seconds after the trip leaves its first one."""

    arrivals: list[int]
    departures: list[int]


class Trip(Struct, array_like=True, frozen=True, gc=False):
    """A trip; it may run on many days, and with frequencies many times a day.

    Attributes:
        trip_id: of the feed.
        pattern: of the timetable's patterns.
        profile: of the timetable's profiles.
        service: of the timetable's services.
        leaves_s: when it leaves its first stop, seconds of the service day.
        headsign: what its vehicle shows.
        block_id: trips of the same are served by one vehicle; None where the feed does not say.
    """

    trip_id: str
    pattern: int
    profile: int
    service: int
    leaves_s: int
    headsign: str
    block_id: str | None


class Frequency(Struct, array_like=True, frozen=True, gc=False):
    """A trip runs again and again, from one time up to before another; `is_exact` tells whether by the clock."""

    trip: int
    from_s: int
    until_s: int
    headway_s: int
    is_exact: bool


class Service(Struct, array_like=True, frozen=True):
    """Days; each as `datetime.date.toordinal` counts it.

    Attributes:
        service_id: of the feed.
        weekdays: on which it runs from `first` to `last`; bit 0 is Monday.
        first: first day of the weekly pattern.
        last: its last day; before `first` where there is none.
        added: further days.
        removed: days of the pattern on which it does not run.
    """

    service_id: str
    weekdays: int
    first: int
    last: int
    added: list[int]
    removed: list[int]


class Timetable(Struct, frozen=True):
    """All of a feed.

    Attributes:
        version: of the content: equal feeds have equal ones.
        agency: name of the first agency.
        zone: IANA name of the zone that all its times are of.
        stops: places; stations that no trip stops at are left out.
        routes: lines.
        paths: points of each as latitude and longitude.
        patterns: stops in order.
        profiles: times.
        services: days.
        trips: runs.
        frequencies: of trips that run again and again.
    """

    version: str
    agency: str
    zone: str
    stops: list[Stop]
    routes: list[Route]
    paths: list[list[tuple[float, float]]]
    patterns: list[Pattern]
    profiles: list[Profile]
    services: list[Service]
    trips: list[Trip]
    frequencies: list[Frequency]
