"""The timetable that the buses of the simulated city drive by, and the static GTFS feed of it.

Each line is driven in rounds of so many minutes that a day is full of them; its buses follow each other evenly. A turn
is one way along a route: a trip of the feed on a day.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from trafficapp.simulation.feeds.lines import Line, Route
from trafficapp.timetables.service_days import day_begin_s

#: The timetable has so much longer than the schedule of a route says; measured over the morning peak of a day with
#: nothing special, when ways take from 1.2 to 2 times as long, and noon, when they take from 0.8 to 1.4 times.
_LONGER = 1.5
#: At least so long a bus rests at the end of its way.
REST_S = 60
_DAY_S = 86_400
#: No bus leaves every so many stops, the first one among them, before its time.
_TIMEPOINTS = 3
#: Calendars go on for so long before and after the day on which they are written.
_DAYS_BACK, _DAYS_AHEAD = 2, 365


class Turn(NamedTuple):
    """A way along a route on a day.

    Attributes:
        trip_id: of the feed.
        start_date: service day, YYYYMMDD.
        begins_s: when the bus should be at the beginning of the route, seconds since the epoch.
    """

    trip_id: str
    start_date: str
    begins_s: int


class LineTimetable:
    """When the buses of a line drive.

    Args:
        line: the line.
        zone: the city's time zone.

    Attributes:
        way_s: what each route takes, seconds.
        cycle_s: from one beginning of a round to the next of the same bus, seconds.
    """

    def __init__(self, line: Line, zone: ZoneInfo) -> None:
        self.line, self._zone = line, zone
        self.way_s = [round(_LONGER * 60 * route.minutes) for route in line.routes]
        least_s = sum(self.way_s) + REST_S * len(line.routes)
        self.cycle_s = next(
            60 * minutes for minutes in range(1, 1441) if 1440 % minutes == 0 and 60 * minutes >= least_s
        )
        rest_s = (self.cycle_s - sum(self.way_s)) // len(line.routes)
        self._begins_s = [sum(self.way_s[:turn]) + rest_s * turn for turn in range(len(line.routes))]

    def _first_s(self, bus: int, turn: int) -> int:
        """When a bus first drives a route on a day, seconds of the day."""
        return bus * self.cycle_s // self.line.buses + self._begins_s[turn]

    def turn(self, bus: int, turn: int, about_s: float) -> Turn:
        """The way of a bus along a route that should begin as near to a time as any.

        Args:
            bus: counts those of the line up from 0.
            turn: place of the route among those of the line.
            about_s: seconds since the epoch.
        """
        first_s = self._first_s(bus, turn)
        found = []
        here = datetime.fromtimestamp(about_s, UTC).astimezone(self._zone).date()
        for day in (here - timedelta(days=1), here, here + timedelta(days=1)):
            day_s = day_begin_s(self._zone.key, day)
            number = min(max(round((about_s - day_s - first_s) / self.cycle_s), 0), _DAY_S // self.cycle_s - 1)
            begin_s = first_s + number * self.cycle_s
            found.append(Turn(_trip_id(self.line.routes[turn], begin_s), f"{day:%Y%m%d}", day_s + begin_s))
        return min(found, key=lambda one: abs(one.begins_s - about_s))

    def at(self, bus: int, now_s: float) -> tuple[int, Turn, float]:
        """Which route a bus should be on now, which turn that is, and which share of its way should be behind it."""
        turns = [(turn, self.turn(bus, turn, now_s - self.way_s[turn] / 2)) for turn in range(len(self.line.routes))]
        begun = [one for one in turns if one[1].begins_s <= now_s] or turns[:1]
        turn, found = max(begun, key=lambda one: one[1].begins_s)
        return turn, found, min(max((now_s - found.begins_s) / self.way_s[turn], 0.0), 1.0)

    def due_s(self, turn: int, begins_s: int, at_m: float) -> float:
        """When a bus should be somewhere along a route."""
        return begins_s + self.way_s[turn] * at_m / self.line.routes[turn].length_m

    def trips(self) -> Iterable[tuple[int, int]]:
        """All trips of a day: place of the route, and when it begins, seconds of the day."""
        for turn in range(len(self.line.routes)):
            for bus in range(self.line.buses):
                first_s = self._first_s(bus, turn)
                yield from ((turn, begin_s) for begin_s in range(first_s, first_s + _DAY_S, self.cycle_s))


def is_timepoint(stop: int) -> bool:
    """Whether buses wait for their time at a stop of a route."""
    return stop % _TIMEPOINTS == 0


def _trip_id(route: Route, begin_s: int) -> str:
    minutes = begin_s // 60
    return f"{route.name}-{minutes // 60:02}{minutes % 60:02}"


def write_feed(path: Path, lines: Sequence[Line], zone: ZoneInfo, now: datetime) -> None:
    """Write the timetable of all lines as a static GTFS feed.

    Args:
        path: of the zip.
        lines: of the city.
        zone: its time zone.
        now: when that is, aware.
    """
    day = now.astimezone(zone).date()
    first, last = day - timedelta(days=_DAYS_BACK), day + timedelta(days=_DAYS_AHEAD)
    weekdays = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    tables: dict[str, list[Mapping[str, object]]] = {
        "agency": [
            {
                "agency_id": "demo",
                "agency_name": "Buses of the simulated city",
                "agency_url": "https://example.org",
                "agency_timezone": zone.key,
            }
        ],
        "calendar": [
            {"service_id": "daily", **dict.fromkeys(weekdays, 1), "start_date": f"{first:%Y%m%d}"}
            | {"end_date": f"{last:%Y%m%d}"}
        ],
        "routes": [
            {"route_id": line.name, "agency_id": "demo", "route_short_name": line.name, "route_long_name": ""}
            | {"route_type": 3}
            for line in lines
        ],
        "stops": list(_stops(lines)),
        "shapes": [
            {"shape_id": route.name, "shape_pt_lat": round(place[0], 6), "shape_pt_lon": round(place[1], 6)}
            | {"shape_pt_sequence": number, "shape_dist_traveled": round(route.point_m[number], 1)}
            for line in lines
            for route in line.routes
            for number, place in enumerate(route.path)
        ],
        "trips": [],
        "stop_times": [],
    }
    for line in lines:
        _add_trips(tables, LineTimetable(line, zone))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in tables.items():
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            archive.writestr(f"{name}.txt", text.getvalue())


def _stops(lines: Sequence[Line]) -> Iterable[Mapping[str, object]]:
    known = {stop.station_id: stop for line in lines for route in line.routes for stop in route.stops}
    for station_id, stop in sorted(known.items()):
        yield {
            "stop_id": station_id,
            "stop_name": f"Station {station_id.removeprefix('st-')}",
            "stop_lat": stop.latitude,
            "stop_lon": stop.longitude,
        }


def _add_trips(tables: dict[str, list[Mapping[str, object]]], timetable: LineTimetable) -> None:
    line = timetable.line
    for turn, begin_s in timetable.trips():
        route, trip_id = line.routes[turn], _trip_id(line.routes[turn], begin_s)
        ends = route.stops[-1].station_id.removeprefix("st-")
        tables["trips"].append(
            {"route_id": line.name, "service_id": "daily", "trip_id": trip_id, "shape_id": route.name}
            | {"direction_id": turn, "trip_headsign": f"Station {ends}"}
        )
        for number, stop in enumerate(route.stops):
            time = _clock(begin_s + round(timetable.due_s(turn, 0, stop.at_m)))
            tables["stop_times"].append(
                {"trip_id": trip_id, "arrival_time": time, "departure_time": time, "stop_id": stop.station_id}
                | {"stop_sequence": number + 1, "shape_dist_traveled": round(stop.at_m, 1)}
                | {"timepoint": int(is_timepoint(number))}
            )


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
