"""The road graph of this process: the one that the settings name, or Bologna's, which is shipped."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from trafficapp.roads.graph.road_graph import GraphError, RoadGraph
from trafficapp.roads.graph.storage import load
from trafficapp.settings import RoadSettings

#: The shipped graph; its README names source and licence.
SHIPPED = Path(__file__).parents[1] / "data" / "bologna"

_loaded: dict[Path, RoadGraph] = {}
_loading = Lock()


def city_graph(settings: RoadSettings) -> RoadGraph:
    """The road graph of the city, read once per process. Takes some milliseconds to a second: call it in a thread.

    Raises:
        GraphError: there is none, it is damaged, or it is of another city than ``roads.city``; the message says which
            file, and what would be right.
    """
    folder = SHIPPED if settings.graph is None else settings.graph.absolute()
    with _loading:
        graph = _loaded.get(folder)
        if graph is None:
            graph = load(folder)
            # what is computed once is computed here, not by the first who asks
            _ = graph.version, graph.position_of_edge
            _loaded[folder] = graph
    if graph.city != settings.city:
        right = (
            "name its folder with roads.graph" if settings.graph is None else "set roads.city, or another roads.graph"
        )
        raise GraphError(f"the road graph in {folder} is of {graph.city!r}, not of {settings.city!r}: {right}")
    return graph
