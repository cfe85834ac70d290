"""How long a finished window takes to Redis and to a WebSocket: ``python -m tests.bench.latency``.

From the moment the event is handed to Kafka that moves a camera's watermark past a window's end, to the
arrival of the window's row on the pub/sub channel (Redis holds the row by then) and on ``/ws/metrics``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import orjson
from confluent_kafka import Producer

from models.cameras.window_rows import WindowRow
from models.timestamps import epoch_us
from tests.bench.__main__ import Servers, servers
from trafficapp.engine.kafka import librdkafka_config
from trafficapp.settings import load_settings
from trafficapp.stack import workers
from trafficapp.stores.redis.connection import METRICS_CHANNEL, connect
from trafficapp.topics import EVENTS_RAW

_WARM_UP_SECONDS = 12.0
_WINDOW_US = 5_000_000
_LATENESS_US = 2_000_000

_rows = msgspec.json.Decoder(list[WindowRow]).decode


class Arrivals:
    """When each camera's window passed the watermark, and when its row came."""

    def __init__(self) -> None:
        self.passed: dict[tuple[str, int], float] = {}
        self.came: dict[str, dict[tuple[str, int], float]] = {"redis": {}, "websocket": {}}

    def note(self, way: str, payload: bytes | str) -> None:
        """Rows came on one of the ways."""
        now = time.time()
        for row in _rows(payload):
            if row.lane_id is None:
                self.came[way].setdefault((row.camera_id, epoch_us(row.window_end)), now)

    def milliseconds(self, way: str, since: float) -> list[float]:
        """Latencies of one way, of windows that passed after a moment."""
        return sorted(
            (self.came[way][key] - passed) * 1000
            for key, passed in self.passed.items()
            if passed > since and key in self.came[way]
        )


async def send(arrivals: Arrivals, bootstrap_servers: str, rate: int, cameras: int, seconds: float) -> None:
    """Send events that happen now, evenly, and note when each watermark passes."""
    settings = load_settings(kafka={"bootstrap_servers": bootstrap_servers})
    producer = Producer(librdkafka_config(settings) | {"linger.ms": 0, "partitioner": "murmur2_random"})
    began, sent, next_end = time.time(), 0, dict[str, int]()
    while (elapsed := time.time() - began) < seconds:
        while sent < elapsed * rate:
            camera_id, now_us = f"cam_{sent % cameras:02}", int(time.time() * 1e6)
            end_us = next_end.setdefault(camera_id, (now_us // _WINDOW_US + 1) * _WINDOW_US)
            if now_us - _LATENESS_US >= end_us:
                arrivals.passed[camera_id, end_us] = time.time()
                next_end[camera_id] = end_us + _WINDOW_US
            producer.produce(EVENTS_RAW, key=camera_id.encode(), value=event(camera_id, now_us, sent))
            producer.poll(0)
            sent += 1
        await asyncio.sleep(0.002)
    await asyncio.to_thread(producer.flush)


def event(camera_id: str, time_us: int, number: int) -> bytes:
    """A detection in the nested form."""
    return orjson.dumps(
        {
            "camera_id": camera_id,
            "timestamp": time_us / 1e6,
            "frame_id": number,
            "vehicle_id": f"v{number // 40 % 500}",
            "class": "car",
            "confidence": 0.9,
            "bbox": {"x": 10.0, "y": 10.0, "w": 50.0, "h": 40.0},
            "centroid": {"x": 35.0, "y": 30.0},
            "lane_id": number % 3,
            "speed_estimate": 30.0 + number % 20,
        }
    )


async def listen_redis(arrivals: Arrivals, url: str) -> None:
    """Note rows on the pub/sub channel."""
    async with connect(url, retries=0) as client, client.pubsub() as channel:
        await channel.subscribe(METRICS_CHANNEL)
        while True:
            message: Any = await channel.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message is not None:
                arrivals.note("redis", message["data"])


async def listen_websocket(arrivals: Arrivals, port: int) -> None:
    """Note rows on the socket."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{port}/ws/metrics?changes=true") as socket,
    ):
        async for message in socket:
            arrivals.note("websocket", message.data)


async def start_workers(place: Servers) -> list[workers.Worker]:
    """One worker of each role."""
    chosen = workers.choose_workers(1, 6066)
    place.supervisor.add_group([workers.worker_spec(worker, place.folder, place.environment) for worker in chosen])
    await place.supervisor.start_all()
    return chosen


async def measure(rate: int, cameras: int, seconds: float) -> dict[str, Any]:
    """Run and return percentiles in milliseconds."""
    arrivals = Arrivals()
    async with servers() as place:
        chosen = await start_workers(place)
        listeners = [
            asyncio.create_task(listen_redis(arrivals, place.environment["REDIS_URL"])),
            asyncio.create_task(listen_websocket(arrivals, chosen[0].web_port)),
        ]
        since = time.time() + _WARM_UP_SECONDS
        await send(arrivals, place.bootstrap_servers, rate, cameras, seconds)
        await asyncio.sleep(3)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    result: dict[str, Any] = {"events_per_second": rate, "cameras": cameras, "windows": len(arrivals.passed)}
    for way in arrivals.came:
        values = arrivals.milliseconds(way, since)
        cuts = statistics.quantiles(values, n=100)
        result[way] = {"count": len(values), "p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)}
    return result


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--cameras", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=75.0)
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.rate, arguments.cameras, arguments.seconds))
    for way in ("redis", "websocket"):
        print(f"window final → {way}: p50 {result[way]['p50_ms']} ms, p99 {result[way]['p99_ms']} ms")
    target = Path("build") / "latency.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
