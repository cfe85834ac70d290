"""One hostile client beside fifty honest ones: ``python -m tests.verification.load``.

A worker with months of history is asked by honest clients, alone first and then beside one who asks for all that is
costly as often as he can: long analytics in zones between the hours, comparisons, reports, exports, whole histories,
wrong keys, large bodies. Every client has an address of its own, which a trusted proxy would name. It must hold that

- the honest ones' 99th percentile is at most twice that without him, and none of them is refused or fails;
- ``/health`` says at every look within 250 ms that everything is well, and administration answers;
- the worker's memory grows to 1.3 times at most, and falls back to that of before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import psutil

from tests.verification import load_watch
from tests.verification.deployment import Deployment, deployed
from trafficapp.stores.cameras.rollups import SUMS
from trafficapp.stores.postgres.time_partitions import ensure_partitions, hours_partition, minutes_partition

KEY = "the-administrators-key-of-verify-load"
HOSTILE = "198.51.100.66"
HEALTH_WITHIN_SECONDS = 0.25
MOST_TIMES_SLOWER = 2.0
MOST_TIMES_MEMORY = 1.3
#: What a 99th percentile of few milliseconds may be off by on a machine that does other things.
_NOISE_SECONDS = 0.010
_IDLE_SECONDS = 8.0

_SETTINGS = {
    "ADMIN_API_KEY": KEY,
    "TRAFFICAPP_LIMITS__TRUSTED_PROXIES": '["127.0.0.1"]',
    "TRAFFICAPP_RETENTION__METRICS_DAYS": "400",
}
_FILL = f"""
    INSERT INTO {{table}} (bucket_start, camera_id, {", ".join(SUMS)})
    SELECT t, 'cam_' || lpad(n::text, 3, '0'), {{windows}}, 10 * {{windows}}, {{windows}}, 4000 * {{windows}},
           {{windows}}, 300000 * {{windows}}, 0, 0, {{windows}}, {{windows}}
    FROM generate_series($1::timestamptz, $2::timestamptz - {{step}}, {{step}}) AS t, generate_series(1, $3) AS n
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants
_CAMERAS = """
    INSERT INTO cameras (camera_id, name, latitude, longitude, last_seen)
    SELECT 'cam_' || lpad(n::text, 3, '0'), 'Camera ' || n, 44.46 + n * 0.001, 11.28 + n * 0.001, now()
    FROM generate_series(1, $1) AS n ON CONFLICT DO NOTHING
"""
_ALERTS = """
    INSERT INTO alerts (id, revision, severity, alert_type, camera_id, title, message, rule, since, triggered_at,
                        updated_at, resolved_at)
    SELECT gen_random_uuid(), 2, 'WARNING', 'congestion', 'cam_001', 'Congestion', 'Congestion is high', '',
           now() - n * interval '1 minute', now() - n * interval '1 minute', now(), now()
    FROM generate_series(1, $1) AS n
"""


