"""Measure side by side: ``python -m tests.bench`` prints a table and writes ``build/bench.json``.

Every row is one run on servers of its own, on the same machine, one after the other, with the topic
filled beforehand. Figures depend on the machine; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.frames import DETECTIONS_PER_FRAME
from tests.bench.servers import running
from tests.verification.log import end_offsets
from trafficapp.stack import children
from trafficapp.stack.servers import data_dir, ports
from trafficapp.stack.supervisor import Supervisor
from trafficapp.topics import EVENTS_RAW, METRICS

_RESULT = "RESULT "
_PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        events: detections that were processed.
        cpu_seconds: of the processes that `note` names; the broker is not among them.
    """

    name: str
    events: int
    events_per_second: float
    cpu_seconds: float
    note: str


class Servers:
    """Servers of one measurement."""

    def __init__(self, folder: Path, supervisor: Supervisor, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self.bootstrap_servers = environment["KAFKA_BOOTSTRAP_SERVERS"]

    async def call(self, *arguments: str) -> str:
        """Run a module of ours to its end and return what it printed."""
        process = await children.spawn([sys.executable, "-m", *arguments], env=self.environment)
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{output.decode()[-2000:]}")
        return output.decode()

    async def result(self, *arguments: str, role: str = "streams") -> dict[str, Any]:
        """Run a module of ours until it prints its result, then end it."""
        environment = {
            **self.environment,
            "TRAFFICAPP_WORKER__ROLE": role,
            "F_DATADIR": str(self.folder / f"{role}-{arguments[0]}"),
        }
        process = await children.spawn([sys.executable, "-m", *arguments], env=environment)
        lines: list[str] = []
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                assert process.stdout is not None
                async for raw in process.stdout:
                    line = raw.decode("utf-8", "replace")
                    lines.append(line)
                    if _RESULT in line:
                        found: dict[str, Any] = json.loads(line.split(_RESULT, 1)[1].strip())
                        return found
            raise RuntimeError(f"{' '.join(arguments)} ended without a result:\n{''.join(lines[-30:])}")
        except TimeoutError:
            raise RuntimeError(f"{' '.join(arguments)} took too long:\n{''.join(lines[-30:])}") from None
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def cpu_seconds(self, *names: str) -> float:
        """CPU time of servers so far, their children and ended children counted in."""
        total = 0.0
        for name in names:
            pid = self.supervisor.pid(name)
            assert pid is not None
            for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
                # a child may end meanwhile; it is counted as an ended one then
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    total += times.user + times.system
            times = psutil.Process(pid).cpu_times()
            total += times.children_user + times.children_system
        return total


@asynccontextmanager
async def servers() -> AsyncIterator[Servers]:
    """Fresh servers with our topics and tables."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = data_dir.prepare(Path(name))
        async with running(folder) as (supervisor, environment):
            yield Servers(folder, supervisor, environment)


def row(name: str, events: int, results: list[dict[str, Any]], note: str, more_cpu_seconds: float = 0.0) -> Row:
    """A row from the results of the processes that worked together."""
    seconds = max(r["ended"] for r in results) - min(r["began"] for r in results)
    cpu_seconds = sum(r["cpu_seconds"] for r in results) + more_cpu_seconds
    return Row(name, events, round(events / seconds), round(cpu_seconds, 2), note)


async def fill(place: Servers, events: int) -> None:
    """Send detections, one a message."""
    await place.call("trafficapp.cli", "replay", "--speed", "max", "--loop", "--limit", str(events))


async def singles(events: int, naive_events: int) -> AsyncIterator[Row]:
    """Peers and windows on single detections."""
    async with servers() as place:
        await fill(place, events)
        peer = ("tests.bench.peers",)
        found = await place.result(*peer, "bare_loop", EVENTS_RAW, str(events))
        yield row("bare_loop", events, [found], "aiokafka, our decoder, a count by camera")
        found = await place.result(*peer, "naive_faust", EVENTS_RAW, str(naive_events))
        yield row("naive_faust", naive_events, [found], "an agent, two tumbling RocksDB tables with changelog")
        found = await place.result(*peer, "quix", EVENTS_RAW, str(events))
        yield row("quix", events, [found], "tumbling windows by camera, RocksDB state with changelog")
        expected = f"{EVENTS_RAW}={events}"
        found = await place.result("tests.bench.worker", expected, str(ports.choose(6066)))
        yield row("windows", events, [found], "one worker: windows, changelog, acknowledged rows, local tables, web")


async def frames(events: int) -> AsyncIterator[Row]:
    """The limit and the windows on frames."""
    async with servers() as place:
        count = int(await place.call("tests.bench.frames", str(events)))
        events = count * DETECTIONS_PER_FRAME
        found = await place.result("tests.bench.peers", "bare_loop", EVENTS_RAW, str(count))
        yield row("bare_loop_frames", events, [found], "as bare_loop, on frames")
        found = await place.result("tests.bench.worker", f"{EVENTS_RAW}={count}", str(ports.choose(6066)))
        yield row("windows_frames", events, [found], f"as windows, {DETECTIONS_PER_FRAME} detections a message")


async def all_sinks(events: int) -> AsyncIterator[Row]:
    """Everything at once: windows, Postgres and Redis."""
    async with servers() as place:
        await fill(place, events)
        await place.result("tests.bench.worker", f"{EVENTS_RAW}={events}", str(ports.choose(6066)))
        await asyncio.sleep(1)
        rows = sum(end_offsets(place.bootstrap_servers, METRICS).values())
    async with servers() as place:
        await fill(place, events)
        before = place.cpu_seconds("postgres", "redis")
        taken: list[int] = []
        both = f"{EVENTS_RAW}={events},{METRICS}={rows}"
        runs = []
        for role, expected in (("streams", both), ("history", both), ("live", f"{METRICS}={rows}")):
            taken.append(ports.choose(6066 + len(taken), taken))
            runs.append(place.result("tests.bench.worker", expected, str(taken[-1]), role=role))
        results = await asyncio.gather(*runs)
        servers_cpu = place.cpu_seconds("postgres", "redis") - before
        note = f"windows, history, live, Postgres and Redis; {rows:,} rows of windows"
        yield row("all_sinks", events, list(results), note, servers_cpu)


async def run(events: int, naive_events: int, only: set[str]) -> list[Row]:
    """Make the measurements, telling each as it comes."""
    rows: list[Row] = []
    for name, measure in (
        ("singles", singles(events, naive_events)),
        ("frames", frames(events)),
        ("all_sinks", all_sinks(events)),
    ):
        if only and name not in only:
            continue
        async for measured in measure:
            print(f"{measured.name}: {measured.events_per_second:,.0f} events/s", flush=True)
            rows.append(measured)
    return rows


def show(rows: list[Row]) -> None:
    """Print the table with ratios."""
    rates = {row.name: row.events_per_second for row in rows}
    table = Table("row", "events", "events/s", "CPU s", "µs CPU/event", "× naive", "× quix", "of bare", "what ran")
    for one in rows:
        limit = rates.get("bare_loop_frames" if "frames" in one.name else "bare_loop")
        table.add_row(
            one.name,
            f"{one.events:,}",
            f"{one.events_per_second:,.0f}",
            f"{one.cpu_seconds:.1f}",
            f"{one.cpu_seconds / one.events * 1e6:.1f}",
            *(
                f"{one.events_per_second / rates[peer]:.1f}" if peer in rates else ""
                for peer in ("naive_faust", "quix")
            ),
            f"{one.events_per_second / limit:.2f}" if limit else "",
            one.note,
        )
    Console(width=160).print(table)


def _ratio(one: Row, other_rate: float | None, decimals: int) -> str:
    return f"{one.events_per_second / other_rate:.{decimals}f}" if other_rate else ""


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--naive-events", type=int, default=30_000)
    parser.add_argument("--only", action="append", choices=("singles", "frames", "all_sinks"), default=[])
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.1f}; python {sys.version.split()[0]}", flush=True)
    rows = asyncio.run(run(arguments.events, arguments.naive_events, set(arguments.only)))
    show(rows)
    target = Path("build") / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps([asdict(one) for one in rows], indent=1) + "\n")
    print(f"written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
