"""Agent for ``traffic-raw``: messages of the road-speed feed in; checked observations, dead letters and state out.

`trafficapp.engine.stateful` has the order of effects. All observations go to one partition, so that one worker sees
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
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state import StateLog
from trafficapp.engine.state_rows import SourceLog
from trafficapp.engine.stateful import Owned, StatefulSink, acknowledged
from trafficapp.engine.telemetry import Telemetry
from trafficapp.roads.feed import FeedChecks
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.partition import Outcome, PartitionRoads
from trafficapp.roads.pieces import pieces_of
from trafficapp.roads.road_edges import RoadEdges
from trafficapp.settings import Settings
from trafficapp.state_logs import road_feed_state_log
from trafficapp.topics import DEAD_LETTERS, ROADS_RAW, road_observations

logger = logging.getLogger(__name__)

_LOG_APPEND_TIME = 1

#: A run is applied in pieces. A road that is new is matched onto the graph, which takes milliseconds, and a tenth of a
#: second for the longest line beside the most edges.
_PIECE_RECORDS = 25
_PIECE_BYTES = 4 << 20

#: So much may be on its way to the broker before the next piece.
_ON_ITS_WAY_BYTES = 8 << 20

#: While pieces are done within this time nothing stands still, however long whole runs take.
_GETTING_ON_SECONDS = 30.0


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
        #: Of several threads that compute each takes its turn before the event loop gets one.
        self._computing = asyncio.Lock()
        self._got_on = float("-inf")

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
        clock_us = time.time_ns() // 1000
        acknowledgements: list[asyncio.Future[RecordMetadata]] = []
        on_its_way = 0
        for piece in pieces_of(records, _PIECE_RECORDS, _PIECE_BYTES):
            # in a thread, since roads that are new are matched onto the graph
            async with self._computing:
                outcome = await asyncio.to_thread(states.apply, piece, clock_us)
            self._got_on = time.monotonic()
            sent, sent_bytes = await self._send(partition, outcome)
            self._count(outcome)
            acknowledgements += sent
            on_its_way += sent_bytes
            if on_its_way > _ON_ITS_WAY_BYTES:
                await acknowledged(acknowledgements, "observations of roads")
                acknowledgements, on_its_way = [], 0
        await acknowledged(acknowledgements, "observations of roads")

    def is_waiting(self) -> bool:
        """Whether pieces of runs are being done: a partition then stands still only for whoever counts whole runs."""
        return time.monotonic() - self._got_on < _GETTING_ON_SECONDS

    async def _write_state(self, partition: int, one: Owned[PartitionRoads]) -> None:
        async with self._computing:
            await asyncio.to_thread(one.states.prepare_rows)
        if self._partitions.get(partition) is one:
            await super()._write_state(partition, one)

    async def _send(self, partition: int, outcome: Outcome) -> tuple[list[asyncio.Future[RecordMetadata]], int]:
        """Send what came of a piece; what is to be waited for, and how many bytes it is."""
        letters = [(letter.key, encode_dead_letter(letter)) for letter in outcome.dead_letters]
        acknowledgements: list[asyncio.Future[RecordMetadata]] = []
        if outcome.records:
            acknowledgements += await self._outbox.send(self._topic, 0, outcome.records)
        if letters:
            acknowledgements += await self._outbox.send(DEAD_LETTERS, partition, letters)
        return acknowledgements, sum(len(value) for _, value in (*outcome.records, *letters))

    def _count(self, outcome: Outcome) -> None:
        telemetry = self._telemetry
        telemetry.events_processed.inc(len(outcome.observations))
        if outcome.repeated:
            telemetry.events_dropped.labels("repeated").inc(outcome.repeated)
        if outcome.superseded:
            telemetry.events_dropped.labels("superseded").inc(outcome.superseded)
        for reason, count in outcome.rejected.items():
            telemetry.events_dropped.labels(reason).inc(count)


def register(app: TrafficApp) -> None:
    """Declare the table of road states and the agent on an application."""
    state = road_feed_state_log(app.settings, app.outbox)
    app.declare_state_table("road_feed_state", "roads of the feed: newest times, edges", state.view())
    sink = RoadFeedSink(app.settings, city_graph(app.settings.roads), app.outbox, state, app.telemetry)
    app.read_in_runs(ROADS_RAW, sink, name="road_feed")
    app.keep_state(sink)
