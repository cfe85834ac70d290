"""Road speeds as they come in: what is documented of ``traffic-raw``, and what is accepted of it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from models.cameras.detections import Rejected, event_time_us
from models.records import PlainRecord
from models.roads.messages import RoadMessage, decode_road_message
from trafficapp.feeds.incoming import Example, Incoming, Refusal, Verdict, told_key
from trafficapp.roads.feed import FeedChecks
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.partition import PartitionRoads
from trafficapp.roads.road_edges import RoadEdges
from trafficapp.settings import Settings
from trafficapp.topics import ROADS_RAW

_ROAD: dict[str, Any] = {
    "event_id": "42",
    "timestamp": "2026-11-20T08:00:00Z",
    "road_id": "r7",
    "road_name": "Via Saffi",
    "current_speed": 21.5,
    "free_flow_speed": 50,
    "jam_factor": 5.7,
    "coordinates": [[11.3271, 44.4985], [11.3262, 44.4989]],
}
_CLOSED = {"current_speed": None, "free_flow_speed": None, "jam_factor": 10, "traversability": "closed"}


class RoadJudge:
    """Reads road speeds as the worker of roads does that knows none yet: all of them in one partition.

    Args:
        settings: what can be true of a road, and the road graph.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._offset = -1

    def time_us(self, value: bytes) -> int | None:
        """See `Judge`."""
        try:
            return event_time_us(decode_road_message(value).timestamp)
        except (Rejected, ValueError, OverflowError):
            return None

    def judge(self, value: bytes, sent_us: int) -> Verdict:
        """See `Judge`."""
        self._offset += 1
        record = PlainRecord(self._offset, -(-sent_us // 1000), 1, told_key(value, "road_id"), value)
        outcome = self._roads.apply([record])
        refused = [Refusal(letter.reason, letter.detail) for letter in outcome.dead_letters]
        return Verdict(refused, accepted=not refused, repeated=outcome.repeated > 0)

    @cached_property
    def _roads(self) -> PartitionRoads:
        """Made when a road is asked about: the graph takes a moment to read."""
        roads = self._settings.roads
        # a worker's limit is for one of its partitions
        roads = roads.model_copy(update={"max_roads": roads.max_roads * self._settings.kafka.partitions})
        edges = RoadEdges(city_graph(roads), roads.match_reach_m)
        return PartitionRoads(0, FeedChecks(roads, edges.box), edges, {})


def _examples(settings: Settings) -> tuple[Example, ...]:
    """A road of Bologna, or where the graph is another one, the first of its edges."""
    road = _ROAD
    if settings.roads.graph is not None:
        graph = city_graph(settings.roads)
        first, edges = str(graph.edge_ids[0]), RoadEdges(graph, settings.roads.match_reach_m)
        line = edges.line_of(((first, 1.0),))
        road = road | {"road_id": first, "road_name": edges.name_of([(first, 1.0)]), "coordinates": line}
    return (Example("speed", road), Example("closed", road | _CLOSED))


ROAD_SPEEDS = Incoming(
    name="road-speeds",
    topic=ROADS_RAW,
    key="road_id",
    summary="Measured speeds of roads.",
    shapes=(RoadMessage,),
    examples=_examples,
    judge=RoadJudge,
)
