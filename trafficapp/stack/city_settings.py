"""What the settings of the city's feeds are while the simulated city sends them, where nobody said anything else."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from trafficapp.settings import Settings

if TYPE_CHECKING:
    from trafficapp.roads.graph.road_graph import RoadGraph

#: Sections with a zone of times that have no offset.
_ZONED = ("fleet", "transit", "riders", "incidents", "weather", "areas", "still_cameras")
#: The city ends so far outside of its road graph, degrees, which is about two kilometres: places are noisy, and the
#: samples and the pages of the feeds tell places of the city's centre, which the graph does not reach.
_MARGIN_DEGREES = 0.02


def city_environment(settings: Settings, timetable_dir: Path | None = None) -> dict[str, str]:
    """Variables that name the bounds of the simulated city and the zone of its producers, and have its cars matched.

    Takes some tenths of a second, with a timetable some seconds.

    Args:
        settings: what is set stays as it is.
        timetable_dir: where to write the timetable that its buses drive by; None: nowhere.
    """
    from trafficapp.roads.graph.road_graph import GraphError
    from trafficapp.roads.graph.shipped import city_graph

    found = {
        f"TRAFFICAPP_{section.upper()}__TIME_ZONE": settings.roads.zone
        for section in _ZONED
        if "time_zone" not in getattr(settings, section).model_fields_set
    }
    try:
        graph = city_graph(settings.roads)
    except GraphError:
        return found  # the source says what is wrong with it
    if "matching" not in settings.fleet.model_fields_set:
        found["TRAFFICAPP_FLEET__MATCHING"] = "true"
    if timetable_dir is not None and "timetable_dir" not in settings.transit.model_fields_set:
        # of another city's graph the source says that it cannot be simulated
        with suppress(KeyError):
            _write_timetable(graph, settings, timetable_dir)
            found["TRAFFICAPP_TRANSIT__TIMETABLE_DIR"] = str(timetable_dir)
    if "bounds" not in settings.city.model_fields_set:
        south, north = float(graph.shape_lat.min()), float(graph.shape_lat.max())
        west, east = float(graph.shape_lon.min()), float(graph.shape_lon.max())
        outermost = (
            *(south - _MARGIN_DEGREES, west - _MARGIN_DEGREES),
            *(north + _MARGIN_DEGREES, east + _MARGIN_DEGREES),
        )
        found["TRAFFICAPP_CITY__BOUNDS"] = json.dumps([round(degrees, 4) for degrees in outermost])
    return found


def _write_timetable(graph: RoadGraph, settings: Settings, folder: Path) -> None:
    """Import the timetable of the city's buses; the feed that it is of stays beside it."""
    from trafficapp.simulation.city import bologna
    from trafficapp.simulation.feeds.lines import bus_lines
    from trafficapp.simulation.feeds.timetable import write_feed
    from trafficapp.timetables.feed_files import Problems, opened
    from trafficapp.timetables.reading import read_timetable
    from trafficapp.timetables.storage import save

    folder.mkdir(parents=True, exist_ok=True)
    feed = folder / "gtfs.zip"
    write_feed(feed, bus_lines(bologna(graph)), ZoneInfo(settings.roads.zone), datetime.now(UTC))
    with opened(str(feed)) as files:
        save(read_timetable(files, Problems()), folder)
