"""From a static GTFS feed to a `Timetable`; what cannot be used is left out and told."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from itertools import pairwise
from math import isfinite
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np

from models.timetables.timetable import Frequency, Pattern, Profile, Route, Stop, Timetable, Trip
from trafficapp.timetables.calendars import seconds_of, services
from trafficapp.timetables.feed_files import FeedFiles, Problems, Row, UnusableFeed
from trafficapp.timetables.stop_places import OFF_SHAPE_M, Shape

#: Vehicles are no faster between stops, or the times of a feed are wrong: the fastest trains.
_MOST_KMH = 400.0
#: A timepoint told as 0 is approximate; 1, or nothing in a feed that tells it, is kept.
_APPROXIMATE = "0"


class _Call(NamedTuple):
    """A row of stop_times; times are None where they are to be interpolated."""

    sequence: int
    stop: int
    arrives_s: int | None
    departs_s: int | None
    travelled: float | None
    is_timepoint: bool


def read_timetable(files: FeedFiles, problems: Problems) -> Timetable:
    """Read a feed.

    Args:
        files: of the feed.
        problems: takes what was left out, or looks wrong.

    Raises:
        UnusableFeed: no timetable can be made of it.
    """
    for table in ("agency", "routes", "trips", "stop_times", "stops"):
        if table not in files:
            raise UnusableFeed(f"{files.name} has no {table}.txt")
    return _Reader(files, problems).timetable()


class _Reader:
    def __init__(self, files: FeedFiles, problems: Problems) -> None:
        self._files, self._problems = files, problems
        self._agency, self._zone = self._agencies()
        self._stops, self._stop_of = self._all_stops()
        self._routes, self._route_of = self._all_routes()
        self._services = services(files, problems)
        self._service_of = {service.service_id: index for index, service in enumerate(self._services)}
        self._shapes = self._all_shapes()
        self._tells_timepoints = False
        self._paths: list[list[tuple[float, float]]] = []
        self._path_of: dict[object, int] = {}
        self._patterns: dict[bytes, int] = {}
        self._made_patterns: list[Pattern] = []
        self._profiles: dict[bytes, int] = {}
        self._made_profiles: list[Profile] = []

    def timetable(self) -> Timetable:
        trips, trip_of = list[Trip](), dict[str, int]()
        calls = self._calls()
        for line, row in self._files.rows("trips", ("route_id", "service_id", "trip_id"), self._problems):
            trip_id = row["trip_id"]
            if trip_id in trip_of:
                self._problems.add("trips.txt: a trip_id a second time, left out", f"line {line}: {trip_id}")
            elif (trip := self._trip(line, row, calls.get(trip_id, []))) is not None:
                trip_of[trip_id] = len(trips)
                trips.append(trip)
        if not trips:
            raise UnusableFeed("no trip of the feed can be used")
        frequencies = list(self._frequencies(trip_of))
        used = sorted({stop for pattern in self._made_patterns for stop in pattern.stops})
        number = {stop: index for index, stop in enumerate(used)}
        patterns = [
            msgspec.structs.replace(pattern, stops=[number[stop] for stop in pattern.stops])
            for pattern in self._made_patterns
        ]
        made = Timetable(
            version="",
            agency=self._agency,
            zone=self._zone,
            stops=[self._stops[stop] for stop in used],
            routes=self._routes,
            paths=self._paths,
            patterns=patterns,
            profiles=self._made_profiles,
            services=self._services,
            trips=trips,
            frequencies=frequencies,
        )
        version = hashlib.sha256(msgspec.msgpack.encode(made)).hexdigest()[:16]
        return msgspec.structs.replace(made, version=version)

    def _agencies(self) -> tuple[str, str]:
        found: tuple[str, str] | None = None
        for line, row in self._files.rows("agency", ("agency_name", "agency_timezone"), self._problems):
            zone = row["agency_timezone"]
            if found is None:
                try:
                    ZoneInfo(zone)
                except (ZoneInfoNotFoundError, ValueError, OSError):
                    raise UnusableFeed(f"agency.txt, line {line}: there is no time zone {zone!r}") from None
                found = row["agency_name"], zone
            elif zone != found[1]:
                self._problems.add(
                    f"agency.txt: agencies of another zone than {found[1]}, which counts", f"line {line}"
                )
        if found is None:
            raise UnusableFeed("agency.txt has no agency")
        return found

    def _all_stops(self) -> tuple[list[Stop], dict[str, int]]:
        stops, number = list[Stop](), dict[str, int]()
        for line, row in self._files.rows("stops", ("stop_id", "stop_lat", "stop_lon"), self._problems):
            place = _place(row["stop_lat"], row["stop_lon"])
            if place is None:
                if row.get("location_type", "") in ("", "0"):
                    self._problems.add("stops.txt: stops without a place, left out", f"line {line}: {row['stop_id']}")
                continue
            number[row["stop_id"]] = len(stops)
            stops.append(Stop(row["stop_id"], row.get("stop_name", ""), *place))
        return stops, number

    def _all_routes(self) -> tuple[list[Route], dict[str, int]]:
        routes, number = list[Route](), dict[str, int]()
        for line, row in self._files.rows("routes", ("route_id", "route_type"), self._problems):
            try:
                kind = int(row["route_type"])
            except ValueError:
                kind = 3
                self._problems.add("routes.txt: a route_type that is none, taken for a bus", f"line {line}")
            number[row["route_id"]] = len(routes)
            names = row.get("route_short_name", ""), row.get("route_long_name", "")
            routes.append(Route(row["route_id"], *names, kind))
        return routes, number

    def _all_shapes(self) -> dict[str, Shape]:
        told: dict[str, list[tuple[int, float, float, float | None]]] = {}
        needed = ("shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence")
        for line, row in self._files.rows("shapes", needed, self._problems):
            place = _place(row["shape_pt_lat"], row["shape_pt_lon"])
            try:
                sequence = int(row["shape_pt_sequence"])
            except ValueError:
                place = None
            if place is None:
                self._problems.add("shapes.txt: points that are none, left out", f"line {line}")
                continue
            point = (sequence, *place, _number(row.get("shape_dist_traveled", "")))
            told.setdefault(row["shape_id"], []).append(point)
        made: dict[str, Shape] = {}
        for shape_id, points in told.items():
            points.sort(key=lambda point: point[0])
            travelled = [along for *_, along in points if along is not None]
            try:
                places = [(latitude, longitude) for _, latitude, longitude, _ in points]
                made[shape_id] = Shape(places, travelled if len(travelled) == len(points) else None)
            except ValueError:
                self._problems.add("shapes.txt: shapes without a length, left out", shape_id)
        return made

    def _calls(self) -> dict[str, list[_Call]]:
        found: dict[str, list[_Call]] = {}
        needed = ("trip_id", "stop_id", "stop_sequence", "arrival_time", "departure_time")
        for line, row in self._files.rows("stop_times", needed, self._problems):
            self._tells_timepoints |= "timepoint" in row
            stop = self._stop_of.get(row["stop_id"])
            if stop is None:
                self._problems.add("stop_times.txt: stops that stops.txt does not have", f"line {line}")
                continue
            try:
                arrives_s, departs_s = seconds_of(row["arrival_time"]), seconds_of(row["departure_time"])
                sequence = int(row["stop_sequence"])
            except ValueError as error:
                self._problems.add("stop_times.txt: rows with a time or number that is none", f"line {line}: {error}")
                continue
            arrives_s = departs_s if arrives_s is None else arrives_s
            departs_s = arrives_s if departs_s is None else departs_s
            kept = arrives_s is not None and row.get("timepoint", "") != _APPROXIMATE
            call = _Call(sequence, stop, arrives_s, departs_s, _number(row.get("shape_dist_traveled", "")), kept)
            found.setdefault(row["trip_id"], []).append(call)
        return found

    def _trip(self, line: int, row: Row, calls: list[_Call]) -> Trip | None:
        route, service = self._route_of.get(row["route_id"]), self._service_of.get(row["service_id"])
        where = f"line {line}: {row['trip_id']}"
        calls.sort(key=lambda call: call.sequence)
        if route is None or service is None:
            self._problems.add("trips.txt: trips of a route or service that is not there, left out", where)
            return None
        if len(calls) < 2 or calls[0].departs_s is None or calls[-1].arrives_s is None:
            self._problems.add("trips.txt: trips without times at their first and last stop, left out", where)
            return None
        known = [time for call in calls if call.arrives_s is not None for time in (call.arrives_s, call.departs_s)]
        if any(later < earlier for earlier, later in pairwise(known)):  # type: ignore[operator]  # both or neither
            self._problems.add("stop_times.txt: trips whose times run backwards, left out", where)
            return None
        direction = {"0": 0, "1": 1}.get(row.get("direction_id", ""))
        pattern = self._pattern(route, direction, row.get("shape_id", ""), calls, where)
        at_m = self._made_patterns[pattern].at_m
        leaves_s = calls[0].departs_s
        profile = _profile(calls, at_m, leaves_s)
        if _is_too_fast(profile, at_m):
            self._problems.add(f"stop_times.txt: trips faster than {_MOST_KMH:.0f} km/h between stops", where)
        blob = array("q", [*profile.arrivals, *profile.departures]).tobytes()
        if blob not in self._profiles:
            self._profiles[blob] = len(self._made_profiles)
            self._made_profiles.append(profile)
        return Trip(
            row["trip_id"],
            pattern,
            self._profiles[blob],
            service,
            leaves_s,
            row.get("trip_headsign", ""),
            row.get("block_id", "") or None,
        )

    def _pattern(self, route: int, direction: int | None, shape_id: str, calls: list[_Call], where: str) -> int:
        stops, sequences = [call.stop for call in calls], [call.sequence for call in calls]
        timepoints = [self._tells_timepoints and call.is_timepoint for call in calls]
        travelled = [call.travelled for call in calls]
        name = msgspec.msgpack.encode((route, direction, shape_id, stops, sequences, timepoints, travelled))
        if (known := self._patterns.get(name)) is not None:
            return known
        shape = self._shapes.get(shape_id)
        if shape_id and shape is None:
            self._problems.add("trips.txt: shapes that shapes.txt does not have; straight lines instead", where)
        at_m = None if shape is None else self._along(shape, calls, where)
        if shape is None or at_m is None:
            path, at_m = self._straight(stops)
        else:
            path = self._path_of.setdefault(shape_id, len(self._paths))
            if path == len(self._paths):
                self._paths.append(shape.points)
        index = self._patterns[name] = len(self._made_patterns)
        self._made_patterns.append(Pattern(route, direction, path, stops, at_m, sequences, timepoints))
        return index

    def _along(self, shape: Shape, calls: list[_Call], where: str) -> list[float] | None:
        places = [(self._stops[call.stop].latitude, self._stops[call.stop].longitude) for call in calls]
        travelled = [call.travelled for call in calls if call.travelled is not None]
        if len(travelled) == len(calls) and (at_m := shape.by_distance(travelled)) is not None:
            if all(shape.off_m(place, at) <= OFF_SHAPE_M for place, at in zip(places, at_m, strict=True)):
                return at_m
            self._problems.add("stop_times.txt: shape_dist_traveled that is far from the stop, not used", where)
        begin_s, end_s = calls[0].departs_s or 0, calls[-1].arrives_s or 0
        told = [index for index, call in enumerate(calls) if call.arrives_s is not None and end_s > begin_s]
        shares = [((calls[index].arrives_s or 0) - begin_s) / (end_s - begin_s) for index in told]
        if not told:
            told, shares = [0, len(calls) - 1], [0.0, 1.0]
        shares = [float(share) for share in np.clip(np.interp(range(len(calls)), told, shares), 0, 1)]
        placed = shape.placed(places, shares)
        if placed is None:
            self._problems.add("trips.txt: stops that are off their shape, or not in its order; straight lines", where)
        return placed

    def _straight(self, stops: list[int]) -> tuple[int, list[float]]:
        """The path from stop to stop; of one that goes nowhere, a metre."""
        places = [(self._stops[stop].latitude, self._stops[stop].longitude) for stop in stops]
        path = self._path_of.setdefault(tuple(stops), len(self._paths))
        if path == len(self._paths):
            if len(set(places)) == 1:
                places[-1] = (places[-1][0] + 1e-5, places[-1][1])
            self._paths.append(places)
        shape = Shape(self._paths[path])
        return path, [float(at) for at in shape.along]

    def _frequencies(self, trip_of: dict[str, int]) -> Iterator[Frequency]:
        needed = ("trip_id", "start_time", "end_time", "headway_secs")
        for line, row in self._files.rows("frequencies", needed, self._problems):
            trip = trip_of.get(row["trip_id"])
            try:
                begin_s, end_s, headway_s = (
                    seconds_of(row["start_time"]),
                    seconds_of(row["end_time"]),
                    int(row["headway_secs"]),
                )
            except ValueError as error:
                self._problems.add("frequencies.txt: rows with a time or number that is none", f"line {line}: {error}")
                continue
            if trip is None or begin_s is None or end_s is None or end_s <= begin_s or headway_s <= 0:
                self._problems.add("frequencies.txt: rows that say nothing, left out", f"line {line}")
                continue
            yield Frequency(trip, begin_s, end_s, headway_s, row.get("exact_times", "") == "1")


def _profile(calls: list[_Call], at_m: list[float], leaves_s: int) -> Profile:
    """Times after the first departure; those that are not told lie between their neighbours, by the way there."""
    arrivals = [None if call.arrives_s is None else call.arrives_s - leaves_s for call in calls]
    departures = [None if call.departs_s is None else call.departs_s - leaves_s for call in calls]
    told = [index for index, time in enumerate(arrivals) if time is not None]
    for before, after in pairwise(told):
        from_s, to_s = departures[before] or 0, arrivals[after] or 0
        way_m = at_m[after] - at_m[before]
        for index in range(before + 1, after):
            by_place = (at_m[index] - at_m[before]) / way_m if way_m > 0 else (index - before) / (after - before)
            arrivals[index] = departures[index] = from_s + round(by_place * (to_s - from_s))
    return Profile([time or 0 for time in arrivals], [time or 0 for time in departures])


def _is_too_fast(profile: Profile, at_m: list[float]) -> bool:
    # times are mostly rounded to minutes: a minute more is granted
    return any(
        (there_m - here_m) / (arrives_s - departs_s + 60) > _MOST_KMH / 3.6
        for (here_m, there_m), departs_s, arrives_s in zip(
            pairwise(at_m), profile.departures, profile.arrivals[1:], strict=False
        )
    )


def _number(cell: str) -> float | None:
    try:
        found = float(cell)
    except ValueError:
        return None
    return found if isfinite(found) else None


def _place(latitude: str, longitude: str) -> tuple[float, float] | None:
    north, east = _number(latitude), _number(longitude)
    if north is None or east is None or not (-90 <= north <= 90 and -180 <= east <= 180) or north == east == 0:
        return None
    return north, east
