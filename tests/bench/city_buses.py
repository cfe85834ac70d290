"""Buses that drive by the timetable of the simulated city and say which trip they serve: for `tests.bench.city`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import load_settings
from trafficapp.simulation.city import bologna
from trafficapp.simulation.feeds.lines import Line, bus_lines
from trafficapp.simulation.feeds.timetable import LineTimetable, write_feed
from trafficapp.timetables.feed_files import Problems, opened
from trafficapp.timetables.reading import read_timetable
from trafficapp.timetables.storage import save

#: Each looks anew where it should be.
_LOOK_SECONDS = 1.0


def import_timetable(folder: Path) -> None:
    """Write the timetable where workers look for it."""
    folder.mkdir()
    write_feed(folder / "gtfs.zip", _lines(), _zone(), datetime.now(UTC))
    with opened(str(folder / "gtfs.zip")) as files:
        save(read_timetable(files, Problems()), folder)


def buses() -> Iterator[tuple[str, bytes, bytes]]:
    """Topic, key and value of one bus after the other, each where its timetable has it now, without end."""
    driven = [(LineTimetable(line, _zone()), bus) for line in _lines() for bus in range(line.buses)]
    looked_at, places = -1.0, list[str]()
    while True:
        if time.time() - looked_at > _LOOK_SECONDS:
            looked_at = time.time()
            places = [_place(timetable, bus, looked_at) for timetable, bus in driven]
        for place in places:
            yield "vehicle_locations", b"", f'{place},"timestamp":{time.time_ns() // 1_000_000}}}'.encode()


def _place(timetable: LineTimetable, bus: int, now_s: float) -> str:
    turn, trip, share = timetable.at(bus, now_s)
    route = timetable.line.routes[turn]
    latitude, longitude = route.place_at(share * route.length_m)
    return (
        f'{{"vehicle_id":"bus-{timetable.line.name}-{bus}","type":"bus","latitude":{latitude:.6f},'
        f'"longitude":{longitude:.6f},"passenger_count":17,"status":"in_service","trip_id":"{trip.trip_id}",'
        f'"start_date":"{trip.start_date}"'
    )


def _lines() -> list[Line]:
    return list(bus_lines(bologna(city_graph(load_settings().roads))))


def _zone() -> ZoneInfo:
    return ZoneInfo(load_settings().roads.zone)
