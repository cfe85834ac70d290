"""Memory of a windows worker by the number of cameras: ``python -m tests.bench.memory``."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path

import psutil
from confluent_kafka import Producer

from tests.bench.__main__ import servers
from tests.bench.latency import event, start_workers
from trafficapp.engine.kafka import librdkafka_config
from trafficapp.settings import load_settings
from trafficapp.topics import EVENTS_RAW

_EVENTS_PER_CAMERA = 60
_SECONDS_PER_CAMERA = 20.0
_SETTLE_SECONDS = 15.0


def send(bootstrap_servers: str, cameras: int, begin: float) -> None:
    """Twenty seconds of events of so many cameras, as fast as they go."""
    settings = load_settings(kafka={"bootstrap_servers": bootstrap_servers})
    config = {"linger.ms": 20, "partitioner": "murmur2_random", "queue.buffering.max.messages": 500_000}
    producer = Producer(librdkafka_config(settings) | config)
    for step in range(_EVENTS_PER_CAMERA):
        time_us = int((begin + step * _SECONDS_PER_CAMERA / _EVENTS_PER_CAMERA) * 1e6)
        for camera in range(cameras):
            camera_id = f"cam_{camera:04}"
            producer.produce(EVENTS_RAW, key=camera_id.encode(), value=event(camera_id, time_us, step))
        producer.poll(0)
    producer.flush()


async def measure(counts: list[int]) -> dict[int, float]:
    """Resident memory in MiB after events of so many cameras, growing in one worker."""
    resident: dict[int, float] = {}
    async with servers() as place:
        chosen = await start_workers(place)
        pid = place.supervisor.pid(chosen[0].name)
        resident[0] = psutil.Process(pid).memory_info().rss / 2**20
        begin = time.time() - 3600
        for cameras in counts:
            await asyncio.to_thread(send, place.bootstrap_servers, cameras, begin)
            begin += 2 * _SECONDS_PER_CAMERA
            await asyncio.sleep(_SETTLE_SECONDS)
            resident[cameras] = psutil.Process(pid).memory_info().rss / 2**20
            print(f"{cameras} cameras: {resident[cameras]:.0f} MiB", flush=True)
    return resident


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, nargs="+", default=[50, 500, 5000])
    resident = asyncio.run(measure(parser.parse_args().cameras))
    target = Path("build") / "memory.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({str(count): round(mib, 1) for count, mib in resident.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
