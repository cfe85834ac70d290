"""The role ``site`` against processes of their own: ``python -m tests.bench.site``.

The real servers. By turns, either a process of each of the roles streams, alerts, feeds, history and live, or one of
the role site, each for some seconds under the same load: frames of forty cameras and messages of all feeds, at a small
site's rates or at any other. CPU time of the processes, what they do when nothing comes included, since small sites
are idle for most of it; the median of the turns, into ``build/site.json`` as rows ``{name, value, unit, before}``.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from tests.bench.city import Lag, producer, send
from tests.bench.city_messages import mixed
from tests.bench.frames import DETECTIONS_PER_FRAME, frame
from tests.bench.servers import running
from trafficapp.settings import SITE_ROLES, load_settings
from trafficapp.stack import workers
from trafficapp.stack.servers import data_dir
from trafficapp.stack.supervisor import Supervisor
from trafficapp.topics import EVENTS_RAW

RESULT = Path("build") / "site.json"
CAMERAS = 40
_FRAMES_BEGIN_US, _FRAME_US = 1_768_374_000_000_000, 200_000
_SETTLE_SECONDS, _WARM_SECONDS, _IDLE_SECONDS, _PATIENCE_SECONDS = 5.0, 4.0, 6.0, 120.0
_TICK_SECONDS = 0.1
#: A record or two of what is told to oneself, and the ends of transactions, are always behind.
_MARKERS = 8


def frames() -> Iterator[tuple[str, bytes, bytes]]:
    """Frames of all cameras from now on, without end."""
    for number in itertools.count((time.time_ns() // 1000 - _FRAMES_BEGIN_US) // _FRAME_US):
        for camera in range(CAMERAS):
            yield EVENTS_RAW, f"cam_{camera:02}".encode(), frame(camera, number)


async def turn(
    supervisor: Supervisor, lag: Lag, names: list[str], bootstrap: str, rates: tuple[float, float], seconds: float
) -> dict[str, float]:
    """Cores that workers use for so many seconds of frames and messages at rates, by name."""
    frame_rate, feed_rate = rates
    for name in names:
        await supervisor.start(name)
    for name in names:
        await supervisor.wait_ready(name)
    await asyncio.sleep(_SETTLE_SECONDS)
    client, sources = producer(bootstrap), [(frames(), frame_rate), (mixed(), feed_rate)]

    async def at_rates(duration: float) -> None:
        began, sent = time.monotonic(), [0, 0]
        while (passed := time.monotonic() - began) < duration:
            for place, (messages, rate) in enumerate(sources):
                due = round(rate * (passed + _TICK_SECONDS)) - sent[place]
                sent[place] += await asyncio.to_thread(send, client, islice(messages, max(due, 0)))
            await asyncio.sleep(_TICK_SECONDS)
        await asyncio.to_thread(client.flush)

    await at_rates(_WARM_SECONDS)
    await _caught_up(lag)
    idle = await _measured_idle(supervisor, names)
    before, began = {name: _cpu(supervisor, name) for name in names}, time.monotonic()
    await at_rates(seconds)
    await _caught_up(lag)
    beyond = time.monotonic() - began - seconds
    # as if all had been done when the last was sent: what a process does when nothing comes counts for that long
    spent = {name: (_cpu(supervisor, name) - before[name] - idle[name] * beyond) / seconds for name in names}
    print(f"caught up {beyond:.1f} s after the last", flush=True)
    for name in names:
        await supervisor.stop(name)
    return spent


async def _measured_idle(supervisor: Supervisor, names: list[str]) -> dict[str, float]:
    """Cores that workers use when nothing comes."""
    before, began = {name: _cpu(supervisor, name) for name in names}, time.monotonic()
    await asyncio.sleep(_IDLE_SECONDS)
    passed = time.monotonic() - began
    return {name: (_cpu(supervisor, name) - before[name]) / passed for name in names}


def _cpu(supervisor: Supervisor, name: str) -> float:
    times = psutil.Process(supervisor.pid(name)).cpu_times()
    return times.user + times.system


async def _caught_up(lag: Lag) -> None:
    """Wait until nothing that was sent is behind; groups of workers that do not run are not asked."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            behind = await asyncio.to_thread(lag.by_role)
            if sum(behind.values()) <= _MARKERS * lag.partitions:
                return
            await asyncio.sleep(0.5)


async def measure(folder: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Turns of both, one after the other."""
    loads = {
        "idle": (0.0, 0.0),
        "detections": (arguments.frames, 0.0),
        "feeds": (0.0, arguments.feeds),
        "all": (arguments.frames, arguments.feeds),
    }
    async with running(folder) as (supervisor, environment):
        bootstrap, app_id = environment["KAFKA_BOOTSTRAP_SERVERS"], load_settings().app_id
        apart = [workers.Worker(role, role, 6700 + number) for number, role in enumerate(SITE_ROLES)]
        site = [workers.Worker("site", "site", 6720)]
        for worker in (*apart, *site):
            supervisor.add_group([workers.worker_spec(worker, folder, environment)])
        lags = {"apart": _LagOf(bootstrap, app_id, False), "site": _LagOf(bootstrap, app_id, True)}
        names = {"apart": [one.name for one in apart], "site": ["site"]}
        rows = []
        for load in arguments.loads:
            rates = loads[load]
            spent: dict[str, list[dict[str, float]]] = {"apart": [], "site": []}
            for _ in range(arguments.turns):
                for which in ("apart", "site"):
                    found = await turn(supervisor, lags[which], names[which], bootstrap, rates, arguments.seconds)
                    spent[which].append(found)
                    told = ", ".join(f"{name} {cores:.3f}" for name, cores in found.items())
                    print(f"{load}, {which}: {sum(found.values()):.3f} cores ({told})", flush=True)
            value, before = (
                statistics.median(sum(one.values()) for one in spent[which]) for which in ("site", "apart")
            )
            three = statistics.median(
                sum(one[name] for name in ("streams", "history", "live")) for one in spent["apart"]
            )
            rows.append(
                {"name": f"site_{load}", "value": round(value, 4), "unit": "cores", "before": round(before, 4)}
                | {"ratio": round(value / before, 3), "three": round(three, 4)}
                | {"detections_per_second": rates[0] * DETECTIONS_PER_FRAME, "messages_per_second": rates[1]}
            )
            print(rows[-1], flush=True)
        return rows


class _LagOf(Lag):
    """Of the group of the site, or of all others."""

    def __init__(self, bootstrap_servers: str, app_id: str, is_site: bool) -> None:
        super().__init__(bootstrap_servers, app_id)
        self._is_site = is_site

    def by_role(self) -> dict[str, int]:
        """Of the groups of those who run."""
        return {role: behind for role, behind in super().by_role().items() if (role == "site") is self._is_site}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=float, default=50.0, help="frames a second, of fifteen detections each")
    parser.add_argument("--feeds", type=float, default=200.0, help="messages a second of all feeds together")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=3, help="of each load")
    parser.add_argument("--loads", nargs="*", default=["idle", "detections", "feeds", "all"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trafficapp-bench-site-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        rows = asyncio.run(measure(data_dir.prepare(Path(path)), arguments))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{RESULT} written")


if __name__ == "__main__":
    main()
