"""``POST /route/recommend`` at an HTTP client: one question after the other, a worker of its own, no cache."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import numpy as np
import psutil

from tests.bench.__main__ import Servers, servers
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.storage import save
from trafficapp.roads.graph.versions import version_at
from trafficapp.roads.routing.published import PublishedSpeeds, encode_speeds
from trafficapp.roads.routing.weights import HORIZONS_SECONDS
from trafficapp.stack.servers import ports
from trafficapp.stack.workers import Worker, worker_spec
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.roads.published_graph import graph_channel, graph_key

_WARM_UP_QUESTIONS = 100
_PATIENCE_SECONDS = 60.0


async def publish(redis_url: str, graph: RoadGraph, speeds_kmh: np.ndarray) -> str:
    """Let the worker know predicted speeds of all edges."""
    now = datetime.now(UTC)
    version = version_at(now)
    client = connect(redis_url)
    published = PublishedSpeeds(
        version=version,
        publisher="bench",
        made_at=now,
        observed_at=now,
        sources={"model": graph.edge_count},
        horizons_seconds=HORIZONS_SECONDS,
        speeds_kmh=speeds_kmh,
        free_flow_kmh=graph.free_flow_kmh,
    )
    await client.set(graph_key(graph.city), encode_speeds(graph, published))
    await client.publish(graph_channel(graph.city), version)
    await client.aclose()
    return version


def question(graph: RoadGraph, pair: tuple[int, int]) -> dict[str, Any]:
    """From one junction to another, now."""
    ends = [{"lat": float(graph.node_lat[node]), "lng": float(graph.node_lon[node])} for node in pair]
    return {"origin": ends[0], "destination": ends[1], "departure_time": "now"}


async def until_used(session: aiohttp.ClientSession, url: str, body: dict[str, Any], version: str) -> None:
    """Wait until the worker answers under a version."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(url, json=body) as response:
                    if version in await response.text():
                        return
            await asyncio.sleep(0.2)


async def ask_all(
    session: aiohttp.ClientSession, url: str, questions: list[dict[str, Any]]
) -> tuple[list[float], float]:
    """Milliseconds of each answered question, from sending it to its last byte, and the mean size of an answer."""
    took, sizes = [], []
    for body in questions:
        began = time.perf_counter()
        async with session.post(url, json=body) as response:
            answer = await response.read()
        milliseconds = (time.perf_counter() - began) * 1000
        if response.status == 200:
            took.append(milliseconds)
            sizes.append(len(answer))
        elif response.status != 404:
            raise RuntimeError(f"{response.status}: {answer.decode()}")
    return took, float(np.mean(sizes))


async def start_worker(place: Servers, graph: RoadGraph) -> str:
    """A worker of role live on a graph, without cache; its address."""
    await asyncio.to_thread(save, graph, place.folder / "graph")
    place.environment |= {
        "TRAFFICAPP_ROADS__CITY": graph.city,
        "TRAFFICAPP_ROADS__GRAPH": str(place.folder / "graph"),
        "TRAFFICAPP_ROADS__ROUTE_CACHE_SECONDS": "0",
        "TRAFFICAPP_LIMITS__REQUESTS_PER_SECOND": "100000",
        "TRAFFICAPP_LIMITS__BURST": "100000",
    }
    worker = Worker("live", "live", ports.choose(6166))
    place.supervisor.add_group([worker_spec(worker, place.folder, place.environment)])
    await place.supervisor.start_all()
    return f"http://127.0.0.1:{worker.web_port}/route/recommend"


async def requests(
    graph: RoadGraph, pairs: list[tuple[int, int]], speeds_kmh: np.ndarray
) -> list[tuple[str, float, str]]:
    """Figures of questions between junctions: name, value, unit."""
    questions = [question(graph, pair) for pair in pairs]
    async with servers() as place:
        url = await start_worker(place, graph)
        pid = place.supervisor.pid("live")
        async with aiohttp.ClientSession() as session:
            version = await publish(place.environment["REDIS_URL"], graph, speeds_kmh)
            await until_used(session, url, questions[0], version)
            await ask_all(session, url, questions[:_WARM_UP_QUESTIONS])
            process = psutil.Process(pid)
            began = process.cpu_times()
            took, size = await ask_all(session, url, questions)
            ended = process.cpu_times()
        cpu_seconds = ended.user - began.user + ended.system - began.system
        resident = process.memory_info().rss / 2**20
    return [
        ("http_p50", float(np.percentile(took, 50)), "ms"),
        ("http_p99", float(np.percentile(took, 99)), "ms"),
        ("http_answer", size / 1024, "KiB"),
        ("http_worker_cpu", cpu_seconds / len(took) * 1000, "ms"),
        ("http_worker_memory", resident, "MiB"),
    ]
