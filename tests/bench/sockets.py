"""Many WebSocket clients on one worker, some of which never read: ``python -m tests.bench.sockets``.

Measured are, for the readers, the time from an event's ``ts`` to its arrival, the worker's memory, and what
the sleepers find when they read at last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.__main__ import Servers, servers
from tests.bench.latency import Arrivals, send, start_workers
from trafficapp.stack import children

_WARM_UP_SECONDS = 15.0
#: Longer than waking the sleepers takes.
_REST_SECONDS = 30.0
_RESULT = "RESULT "


class Memory:
    """Resident memory of a process over time, in MiB."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.samples: list[float] = []

    async def watch(self) -> None:
        """Sample every second until cancelled."""
        while True:
            self.samples.append(round(self._process.memory_info().rss / 2**20, 1))
            await asyncio.sleep(1)


async def listen(place: Servers, port: int, clients: int, sleepers: int, seconds: float) -> dict[str, Any]:
    """Run the process of the clients to its end."""
    arguments = [str(port), str(clients), str(sleepers), str(seconds)]
    command = [sys.executable, "-m", "tests.bench.socket_clients", *arguments]
    process = await children.spawn(command, env=place.environment)
    output, _ = await process.communicate()
    lines = output.decode().splitlines()
    found = [line for line in lines if line.startswith(_RESULT)]
    if not found:
        raise RuntimeError("the clients failed:\n" + "\n".join(lines[-20:]))
    result: dict[str, Any] = json.loads(found[0].removeprefix(_RESULT))
    return result


async def measure(clients: int, sleepers: int, rate: int, cameras: int, seconds: float) -> dict[str, Any]:
    """Run and return the figures."""
    async with servers() as place:
        # all of them come from one address
        place.environment["TRAFFICAPP_WEB__MAX_CONNECTIONS_PER_CLIENT"] = str(clients)
        place.environment["TRAFFICAPP_LIMITS__CONNECTIONS_PER_ADDRESS"] = str(2 * clients + 100)
        workers = await start_workers(place)
        pid = place.supervisor.pid(workers[0].name)
        assert pid is not None
        load_seconds = _WARM_UP_SECONDS + clients / 100 + seconds + _REST_SECONDS
        sending = asyncio.create_task(send(Arrivals(), place.bootstrap_servers, rate, cameras, load_seconds))
        await asyncio.sleep(_WARM_UP_SECONDS)
        memory = Memory(pid)
        watching = asyncio.create_task(memory.watch())
        began = time.time()
        result = await listen(place, workers[0].web_port, clients, sleepers, seconds)
        took = time.time() - began
        for task in (sending, watching):
            task.cancel()
        await asyncio.gather(sending, watching, return_exceptions=True)
    step = max(1, len(memory.samples) // 12)
    return {
        "clients": clients,
        "events_per_second": rate,
        "cameras": cameras,
        "seconds": round(took, 1),
        **result,
        "worker_rss_mib": {
            "before": memory.samples[0],
            "largest": max(memory.samples),
            "last": memory.samples[-1],
            "over_time": memory.samples[::step],
        },
    }


def show(result: dict[str, Any]) -> None:
    """Print a table."""
    table = Table("what", "figure", title=f"{result['clients']} WebSocket clients on one worker")
    for name, one in result["events"].items():
        text = (
            f"p50 {one['p50_ms']} ms, p99 {one['p99_ms']} ms, longest {one['max_ms']} ms ({one['received']} received)"
        )
        table.add_row(f"{name}, told → received", text)
    table.add_row("readers", f"{result['readers']}, {result['readers_lost']} lost")
    table.add_row("readers that saw every event once", str(result["readers_without_gap_or_repeat"]))
    table.add_row("sleepers, and the close codes they found", f"{result['sleepers']}: {result['sleepers_close_codes']}")
    rss = result["worker_rss_mib"]
    table.add_row("worker memory", f"{rss['before']} MiB before, {rss['largest']} MiB at most, {rss['last']} MiB last")
    Console().print(table)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--sleepers", type=float, default=0.1, help="share of the clients that never read")
    parser.add_argument("--rate", type=int, default=1000, help="events a second")
    parser.add_argument("--cameras", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=90.0)
    given = parser.parse_args()
    sleepers = round(given.clients * given.sleepers)
    result = asyncio.run(measure(given.clients, sleepers, given.rate, given.cameras, given.seconds))
    show(result)
    target = Path("build") / "sockets.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
