"""A made-up city of 5,000 roads on which 10,000 vehicles move, told once a second: for `tests.bench.dashboard`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import msgspec
import numpy as np
from confluent_kafka import Producer

from models.fleet.positions import VehiclePosition
from tests.roads.towns import town
from trafficapp.engine.kafka import librdkafka_config
from trafficapp.fleet.feeds import POSITIONS
from trafficapp.roads.feeds import ROADS
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.settings import Settings

#: Of junctions each way: 5,040 edges, each a road of its own.
ROWS = 36
ROADS_EVERY_SECONDS = 5
_encode = msgspec.json.Encoder().encode


def made_up_graph() -> RoadGraph:
    """Streets at right angles, both directions."""
    return town(ROWS, ROWS)


class Feed:
    """Sends what the workers of a city would tell: positions of vehicles each second, speeds of roads every five.

    It counts how late it is: figures of a machine that cannot feed the page say little about the page.
    """

    def __init__(self, graph: RoadGraph, settings: Settings, vehicles: int, seed: int = 7) -> None:
        self._graph, self._settings = graph, settings
        self._producer = Producer(
            librdkafka_config(settings) | {"linger.ms": 20, "queue.buffering.max.messages": 500_000}
        )
        self._random = np.random.default_rng(seed)
        count = len(graph.edge_ids)
        self._edge = self._random.integers(count, size=vehicles)
        self._share = self._random.random(vehicles)
        self._kmh = self._random.uniform(15, 60, vehicles)
        self._heading = np.degrees(
            np.arctan2(
                (graph.node_lon[graph.edge_to] - graph.node_lon[graph.edge_from]) * np.cos(np.radians(44.5)),
                graph.node_lat[graph.edge_to] - graph.node_lat[graph.edge_from],
            )
        )
        onward = [[following for _, following, _ in turns] for turns in graph.onward]
        self._next = np.array([turns[self._random.integers(len(turns))] for turns in onward])
        self._speeds = self._random.uniform(0.3, 1.0, count) * graph.free_flow_kmh
        self.late_seconds: list[float] = []

    async def run(self) -> None:
        """Send until cancelled."""
        number, due = 0, time.monotonic()
        while True:
            await asyncio.to_thread(self._send, number)
            number, due = number + 1, due + 1
            rest = due - time.monotonic()
            self.late_seconds.append(max(0.0, -rest))
            await asyncio.sleep(max(0.0, rest))

    def _send(self, number: int) -> None:
        self._move()
        if number % ROADS_EVERY_SECONDS == 0:
            self._send_roads()
        self._send_vehicles()
        self._producer.flush(1)

    def _move(self) -> None:
        self._share += self._kmh / 3.6 / self._graph.length_m[self._edge]
        over = self._share >= 1
        self._edge[over] = self._next[self._edge[over]]
        self._share[over] = 0

    def _send_vehicles(self) -> None:
        graph, edge, now = self._graph, self._edge, datetime.now(UTC)
        begin, end = graph.edge_from[edge], graph.edge_to[edge]
        lat = graph.node_lat[begin] + self._share * (graph.node_lat[end] - graph.node_lat[begin])
        lon = graph.node_lon[begin] + self._share * (graph.node_lon[end] - graph.node_lon[begin])
        topic = POSITIONS.topic_in(self._settings)
        known: VehiclePosition = POSITIONS.sample
        rows = zip(lat.tolist(), lon.tolist(), self._kmh.tolist(), self._heading[edge].tolist(), strict=True)
        for vehicle, (latitude, longitude, kmh, heading) in enumerate(rows):
            name = f"car-{vehicle:05}"
            told = msgspec.structs.replace(
                known,
                vehicle_id=name,
                latitude=round(latitude, 6),
                longitude=round(longitude, 6),
                speed=round(kmh, 1),
                direction=round(heading % 360, 1),
                timestamp=now,
                received_at=now,
                feeds={},
            )
            self._producer.produce(topic, _encode(told), name.encode())
            if vehicle % 1000 == 999:
                self._producer.poll(0)

    def _send_roads(self) -> None:
        graph, now = self._graph, datetime.now(UTC).isoformat().replace("+00:00", "Z")
        # a tenth of them flows otherwise than before
        others = self._random.random(len(self._speeds)) < 0.1
        self._speeds[others] = self._random.uniform(0.1, 1.0, int(others.sum())) * graph.free_flow_kmh[others]
        topic = ROADS.topic_in(self._settings)
        for edge, (name, kmh) in enumerate(zip(graph.edge_ids.tolist(), self._speeds.tolist(), strict=True)):
            told = msgspec.structs.replace(
                ROADS.sample,
                event_id=f"{name}-{now}",
                road_id=name,
                road_name=graph.road_name(edge) or name,
                timestamp=now,
                record_timestamp=now,
                current_speed=round(kmh, 1),
                edges=[(name, 1.0)],
            )
            self._producer.produce(topic, _encode(told), name.encode(), partition=0)
