"""From a batch of the road-speed feed to the screen: ``python -m tests.bench.chain`` writes ``build/chain.json``.

1,247 roads of the main-road network around Braunschweig, a model that was trained on made-up speeds of them, the real
servers and three workers (roads, live, history). Every few seconds one batch of all roads is handed to Kafka, in which
some roads have jammed. Measured is from before the first record is handed over until

* ``predictions``: the last road's prediction stands on ``traffic-predictions``,
* ``redis``: and under ``road:{id}:predicted``,
* ``graph``: another worker answers ``POST /route/recommend`` under the new version,
* ``notification``: the last of the jammed roads was told on ``/ws/notifications`` of that worker;

``chain`` is the latest of these.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from models.roads.predictions import decode_prediction
from models.timestamps import epoch_us
from tests.bench.servers import running
from trafficapp.engine.kafka import groupless_consumer, librdkafka_config
from trafficapp.roads.files.importing import import_graph
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.storage import save
from trafficapp.settings import Settings, load_settings
from trafficapp.stack import workers
from trafficapp.stack.servers import data_dir
from trafficapp.stack.supervisor import Supervisor
from trafficapp.stores.redis.connection import connect
from trafficapp.topics import PREDICTIONS, ROADS_RAW

ROOT = Path(__file__).resolve().parents[2]
NETWORK = ROOT.parent / "shared" / "data" / "roads"
RESULT = ROOT / "build" / "chain.json"
CITY = "nds"
STEP_SECONDS = 300
STAGES = ("predictions", "redis", "graph", "notification", "chain")
_ROLES = ("roads", "live", "history")
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class City:
    """Roads of a graph, each one edge, with what they usually do."""

    graph: RoadGraph
    edges: list[int]

    @property
    def road_ids(self) -> list[str]:
        """Names of the roads."""
        return [str(self.graph.edge_ids[edge]) for edge in self.edges]

    def history(self, days: int, seed: int) -> tuple[np.ndarray[Any, Any], list[tuple[int, int]]]:
        """Made-up speeds (steps, roads) whose disturbances travel along the turns, and the pairs of roads they take."""
        place = {edge: index for index, edge in enumerate(self.edges)}
        turns = zip(self.graph.turn_from.tolist(), self.graph.turn_to.tolist(), strict=True)
        links = [(place[one], place[other]) for one, other in turns if one in place and other in place]
        count, steps = len(self.edges), days * 86_400 // STEP_SECONDS
        upstream = np.zeros((count, count))
        for one, other in links:
            upstream[one, other] = 1
        upstream /= np.maximum(upstream.sum(0), 1)
        rng = np.random.default_rng(seed)
        hour = np.arange(steps) * STEP_SECONDS % 86_400 / 3600
        rush = np.exp(-(((hour - 8) / 1.5) ** 2)) + np.exp(-(((hour - 18) / 2) ** 2))
        disturbance, speeds = np.zeros(count), np.zeros((steps, count))
        free = self.graph.free_flow_kmh[self.edges]
        for step in range(steps):
            disturbance = 0.5 * disturbance + 0.45 * disturbance @ upstream + rng.normal(0, 0.05, count)
            speeds[step] = free * np.clip(0.95 - 0.35 * rush[step] + disturbance, 0.05, 1.1)
        return speeds, links

    def message(self, road: int, at: datetime, speed_kmh: float, jam_factor: float) -> bytes:
        """A message of the feed."""
        edge = self.edges[road]
        points = slice(self.graph.shape_offsets[edge], self.graph.shape_offsets[edge + 1])
        shape = zip(self.graph.shape_lon[points].tolist(), self.graph.shape_lat[points].tolist(), strict=True)
        return orjson.dumps(
            {
                "event_id": f"{self.graph.edge_ids[edge]}-{at.timestamp():.3f}",
                "timestamp": at.isoformat(),
                "road_id": str(self.graph.edge_ids[edge]),
                "road_name": self.graph.road_name(edge),
                "current_speed": round(speed_kmh, 1),
                "free_flow_speed": round(float(self.graph.free_flow_kmh[edge]), 1),
                "jam_factor": round(jam_factor, 1),
                "coordinates": list(shape),
            }
        )


def connected_roads(graph: RoadGraph, count: int) -> City:
    """So many edges around the one with the most lanes, by turns."""
    first = int(np.argmax(graph.lanes * 1000 + graph.length_m / graph.length_m.max()))
    found, waiting = {first}, [first]
    while waiting and len(found) < count:
        edge = waiting.pop(0)
        for turn in [*graph.turns_out_of[edge], *graph.turns_into[edge]]:
            for other in (int(graph.turn_from[turn]), int(graph.turn_to[turn])):
                if other not in found and len(found) < count:
                    found.add(other)
                    waiting.append(other)
    return City(graph, sorted(found))


def train(city: City, folder: Path, epochs: int) -> None:
    """Train and promote a model on made-up speeds."""
    speeds, links = city.history(days=4, seed=1)
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    times = [begin + timedelta(seconds=STEP_SECONDS * step) for step in range(len(speeds))]
    count = len(city.edges)
    pq.write_table(
        pa.table(
            {
                "road_id": np.tile(city.road_ids, len(speeds)),
                "timestamp": pa.array(np.repeat(times, count).tolist(), pa.timestamp("us", "UTC")),
                "speed_kmh": speeds.ravel(),
            }
        ),
        folder / "speeds.parquet",
    )
    names = city.road_ids
    pq.write_table(
        pa.table({"from_road": [names[one] for one, _ in links], "to_road": [names[other] for _, other in links]}),
        folder / "links.parquet",
    )
    files = ["--from", str(folder / "speeds.parquet"), "--links", str(folder / "links.parquet")]
    options = ["--out", str(folder / "models"), "--zone", "Europe/Berlin", "--epochs", str(epochs), "--promote"]
    subprocess.run([sys.executable, "-m", "trafficapp.cli", "train", *files, *options], check=True, cwd=ROOT)  # noqa: S603


@dataclass
class Round:
    """One batch: when it began, and when each stage was there (monotonic seconds)."""

    began_us: int
    began: float
    jammed: set[str]
    waiting: set[str]
    at: dict[str, float] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def reach(self, stage: str) -> None:
        """Note a stage, once."""
        self.at.setdefault(stage, time.monotonic())
        if len(self.at) == len(STAGES) - 1:
            self.done.set()

    def milliseconds(self) -> dict[str, float]:
        """How long each stage took."""
        took = {stage: (at - self.began) * 1000 for stage, at in self.at.items()}
        return took | {"chain": max(took.values())}


class Watchers:
    """What looks for the effects of the newest batch."""

    def __init__(self, settings: Settings, port: int, city: City) -> None:
        self._settings, self._city = settings, city
        self._base = f"http://127.0.0.1:{port}"
        self.round: Round | None = None
        self.versions: set[str] = set()

    async def predictions(self) -> None:
        """Count the roads on the topic, then look into Redis for the last of them."""
        from aiokafka import TopicPartition

        redis = connect(self._settings.redis.url.get_secret_value())
        async with groupless_consumer(self._settings, fetch_max_wait_ms=20) as consumer, redis:
            tp = TopicPartition(PREDICTIONS, 0)
            consumer.assign([tp])
            await consumer.seek_to_end(tp)
            while True:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        await self._predicted(record.value, redis)

    async def _predicted(self, value: bytes, redis: Any) -> None:
        prediction, current = decode_prediction(value), self.round
        if current is None or epoch_us(prediction.timestamp) < current.began_us:
            return
        current.waiting.discard(prediction.road_id)
        if current.waiting or "predictions" in current.at:
            return
        current.reach("predictions")
        while True:
            stored = await redis.get(f"road:{prediction.road_id}:predicted")
            if stored is not None and epoch_us(decode_prediction(stored).timestamp) >= current.began_us:
                current.reach("redis")
                return
            await asyncio.sleep(0.005)

    async def graph(self, session: aiohttp.ClientSession) -> None:
        """Ask for a route again and again until the answer is under a version that was made after the batch."""
        graph, edges = self._city.graph, self._city.edges
        nodes = graph.edge_from[edges[0]], graph.edge_to[edges[-1]]
        places = [{"lat": float(graph.node_lat[node]), "lng": float(graph.node_lon[node])} for node in nodes]
        question = {"origin": places[0], "destination": places[1], "departure_time": "now"}
        seen = ""
        while True:
            async with session.post(f"{self._base}/route/recommend", json=question) as answer:
                version = (await answer.json()).get("graph_version", "")
            current = self.round
            if version != seen:
                seen = version
                if current is not None and current.at.get("predictions"):
                    current.reach("graph")
            await asyncio.sleep(0.01)

    async def notifications(self, session: aiohttp.ClientSession) -> None:
        """Hear which roads are told."""
        async with session.ws_connect(f"{self._base}/ws/notifications") as socket:
            async for message in socket:
                current, told = self.round, json.loads(message.data)
                if current is not None and epoch_us(told["timestamp"]) >= current.began_us - 1000:
                    current.jammed.discard(told["road_id"])
                    if not current.jammed:
                        current.reach("notification")


async def measure(city: City, folder: Path, rounds: int, pause_seconds: float) -> dict[str, Any]:
    """Run servers and workers and send the batches."""
    stack = data_dir.prepare(folder / "stack")
    async with running(stack) as (supervisor, environment):
        environment |= {
            "TRAFFICAPP_ROADS__CITY": CITY,
            "TRAFFICAPP_ROADS__GRAPH": str(folder / "graph"),
            "TRAFFICAPP_ROADS__ZONE": "Europe/Berlin",
            "TRAFFICAPP_FORECAST__MODELS_DIR": str(folder / "models"),
            "TRAFFICAPP_LIMITS__REQUESTS_PER_SECOND": "10000",
        }
        ports = await _start_workers(supervisor, stack, environment)
        settings = load_settings(
            kafka={"bootstrap_servers": environment["KAFKA_BOOTSTRAP_SERVERS"]},
            redis={"url": environment["REDIS_URL"]},
            postgres={"url": environment["DATABASE_URL"]},
        )
        producer = Producer(librdkafka_config(settings) | {"linger.ms": 5})
        _fill_the_last_hour(city, producer)
        await asyncio.sleep(10)
        watchers = Watchers(settings, ports["live"], city)
        async with aiohttp.ClientSession() as session:
            watching = [
                asyncio.create_task(watchers.predictions()),
                asyncio.create_task(watchers.graph(session)),
                asyncio.create_task(watchers.notifications(session)),
            ]
            try:
                return await _send_rounds(city, producer, watchers, watching, rounds, pause_seconds)
            finally:
                for task in watching:
                    task.cancel()


async def _start_workers(supervisor: Supervisor, folder: Path, environment: dict[str, str]) -> dict[str, int]:
    chosen = [workers.Worker(role, role, 17066 + number) for number, role in enumerate(_ROLES)]
    supervisor.add_group([workers.worker_spec(worker, folder, environment) for worker in chosen])
    await supervisor.start_all()
    return {worker.role: worker.web_port for worker in chosen}


def _fill_the_last_hour(city: City, producer: Producer) -> None:
    """What the model looks at: the last steps, as they would have come."""
    speeds, _ = city.history(days=1, seed=2)
    now = datetime.now(UTC)
    for back in range(11, 0, -1):
        at = now - timedelta(seconds=STEP_SECONDS * back)
        for road, speed in enumerate(speeds[-back].tolist()):
            producer.produce(ROADS_RAW, key=city.road_ids[road].encode(), value=city.message(road, at, speed, 2.0))
        producer.flush()


async def _send_rounds(
    city: City, producer: Producer, watchers: Watchers, watching: list[asyncio.Task[None]], rounds: int, pause: float
) -> dict[str, Any]:
    console, rng = Console(width=120), np.random.default_rng(5)
    # roads on which a jam is a jam: a slow road cannot lose half of its speed
    fast = [road for road, edge in enumerate(city.edges) if city.graph.free_flow_kmh[edge] >= 40]
    order, names = rng.permutation(fast).tolist(), city.road_ids
    usual = (city.graph.free_flow_kmh[city.edges] * 0.8).tolist()
    taken: list[dict[str, float]] = []
    for number in range(rounds + 3):
        jammed = {order[(number * 5 + one) % len(order)] for one in range(5)}
        at = datetime.now(UTC)
        values = [
            city.message(road, at, 4.0 if road in jammed else speed, 9.5 if road in jammed else 2.0)
            for road, speed in enumerate(usual)
        ]
        current = Round(epoch_us(at), time.monotonic(), {names[road] for road in jammed}, set(names))
        watchers.round = current
        for road, value in enumerate(values):
            producer.produce(ROADS_RAW, key=names[road].encode(), value=value)
            if road % 100 == 99:
                producer.poll(0)
                await asyncio.sleep(0)
        await asyncio.to_thread(producer.flush)
        waiting = asyncio.create_task(current.done.wait())
        done, _ = await asyncio.wait([waiting, *watching], timeout=_PATIENCE_SECONDS, return_when="FIRST_COMPLETED")
        for task in done & set(watching):
            task.result()
        if waiting not in done:
            raise SystemExit(f"round {number}: only {sorted(current.at)} within {_PATIENCE_SECONDS:.0f} s")
        if number >= 3:
            taken.append(current.milliseconds())
            console.print(f"{number - 2:4}/{rounds}: chain {taken[-1]['chain']:.0f} ms")
        await asyncio.sleep(pause)
    return {
        stage: {
            "p50_ms": round(float(np.percentile([one[stage] for one in taken], 50)), 1),
            "p99_ms": round(float(np.percentile([one[stage] for one in taken], 99)), 1),
            "max_ms": round(max(one[stage] for one in taken), 1),
        }
        for stage in STAGES
    } | {"rounds": len(taken), "roads": len(city.edges)}


def main() -> None:
    """Prepare, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roads", type=int, default=1247)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--pause", type=float, default=1.5, help="Seconds between batches.")
    parser.add_argument("--epochs", type=int, default=8, help="Of the model that predicts.")
    arguments = parser.parse_args()
    files = [NETWORK / f"nds_simplified_{part}.parquet" for part in ("edges", "nodes", "turns")]
    if not all(file.exists() for file in files):
        raise SystemExit(f"{files[0]} is not there; this benchmark needs the road network that it is part of")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="trafficapp-chain-") as temporary:
        folder = Path(temporary)
        graph = import_graph(files, city=CITY, source="OpenStreetMap contributors, ODbL, via DLR-TS/sumo-scenarios")
        save(graph, folder / "graph")
        city = connected_roads(graph, arguments.roads)
        train(city, folder, arguments.epochs)
        found = asyncio.run(measure(city, folder, arguments.rounds, arguments.pause))
    table = Table(title=f"One batch of {found['roads']:,} roads, {found['rounds']} times: milliseconds")
    for column in ("until", "p50", "p99", "max"):
        table.add_column(column, justify="left" if column == "until" else "right")
    for stage in STAGES:
        table.add_row(stage, *(f"{found[stage][name]:,.0f}" for name in ("p50_ms", "p99_ms", "max_ms")))
    Console(width=120).print(table)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{RESULT.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
