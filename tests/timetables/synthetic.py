"""A small static feed: a straight line, a loop that crosses itself, a trip after midnight, one by frequency."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

ZONE = "Europe/Rome"
#: A Thursday.
DAY = date(2026, 1, 15)
LATITUDE, LONGITUDE = 44.49, 11.34
_NORTH, _EAST = 111_195.0, 79_330.0
EVERY_M = 400.0


def place(east_m: float, north_m: float) -> tuple[float, float]:
    """Latitude and longitude of a place, metres from the feed's corner."""
    return round(LATITUDE + north_m / _NORTH, 6), round(LONGITUDE + east_m / _EAST, 6)


#: Ten stops on a line to the east; and a figure of eight from its first stop, driven once.
LINE = [place(EVERY_M * index, 0) for index in range(10)]
EIGHT = [place(*point) for point in ((0, 0), (800, 800), (0, 1600), (800, 1600), (0, 800), (800, 0), (0, 0))]


def clock(seconds: int) -> str:
    """As GTFS writes times."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def tables(zone: str = ZONE, *, every_s: int = 600, until_s: int = 10 * 3600) -> dict[str, list[Mapping[str, object]]]:
    """The feed's tables.

    Args:
        zone: of the agency.
        every_s: from one trip of the line to the next, from 8:00.
        until_s: when the last one leaves.
    """
    stops = [
        {"stop_id": f"L{index}", "stop_name": f"Line {index}", "stop_lat": at[0], "stop_lon": at[1]}
        for index, at in enumerate(LINE)
    ] + [
        {"stop_id": f"E{index}", "stop_name": f"Eight {index}", "stop_lat": at[0], "stop_lon": at[1]}
        for index, at in enumerate(EIGHT)
    ]
    shapes = [
        {"shape_id": name, "shape_pt_lat": at[0], "shape_pt_lon": at[1], "shape_pt_sequence": index}
        for name, points in (("line", LINE), ("eight", EIGHT))
        for index, at in enumerate(points)
    ]
    trips: list[Mapping[str, object]] = []
    calls: list[Mapping[str, object]] = []

    def trip(trip_id: str, route_id: str, shape_id: str, service_id: str, at_s: int, stops: Sequence[str]) -> None:
        trips.append(
            {"route_id": route_id, "service_id": service_id, "trip_id": trip_id, "shape_id": shape_id}
            | {"direction_id": 0, "trip_headsign": "End", "block_id": ""}
        )
        for index, stop_id in enumerate(stops):
            time = clock(at_s + 90 * index)
            calls.append(
                {"trip_id": trip_id, "arrival_time": time, "departure_time": time, "stop_id": stop_id}
                | {"stop_sequence": 10 * index + 10, "timepoint": int(index % 3 == 0)}
            )

    line, eight = [f"L{index}" for index in range(len(LINE))], [f"E{index}" for index in range(len(EIGHT))]
    for number, at_s in enumerate(range(8 * 3600, until_s, every_s)):
        trip(f"line-{number}", "R1", "line", "week", at_s, line)
    trip("night", "R1", "line", "week", 25 * 3600 + 600, line)
    trip("eight", "R2", "eight", "week", 9 * 3600, eight)
    trip("often", "R2", "eight", "week", 0, eight)
    days = {name: 1 for name in ("monday", "tuesday", "wednesday", "thursday", "friday")}
    return {
        "agency": [
            {"agency_id": "A", "agency_name": "Agency", "agency_url": "https://example.org", "agency_timezone": zone}
        ],
        "routes": [
            {"route_id": name, "agency_id": "A", "route_short_name": name, "route_long_name": "", "route_type": 3}
            for name in ("R1", "R2")
        ],
        "stops": stops,  # type: ignore[dict-item]  # of more exact type
        "shapes": shapes,  # type: ignore[dict-item]
        "trips": trips,
        "stop_times": calls,
        "calendar": [
            {"service_id": "week", **days, "saturday": 0, "sunday": 0, "start_date": "20260101", "end_date": "20261231"}
        ],
        "calendar_dates": [
            {"service_id": "week", "date": "20260106", "exception_type": 2},
            {"service_id": "week", "date": "20260117", "exception_type": 1},
        ],
        "frequencies": [
            {"trip_id": "often", "start_time": "12:00:00", "end_time": "13:00:00", "headway_secs": 900}
            | {"exact_times": 0}
        ],
    }


def write(path: Path, feed: Mapping[str, Sequence[Mapping[str, object]]]) -> Path:
    """Write tables as a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, rows in feed.items():
            lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
            archive.writestr(f"{name}.txt", "\n".join(lines) + "\n")
    return path