@dataclass
class Figures:
    """What was seen of somebody.

    Attributes:
        seconds: how long each answer took.
        statuses: how many answers had each; 0 for those that failed.
        seconds_of: the same seconds by what was asked for, without its arguments.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds_of: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, path: str, seconds: float, status: int) -> None:
        """Count an answer."""
        self.seconds.append(seconds)
        self.seconds_of[path.partition("?")[0]].append(seconds)
        self.statuses[status] += 1

    def by_path(self) -> Iterator[str]:
        """A line for each path: how many, the median, what 19 of 20 are below, the longest."""
        for path, seconds in sorted(self.seconds_of.items()):
            if len(seconds) > 1:
                most = statistics.quantiles(seconds, n=20)[18]
                yield (
                    f"{path:28} {len(seconds):5}, median {statistics.median(seconds) * 1000:7.1f} ms, "
                    f"p95 {most * 1000:7.1f} ms, longest {max(seconds) * 1000:7.1f} ms"
                )

    @property
    def p99_seconds(self) -> float:
        """The 99th percentile."""
        return statistics.quantiles(self.seconds, n=100)[98] if len(self.seconds) > 1 else 0.0

    def __str__(self) -> str:
        median = statistics.median(self.seconds) if self.seconds else 0.0
        return (
            f"{len(self.seconds):6} answers, median {median * 1000:6.1f} ms, p99 {self.p99_seconds * 1000:7.1f} ms, "
            f"longest {max(self.seconds, default=0.0) * 1000:7.1f} ms, {dict(sorted(self.statuses.items()))}"
        )


@dataclass
class Seen:
    """What was seen for some time."""

    honest: Figures = field(default_factory=Figures)
    hostile: Figures = field(default_factory=Figures)
    health: Figures = field(default_factory=Figures)
    administration: Figures = field(default_factory=Figures)
    unwell: int = 0
    memory_bytes: list[int] = field(default_factory=list)
    memory_beside_bytes: list[int] = field(default_factory=list)
    cpu_seconds: Counter[str] = field(default_factory=Counter)
    began_seconds: float = 0.0
    lasted_seconds: float = 0.0

    def busy(self) -> str:
        """How many processors each was busy with."""
        return ", ".join(f"{name} {seconds / self.lasted_seconds:.2f}" for name, seconds in self.cpu_seconds.items())


class Asker:
    """Asks one worker."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def ask(self, figures: Figures, path: str, address: str, method: str = "GET", **arguments: Any) -> bytes:
        """Ask, and note how it went."""
        began = time.perf_counter()
        headers = {"X-Forwarded-For": address, **arguments.pop("headers", {})}
        body, status = b"", 0
        try:
            async with self._session.request(method, self._url + path, headers=headers, **arguments) as response:
                body, status = await response.read(), response.status
        except (aiohttp.ClientError, TimeoutError):
            pass
        figures.note(path, time.perf_counter() - began, status)
        return body


def honest_paths(now: datetime) -> Sequence[str]:
    """What dashboards ask for."""
    hour, day = (quote((now - length).isoformat()) for length in (timedelta(hours=1), timedelta(days=1)))
    return (
        "/metrics/current",
        "/congestion/current",
        "/api/alerts/history?limit=50",
        "/api/alerts/active",
        "/api/dashboard/summary",
        "/api/map/heatmap",
        f"/metrics/history?camera_id=cam_001&from={hour}",
        f"/api/analytics/metrics?start={day}",
    )


def hostile_paths(now: datetime) -> Sequence[str]:
    """What one address asked for that took a worker down, and the like."""
    old, half = (quote((now - timedelta(days=days)).isoformat()) for days in (390, 195))
    end = quote(now.isoformat())
    zones = ("Asia/Kathmandu", "Australia/Eucla", "Asia/Kolkata", "Pacific/Chatham", "UTC")
    return (
        *(f"/api/analytics/metrics?start={old}&tz={zone}" for zone in zones),
        *(f"/api/analytics/trends?start={old}&tz={zone}" for zone in zones),
        f"/api/analytics/compare?start_a={old}&end_a={half}&start_b={half}&end_b={end}&tz=Asia/Kathmandu",
        f"/api/analytics/metrics?start={quote('1850-01-01T00:00:00Z')}&end={quote('1851-01-01T00:00:00Z')}&tz=Asia/Kolkata",
        f"/api/analytics/report/pdf?start={old}&tz=Asia/Kathmandu",
        f"/api/alerts/export?from={old}",
        f"/metrics/history?camera_id=cam_001&from={old}",
        f"/metrics/history?camera_id=cam_001&from={old}&step=5s&lanes=true",
        f"/analytics/trends?from={old}",
        f"/api/alerts/history?from={old}&limit=5000",
    )


async def fill(url: str, cameras: int, days: int, minute_days: int, alerts: int) -> None:
    """Write sums by the hour and by the minute, and alerts."""
    connection = await asyncpg.connect(url, timeout=30)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await connection.execute(_CAMERAS, cameras)
    for length, partition in ((days, hours_partition), (minute_days, minutes_partition)):
        await ensure_partitions(connection, {partition(now - timedelta(days=n)) for n in range(-1, length + 1)})
    hours = _FILL.format(table="metrics_1h", windows=720, step="interval '1 hour'")
    minutes = _FILL.format(table="metrics_1m", windows=12, step="interval '1 minute'")
    await connection.execute(hours, now - timedelta(days=days), now, cameras, timeout=600)
    await connection.execute(minutes, now - timedelta(days=minute_days), now, cameras, timeout=600)
    await connection.execute("ALTER TABLE alerts DISABLE TRIGGER USER")
    await connection.execute(_ALERTS, alerts, timeout=600)
    await connection.execute("ANALYZE", timeout=600)
    await connection.close()


