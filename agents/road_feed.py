"""Agent for ``traffic-raw``: messages of the road-speed feed in; checked observations, dead letters and state out.

`trafficapp.batching.stateful` has the order of effects. All observations go to one partition, so that one worker sees
all roads of the city (docs/decisions/0013).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from aiokafka import ConsumerRecord
from aiokafka.structs import RecordMetadata

from models.dead_letters import encode_dead_letter
from models.roads import encode_road_observation
from trafficapp.application import TrafficApp
from trafficapp.batching.stateful import StatefulSink, acknowledged
from trafficapp.outbox import Outbox
from trafficapp.roads.feed import FeedChecks
from trafficapp.roads.graph import RoadGraph
from trafficapp.roads.partition import Outcome, PartitionRoads
from trafficapp.roads.road_edges import RoadEdges
from trafficapp.roads.shipped import city_graph
from trafficapp.settings import Settings
from trafficapp.state import StateLog, road_feed_state_log
from trafficapp.state_rows import SourceLog
from trafficapp.telemetry import Telemetry
from trafficapp.topics import DEAD_LETTERS, ROADS_RAW, road_observations

logger = logging.getLogger(__name__)

_LOG_APPEND_TIME = 1


class RoadFeedSink(StatefulSink[PartitionRoads]):
    """Checks and completes the messages of the road-speed feed and sends what comes of it."""

    def __init__(
        self, settings: Settings, graph: RoadGraph, outbox: Outbox, state: StateLog, telemetry: Telemetry
    ) -> None:
        super().__init__(state, settings.kafka.session_timeout_seconds)
        self._outbox = outbox
        self._telemetry = telemetry
        self._topic = road_observations(settings)
        self._road_edges = RoadEdges(graph, settings.roads.match_reach_m)
        self._told_of_stamps = False
        self._checks = FeedChecks(settings.roads, self._road_edges.box)

    def take_over(self, partition: int, rows: Mapping[bytes, bytes], log: SourceLog) -> PartitionRoads:
        """The roads of a partition, to go on from their rows."""
        return PartitionRoads(partition, self._checks, self._road_edges, rows, log)

    async def take_effect(self, partition: int, states: PartitionRoads, records: Sequence[ConsumerRecord]) -> None:
        """Apply a run; returns when its observations and dead letters are acknowledged."""
        if not self._told_of_stamps and any(record.timestamp_type != _LOG_APPEND_TIME for record in records):
            self._told_of_stamps = True
            logger.warning(
                "records of %s carry the times of their producers: a clock that is five minutes ahead is believed. "
                "Set message.timestamp.type=LogAppendTime on the topic, so that the broker's clock decides",
                ROADS_RAW,
            )
        # in a thread, since a batch of roads that are new is matched onto the graph
        outcome = await asyncio.to_thread(states.apply, records, time.time_ns() // 1000)
        await self._send(partition, outcome)
        self._count(outcome)

    async def _send(self, partition: int, outcome: Outcome) -> None:
        acknowledgements: list[asyncio.Future[RecordMetadata]] = []
        if outcome.observations:
            told = [(one.road_id.encode(), encode_road_observation(one)) for one in outcome.observations]
            acknowledgements += await self._outbox.send(self._topic, 0, told)
        if outcome.dead_letters:
            letters = [(letter.key, encode_dead_letter(letter)) for letter in outcome.dead_letters]
            acknowledgements += await self._outbox.send(DEAD_LETTERS, partition, letters)
        await acknowledged(acknowledgements, "observations of roads")

    def _count(self, outcome: Outcome) -> None:
        telemetry = self._telemetry
        telemetry.events_processed.inc(len(outcome.observations))
        if outcome.repeated:
            telemetry.events_dropped.labels("repeated").inc(outcome.repeated)
        for reason, count in outcome.rejected.items():
            telemetry.events_dropped.labels(reason).inc(count)


def register(app: TrafficApp) -> None:
    """Declare the table of road states and the agent on an application."""
    state = road_feed_state_log(app.settings, app.outbox)
    app.declare_state_table("road_feed_state", "roads of the feed: newest times, edges", state.view())
    sink = RoadFeedSink(app.settings, city_graph(app.settings.roads), app.outbox, state, app.telemetry)
    app.read_in_runs(ROADS_RAW, sink, name="road_feed")
    app.keep_state(sink)
