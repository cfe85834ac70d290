"""What fifty clients wait for when they ask about a month."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from confluent_kafka import Producer

from models.cameras.window_rows import WindowRow, encode_window_row
from models.timestamps import epoch_us, rfc3339
from tests.bench.servers import running
from trafficapp.analytics.figures import SEVERITIES
from trafficapp.analytics.spans import cut
from trafficapp.engine.kafka import librdkafka_config
from trafficapp.settings import load_settings
from trafficapp.stack import workers
from trafficapp.stack.servers import data_dir, ports
from trafficapp.stores.cameras import analytics_queries, day_sums, history_queries
from trafficapp.topics import METRICS

_WARM_UP_SECONDS = 6.0
_WINDOW_SECONDS = 5


@dataclass(frozen=True)
class Result:
    """What the clients saw."""

    name: str
    clients: int
    requests: int
    failures: int
    per_second: float
    p50_ms: float
    p99_ms: float
    longest_ms: float


@dataclass(frozen=True)
class Place:
    """A worker on a loaded database."""

    url: str
    base: str
    cameras: list[str]
    since: datetime
    until: datetime


@asynccontextmanager
async def worker_on(folder: Path) -> AsyncIterator[Place]:
    """Servers on a folder that was loaded, a worker, and windows of all cameras that finish now."""
    folder = data_dir.prepare(folder)
    async with running(folder) as (supervisor, environment):
        # all fifty come from one address
        generous = {"TRAFFICAPP_LIMITS__REQUESTS_PER_SECOND": "1000000", "TRAFFICAPP_LIMITS__BURST": "1000000"}
        worker = workers.Worker("live", "live", ports.choose(6166))
        supervisor.add_group([workers.worker_spec(worker, folder, {**environment, **generous})])
        await supervisor.start_all()
        connection = await asyncpg.connect(environment["DATABASE_URL"])
        cameras = [row[0] for row in await connection.fetch("SELECT camera_id FROM cameras ORDER BY 1")]
        since, until = await connection.fetchrow("SELECT min(bucket_start), max(bucket_start) FROM metrics_1h")
        await connection.close()
        feeding = asyncio.create_task(_feed(environment["KAFKA_BOOTSTRAP_SERVERS"], cameras))
        await asyncio.sleep(_WARM_UP_SECONDS)
        base = f"http://127.0.0.1:{worker.web_port}"
        yield Place(environment["DATABASE_URL"], base, cameras, since, until + timedelta(hours=1))
        feeding.cancel()


async def _feed(bootstrap_servers: str, cameras: list[str]) -> None:
    """Finish a window of every camera every five seconds, as the windows agent does."""
    settings = load_settings(kafka={"bootstrap_servers": bootstrap_servers})
    producer = Producer(librdkafka_config(settings) | {"partitioner": "murmur2_random"})
    while True:
        end = int(time.time()) // _WINDOW_SECONDS * _WINDOW_SECONDS
        for camera_id in cameras:
            row = WindowRow(
                camera_id=camera_id,
                window_start=rfc3339((end - _WINDOW_SECONDS) * 1_000_000),
                window_end=rfc3339(end * 1_000_000),
                lane_id=None,
                vehicle_count=20,
                counts_by_class={"car": 20},
                avg_speed_kmh=40.0,
                stopped_ratio=0.1,
                queue_length=2,
                congestion_level="LOW",
                congestion_score=0.2933,
                detections=100,
            )
            producer.produce(METRICS, key=camera_id.encode(), value=encode_window_row(row))
        await asyncio.to_thread(producer.flush)
        await asyncio.sleep(_WINDOW_SECONDS)


class Questions:
    """What is asked; the same seed asks the same."""

    def __init__(self, place: Place, seed: int = 1) -> None:
        self._place = place
        self._chance = random.Random(seed)

    def _moment(self, grain_seconds: int) -> datetime:
        whole = int((self._place.until - self._place.since).total_seconds()) // grain_seconds
        return self._place.since + timedelta(seconds=self._chance.randrange(whole + 1) * grain_seconds)

    def history(self) -> str:
        """An hour of a camera."""
        start = min(self._moment(1), self._place.until - timedelta(hours=1))
        camera_id = self._chance.choice(self._place.cameras)
        return f"/metrics/history?camera_id={camera_id}&from={_text(start)}&to={_text(start + timedelta(hours=1))}"

    def analytics(self, grain_seconds: int) -> Callable[[], str]:
        """A range of any length within the month, its ends at multiples of so many seconds."""

        def ask() -> str:
            start, end = sorted((self._moment(grain_seconds), self._moment(grain_seconds)))
            if start == end:
                return ask()
            return f"/api/analytics/metrics?start={_text(start)}&end={_text(end)}"

        return ask

    def all(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Each kind of question."""
        month = f"start={_text(self._place.since)}&end={_text(self._place.until)}"
        yield "history of a camera, a random hour", self.history
        yield "analytics, the whole month, one question", lambda: f"/api/analytics/metrics?{month}"
        yield "analytics, random ranges to the hour", self.analytics(3600)
        yield "analytics, random ranges to the minute", self.analytics(60)
        yield "analytics, random ranges to the second", self.analytics(1)
        yield "dashboard summary", lambda: "/api/dashboard/summary"
        yield "heatmap", lambda: "/api/map/heatmap"