async def watch(asker: Asker, seen: Seen, process: psutil.Process) -> None:
    """Look after health, administration and memory until cancelled."""
    for number in itertools.count():
        body = await asker.ask(seen.health, "/health", "203.0.113.1")
        seen.unwell += b'"status":"ok"' not in body or seen.health.seconds[-1] > HEALTH_WITHIN_SECONDS
        seen.memory_bytes.append(process.memory_info().rss)
        seen.memory_beside_bytes.append(memory_beside(process))
        if number % 4 == 0:
            await asker.ask(seen.administration, "/api/admin/audit", "203.0.113.2", headers={"X-Admin-Token": KEY})
        await asyncio.sleep(0.25)


async def be_honest(asker: Asker, seen: Seen, number: int) -> None:
    """Ask what a dashboard asks, about twice a second."""
    chance = random.Random(number)
    await asyncio.sleep(chance.random())
    while True:
        path = chance.choice(honest_paths(datetime.now(UTC)))
        await asker.ask(seen.honest, path, f"203.0.113.{10 + number}")
        await asyncio.sleep(0.3 + chance.random() * 0.4)


async def be_hostile(asker: Asker, seen: Seen, number: int, left_out: Sequence[str]) -> None:
    """Ask for all that is costly but what is left out, and sometimes leave at once."""
    chance = random.Random(number)
    while True:
        paths = [path for path in hostile_paths(datetime.now(UTC)) if path.partition("?")[0] not in left_out]
        path = chance.choice(paths)
        deed = chance.random()
        if deed < 0.05:
            await asker.ask(seen.hostile, "/cameras", HOSTILE, headers={"X-Admin-Token": f"guess {number}" * 4})
        elif deed < 0.1:
            await asker.ask(seen.hostile, "/route/recommend", HOSTILE, "POST", json={"x": "y" * (1 << 20)})
        elif deed < 0.3:
            timeout = aiohttp.ClientTimeout(total=chance.random())
            await asker.ask(seen.hostile, path, HOSTILE, timeout=timeout)
        else:
            await asker.ask(seen.hostile, path, HOSTILE)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def going_on(*deeds: Any) -> AsyncIterator[None]:
    """Let some things go on inside the block."""
    tasks = [asyncio.create_task(deed) for deed in deeds]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for fault in ended:
            if isinstance(fault, Exception):
                raise fault


def memory_beside(worker: psutil.Process) -> int:
    """Memory of the processes that a worker has beside it."""
    taken = 0
    for child in worker.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            taken += child.memory_info().rss
    return taken


def cpu_seconds(worker: psutil.Process) -> Counter[str]:
    """CPU time so far of the worker, of its process for costly questions, of reports that were laid out, of all of
    Postgres, and of the clients: us."""
    spent: Counter[str] = Counter()
    for name, process in (("worker", worker), ("clients", psutil.Process())):
        times = process.cpu_times()
        spent[name] = times.user + times.system  # type: ignore[assignment]
        if name == "worker":
            spent["reports"] = times.children_user + times.children_system  # type: ignore[assignment]
    for child in worker.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            spent["costly"] += times.user + times.system  # type: ignore[assignment]
            spent["reports"] += times.children_user + times.children_system  # type: ignore[assignment]
    for process in psutil.process_iter(["name", "cpu_times"]):
        if process.info["name"] == "postgres" and (times := process.info["cpu_times"]) is not None:
            spent["postgres"] += times.user + times.system
    return spent


async def look(
    make: Callable[[], Asker],
    process: psutil.Process,
    seconds: float,
    clients: int,
    hostile_at_once: int = 0,
    left_out: Sequence[str] = (),
) -> Seen:
    """What honest clients see for so long, beside so many questions of one hostile client at a time."""
    seen, asker = Seen(), make()
    honest = (be_honest(asker, seen, number) for number in range(clients))
    hostile = (be_hostile(asker, seen, number, left_out) for number in range(hostile_at_once))
    before, began = cpu_seconds(process), time.monotonic()
    async with going_on(watch(asker, seen, process), *honest, *hostile):
        await asyncio.sleep(seconds)
    seen.cpu_seconds, seen.lasted_seconds = cpu_seconds(process) - before, time.monotonic() - began
    seen.began_seconds = began
    return seen


