"""Road speeds as they come in: what is documented of ``traffic-raw``, and what is accepted of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import msgspec

from models.cameras.detections import Rejected, event_time_us
from models.records import PlainRecord
from models.roads.messages import decode_road_message
from trafficapp.feeds.incoming import Example, Incoming, Refusal, Verdict, incoming_of, told_key
from trafficapp.roads.feed import FeedChecks
from trafficapp.roads.feeds import ROAD_SPEEDS
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.partition import PartitionRoads
from trafficapp.roads.road_edges import RoadEdges
from trafficapp.settings import Settings

#: An edge that is shorter is no example of a road.
_STUB_M = 50.0

_CLOSED = {"current_speed": 0, "free_flow_speed": None, "jam_factor": 10, "traversability": "closed"}


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


def road_speeds(settings: Settings) -> Incoming:
    """The feed as it is declared, judged with the graph and all that was said before."""
    return replace(incoming_of(ROAD_SPEEDS, settings), examples=_examples, judge=RoadJudge)


def _examples(settings: Settings) -> tuple[Example, ...]:
    """The sample about a road that is on the graph of this city: the first of its edges that is no stub."""
    graph = city_graph(settings.roads)
    road_edges = RoadEdges(graph, settings.roads.match_reach_m)
    edge = ((str(graph.edge_ids[int((graph.length_m > _STUB_M).argmax())]), 1.0),)
    road = {name: told for name, told in msgspec.to_builtins(ROAD_SPEEDS.sample).items() if told is not None}
    road |= {"road_id": edge[0][0], "road_name": road_edges.name_of(edge), "coordinates": road_edges.line_of(edge)}
    return (Example("speed", road), Example("closed", road | _CLOSED))