async def measure(place: Place, name: str, ask: Callable[[], str], clients: int, seconds: float) -> Result:
    """Let clients ask one question after the other for a while; the first two seconds do not count."""
    waited: list[float] = []
    failures = 0
    begin = time.perf_counter() + min(2.0, seconds / 4)
    end = begin + seconds

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal failures
        while (asked := time.perf_counter()) < end:
            async with session.get(place.base + ask()) as response:
                await response.read()
            if asked >= begin:
                waited.append((time.perf_counter() - asked) * 1000)
                failures += response.status != 200

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    cuts = statistics.quantiles(waited, n=100)
    return Result(
        name, clients, len(waited), failures, round(len(waited) / seconds, 1),
        round(cuts[49], 1), round(cuts[98], 1), round(max(waited), 1),
    )  # fmt: skip


async def once(place: Place, name: str, path: str) -> Result:
    """One client asks once."""
    async with aiohttp.ClientSession() as session:
        asked = time.perf_counter()
        async with session.get(place.base + path) as response:
            await response.read()
        waited = round((time.perf_counter() - asked) * 1000, 1)
    return Result(name, 1, 1, int(response.status != 200), round(1000 / waited, 1), waited, waited, waited)


async def beside_reports(place: Place, seconds: float) -> list[Result]:
    """What others wait for while one report after the other is made."""
    month = f"start={_text(place.since)}&end={_text(place.until)}"
    small = f"/metrics/current?camera_id={place.cameras[0]}"
    alone = await measure(place, "one small question, nothing beside it", lambda: small, 1, seconds)
    reports, beside = await asyncio.gather(
        measure(place, "report of the month (PDF)", lambda: f"/api/analytics/report/pdf?{month}", 1, seconds),
        measure(place, "one small question beside reports", lambda: small, 1, seconds),
    )
    return [reports, alone, beside]


async def everything(place: Place, clients: int, seconds: float) -> AsyncIterator[Result]:
    """All measurements, each as it is finished."""
    month = f"start={_text(place.since)}&end={_text(place.until)}"
    yield await once(place, "analytics, the month, first question", f"/api/analytics/metrics?{month}")
    yield await once(place, "analytics, the month, second question", f"/api/analytics/metrics?{month}")
    yield await once(place, "the month by half-hour zone (minutes)", f"/api/analytics/metrics?{month}&tz=Asia/Kolkata")
    for name, ask in Questions(place).all():
        yield await measure(place, name, ask, clients, seconds)
    for result in await beside_reports(place, seconds / 2):
        yield result


async def plans(place: Place) -> list[str]:
    """How the server answers the statements behind the answers."""
    start = place.since + timedelta(days=3, hours=4, minutes=17, seconds=20)
    end = place.until - timedelta(days=2, hours=7, minutes=11, seconds=40)
    edges = analytics_queries._edges_statement(cut(start, end).edges, None)
    alerts = analytics_queries._edge_alerts_statement(cut(start, end).edges, None)
    days = (place.since.date(), (place.until - timedelta(hours=1)).date())
    statements: list[tuple[str, str, list[Any]]] = [
        (
            "an hour of a camera",
            history_queries._HISTORY,
            [place.cameras[7], start, start + timedelta(hours=1), True, 1001],
        ),
        ("the ends of a range to the second", edges.text, edges.arguments),
        ("alerts at the ends of a range", alerts.text, alerts.arguments),
        ("whether days in memory are still right", day_sums._CHANGES, [*days]),
        ("thirty days into memory", day_sums._HOURS, [place.since, place.until, place.cameras]),
        ("their alerts", day_sums._ALERTS, [place.since, place.until, place.cameras, list(SEVERITIES)]),
    ]
    connection = await asyncpg.connect(place.url, server_settings={"timezone": "UTC"})
    found = []
    for name, text, arguments in statements:
        await connection.fetch(text, *arguments)
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {text}", *arguments)
        found.append("\n".join([f"-- {name}", *(row[0] for row in rows)]))
    await connection.close()
    return found


def _text(moment: datetime) -> str:
    return rfc3339(epoch_us(moment.astimezone(UTC)))