async def measure(deployment: Deployment, arguments: argparse.Namespace) -> bool:
    """Look without him and with him, print both, and say whether everything held."""
    worker = deployment.workers[0]
    process = psutil.Process(deployment.supervisor.pid(worker.name))
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        def make() -> Asker:
            return Asker(f"http://127.0.0.1:{worker.web_port}", session)

        await look(make, process, min(5.0, arguments.seconds), arguments.clients)
        alone = await look(make, process, arguments.seconds, arguments.clients)
        hostile, left_out = arguments.hostile, arguments.leave_out
        beside = await look(make, process, arguments.seconds, arguments.clients, hostile, left_out)
        await asyncio.sleep(_IDLE_SECONDS)
        after = process.memory_info().rss
    return report(alone, beside, after, arguments.watch)


def report(alone: Seen, beside: Seen, after_bytes: int, watched: Path | None) -> bool:
    """Print what was seen; whether it is as it must be."""
    for title, seen in (("without him", alone), ("beside him", beside)):
        print(f"{title}, processors busy: {seen.busy()}:")
        for name in ("honest", "hostile", "health", "administration"):
            print(f"  {name:15} {getattr(seen, name)}")
        for line in (*seen.honest.by_path(), *seen.hostile.by_path()):
            print(f"    {line}")
        if watched is not None:
            for line in load_watch.told(watched, seen.began_seconds, seen.began_seconds + seen.lasted_seconds):
                print(f"    {line}")
    before, most = max(alone.memory_bytes), max(beside.memory_bytes)
    print(f"memory: {before / 2**20:.0f} MiB without, {most / 2**20:.0f} beside, {after_bytes / 2**20:.0f} afterwards")
    apart = max(beside.memory_beside_bytes, default=0)
    print(f"memory of processes that the worker has beside it, reports and costly questions: {apart / 2**20:.0f} MiB")
    allowed = max(MOST_TIMES_SLOWER * alone.honest.p99_seconds, alone.honest.p99_seconds + _NOISE_SECONDS)
    held = {
        f"the honest ones' p99 is at most {allowed * 1000:.0f} ms": beside.honest.p99_seconds <= allowed,
        "no honest question failed or was refused": set(beside.honest.statuses) == {200},
        "health was well and quick at every look": beside.unwell == 0,
        "administration answered": set(beside.administration.statuses) == {200},
        f"memory grew to {most / before:.2f} times": most <= MOST_TIMES_MEMORY * before,
        f"and fell back to {after_bytes / before:.2f} times": after_bytes <= 1.1 * before,
        "the hostile client was refused at times": beside.hostile.statuses[429] > 0,
    }
    for what, is_so in held.items():
        print(f"  {'ok    ' if is_so else 'FAILED'} {what}")
    return all(held.values())


async def run(arguments: argparse.Namespace) -> bool:
    """Make the check; True when everything held."""
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}", flush=True)
    settings, watched_by = _SETTINGS, None
    if arguments.watch is not None:
        settings, watched_by = {**settings, load_watch.FILE: str(arguments.watch.absolute())}, load_watch.__name__
    async with deployed(1, settings=settings, roles={"streams"}, watched_by=watched_by) as deployment:
        began = time.monotonic()
        days = min(arguments.days, 390)
        await fill(deployment.database_url, arguments.cameras, 390, days, arguments.alerts)
        print(
            f"{arguments.cameras} cameras, minutes of {days} days: written in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        return await measure(deployment, arguments)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each look takes")
    parser.add_argument("--clients", type=int, default=50, help="honest ones")
    parser.add_argument("--hostile", type=int, default=40, help="questions of the hostile one at a time")
    parser.add_argument(
        "--leave-out", nargs="+", default=[], metavar="PATH", help="what he does not ask for, to find what slows others"
    )
    parser.add_argument(
        "--watch", type=Path, metavar="FILE", help="tell what the worker's event loop does, noted in this file"
    )
    parser.add_argument("--cameras", type=int, default=40)
    parser.add_argument("--days", type=int, default=30, help="days of sums by the minute")
    parser.add_argument("--alerts", type=int, default=200_000)
    return int(not asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
