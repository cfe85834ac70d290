"""A road graph that may come later: whoever can do without it goes on, and takes it up when it is there."""

from __future__ import annotations

import logging
import time
from threading import Lock

from trafficapp.roads.graph.road_graph import GraphError, RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings

logger = logging.getLogger(__name__)

#: A graph that is not there is looked for so often.
_LOOK_SECONDS = 30.0


class AwaitedGraph:
    """The road graph of the city, when it is there. Asking from several threads is safe.

    Args:
        settings: of the roads.
        lost: what is not done without it, for the log.
        look_seconds: how often it is looked for.

    Attributes:
        missing: why it is not there; None before it was asked for, and when it is.
    """

    def __init__(self, settings: RoadSettings, lost: str, look_seconds: float = _LOOK_SECONDS) -> None:
        self._settings, self._lost, self._look_seconds = settings, lost, look_seconds
        self._graph: RoadGraph | None = None
        self._looked = float("-inf")
        self._looking = Lock()
        self.missing: str | None = None

    @property
    def graph(self) -> RoadGraph | None:
        """The graph; None while it is not there. Reading it takes some milliseconds to a second."""
        with self._looking:
            if self._graph is None and time.monotonic() - self._looked >= self._look_seconds:
                self._looked = time.monotonic()
                self._look()
            return self._graph

    def _look(self) -> None:
        try:
            self._graph = city_graph(self._settings)
        except GraphError as error:
            if self.missing is None:
                logger.warning("without the road graph %s; it is looked for again: %s", self._lost, error)
            self.missing = str(error)
            return
        if self.missing is not None:
            logger.info("the road graph is there: from now on it is not so any more that %s", self._lost)
        self.missing = None
