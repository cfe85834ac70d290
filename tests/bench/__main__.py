"""Measure side by side: ``python -m tests.bench`` prints a table and writes ``build/bench.json``.

Every row is one run on the same machine, one after the other, with the topic filled beforehand. Figures depend on the
machine, and on what else it does meanwhile; the ratios are what to compare. With ``--before COMMIT`` the build of that
commit is measured beside this one. With ``--repeat`` all of it is done again: figures are medians, and ratios those of
the runs that stood beside each other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench import kafka_streams
from tests.bench.before import NoSuchBuild, build_of
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
        runs: of how many runs the figures are medians.
    """

    name: str
    events: int
    events_per_second: float
    cpu_seconds: float
    note: str
    runs: int = 1


@dataclass(frozen=True)
class Beside:
    """What else is measured.

    Attributes:
        before: where another build of the project lies; its rows end in ``_before``.
        java: where the peer in Java was built.
        protected: whether this build also runs on servers as `trafficapp up` starts them, where workers log in to Kafka
            and its rules say who may do what; rows end in ``_protected``.
    """

    before: Path | None = None
    java: Path | None = None
    protected: bool = False

    def ours(self) -> Iterator[tuple[str, Path | None, bool]]:
        """End of the name, build and protection of each row of ours."""
        if self.before is not None:
            yield "_before", self.before, False
        yield "", None, False
        if self.protected:
            yield "_protected", None, True

    @property
    def is_there(self) -> bool:
        """Whether ours is measured more than once."""
        return self.before is not None or self.protected


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

    async def result(self, *arguments: str, role: str = "streams", build: Path | None = None) -> dict[str, Any]:
        """Run a module of ours, or of another build, until it prints its result, then end it."""
        environment = {
            **self.environment,
            "TRAFFICAPP_WORKER__ROLE": role,
            "F_DATADIR": str(self.folder / f"{role}-{arguments[0]}{'' if build is None else '-before'}"),
        }
        process = await children.spawn([sys.executable, "-m", *arguments], env=environment, cwd=build)
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
async def servers(*, protected: bool = False) -> AsyncIterator[Servers]:
    """Fresh servers with our topics and tables."""
    # of servers that are being ended something may still be written
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = data_dir.prepare(Path(name))
        async with running(folder, unprotected=not protected) as (supervisor, environment):
            yield Servers(folder, supervisor, environment)


def row(name: str, events: int, results: list[dict[str, Any]], note: str, more_cpu_seconds: float = 0.0) -> Row:
    """A row from the results of the processes that worked together."""
    seconds = max(r["ended"] for r in results) - min(r["began"] for r in results)
    cpu_seconds = sum(r["cpu_seconds"] for r in results) + more_cpu_seconds
    return Row(name, events, round(events / seconds), round(cpu_seconds, 2), note)


async def fill(place: Servers, events: int) -> None:
    """Send detections, one a message."""
    await place.call("trafficapp.cli", "replay", "--speed", "max", "--loop", "--limit", str(events))


async def singles(events: int, naive_events: int, beside: Beside) -> AsyncIterator[Row]:
    """Peers and windows on single detections."""
    async with servers() as place:
        await fill(place, events)
        peer = ("tests.bench.peers",)
        found = await place.result(*peer, "bare_loop", EVENTS_RAW, str(events))
        yield row("bare_loop", events, [found], "aiokafka, our decoder, a count by camera")
        found = await place.result(*peer, "bare_confluent", EVENTS_RAW, str(events))
        yield row("bare_confluent", events, [found], "confluent-kafka, our decoder, a count by camera")
        found = await place.result(*peer, "naive_faust", EVENTS_RAW, str(naive_events))
        yield row("naive_faust", naive_events, [found], "an agent, two tumbling RocksDB tables with changelog")
        found = await place.result(*peer, "quix", EVENTS_RAW, str(events))
        yield row("quix", events, [found], "tumbling windows by camera, RocksDB state with changelog")
        if beside.java is not None:
            # before our own worker, whose ticks stand in the topic afterwards
            for one in java_rows(await kafka_streams.run(beside.java, place.bootstrap_servers, EVENTS_RAW, events)):
                yield one
        if not beside.is_there:
            yield await windows(place, "windows", events, events, "one worker: windows, changelog, rows, tables, web")
    async for one in windows_of_each("windows", events, beside):
        yield one


def java_rows(found: Mapping[str, Any]) -> tuple[Row, Row]:
    """The peer in Java over all events, until all is committed as in our own row, and over their second half."""
    events, half = found["events"], found["events"] // 2
    rate, warm_rate = found["events_per_second_durable"], found["events_per_second_second_half"]
    warm_cpu = round(found["us_cpu_per_event_second_half"] * half / 1e6, 2)
    note = "Kafka Streams, Processor API, the same rows, exactly once, one thread"
    return (
        Row("kafka_streams", events, rate, round(found["cpu_seconds"], 2), f"{note}; from a cold start"),
        Row("kafka_streams_warm", half, warm_rate, warm_cpu, f"{note}; the second half of that run"),
    )


async def windows(place: Servers, name: str, records: int, events: int, note: str, build: Path | None = None) -> Row:
    """One worker over the topic."""
    port = str(ports.choose(6066))
    found = await place.result("tests.bench.worker", f"{EVENTS_RAW}={records}", port, build=build)
    return row(name, events, [found], note)


async def windows_of_each(name: str, events: int, beside: Beside) -> AsyncIterator[Row]:
    """The build before and this one, each on servers of its own: a worker leaves its state behind."""
    for suffix, build, protected in beside.ours() if beside.is_there else ():
        async with servers(protected=protected) as place:
            records, note = events, "one worker: windows, changelog, rows, tables, web"
            if name == "windows":
                await fill(place, events)
            else:
                records = int(await place.call("tests.bench.frames", str(events)))
                note = f"as windows, {DETECTIONS_PER_FRAME} detections a message"
            counted = records if name == "windows" else records * DETECTIONS_PER_FRAME
            note += "; the build before" if build is not None else "; logged in to Kafka" if protected else ""
            yield await windows(place, name + suffix, records, counted, note, build)


async def frames(events: int, beside: Beside) -> AsyncIterator[Row]:
    """The limit and the windows on frames."""
    async with servers() as place:
        count = int(await place.call("tests.bench.frames", str(events)))
        counted = count * DETECTIONS_PER_FRAME
        found = await place.result("tests.bench.peers", "bare_loop", EVENTS_RAW, str(count))
        yield row("bare_loop_frames", counted, [found], "as bare_loop, on frames")
        if not beside.is_there:
            note = f"as windows, {DETECTIONS_PER_FRAME} detections a message"
            yield await windows(place, "windows_frames", count, counted, note)
    async for one in windows_of_each("windows_frames", events, beside):
        yield one


async def all_sinks(events: int, beside: Beside) -> AsyncIterator[Row]:
    """Everything at once: windows, Postgres and Redis."""
    async with servers() as place:
        await fill(place, events)
        await place.result("tests.bench.worker", f"{EVENTS_RAW}={events}", str(ports.choose(6066)))
        await asyncio.sleep(1)
        rows = sum(end_offsets(place.bootstrap_servers, METRICS).values())
    for suffix, build, protected in beside.ours():
        async with servers(protected=protected) as place:
            await fill(place, events)
            before = place.cpu_seconds("postgres", "redis")
            taken: list[int] = []
            both = f"{EVENTS_RAW}={events},{METRICS}={rows}"
            runs = []
            for role, expected in (("streams", both), ("history", both), ("live", f"{METRICS}={rows}")):
                taken.append(ports.choose(6066 + len(taken), taken))
                runs.append(place.result("tests.bench.worker", expected, str(taken[-1]), role=role, build=build))
            results = await asyncio.gather(*runs)
            servers_cpu = place.cpu_seconds("postgres", "redis") - before
            note = f"windows, history, live, Postgres and Redis; {rows:,} rows of windows"
            yield row("all_sinks" + suffix, events, list(results), note, servers_cpu)


async def run(events: int, naive_events: int, only: set[str], beside: Beside) -> list[Row]:
    """Make the measurements, telling each as it comes."""
    rows: list[Row] = []
    for name, measure in (
        ("singles", singles(events, naive_events, beside)),
        ("frames", frames(events, beside)),
        ("all_sinks", all_sinks(events, beside)),
    ):
        if only and name not in only:
            continue
        async for measured in measure:
            print(f"{measured.name}: {measured.events_per_second:,.0f} events/s", flush=True)
            rows.append(measured)
    return rows


def medians(repetitions: Sequence[Sequence[Row]]) -> list[Row]:
    """Of each row the medians over the repetitions, in the order in which they came."""
    found: dict[str, list[Row]] = {}
    for one in (one for rows in repetitions for one in rows):
        found.setdefault(one.name, []).append(one)
    return [
        Row(
            name,
            same[0].events,
            round(statistics.median(one.events_per_second for one in same)),
            round(statistics.median(one.cpu_seconds for one in same), 2),
            same[0].note,
            len(same),
        )
        for name, same in found.items()
    ]


#: What is told of this build beside another row of the same repetition.
_PAIRS = (
    ("windows", "windows_before"),
    ("windows_frames", "windows_frames_before"),
    ("all_sinks", "all_sinks_before"),
    ("windows_protected", "windows"),
    ("windows_protected", "windows_before"),
    ("windows_frames_protected", "windows_frames"),
    ("all_sinks_protected", "all_sinks"),
    ("all_sinks_protected", "all_sinks_before"),
    ("windows", "kafka_streams"),
    ("windows", "kafka_streams_warm"),
    ("windows", "bare_loop"),
    ("windows_frames", "bare_loop_frames"),
    ("bare_confluent", "bare_loop"),
)


def pair_by_pair(repetitions: Sequence[Sequence[Row]]) -> Iterator[str]:
    """How many times as fast one row is as another, of each repetition, and its CPU time a detection likewise."""
    for name, other in _PAIRS:
        speed, cpu = [], []
        for rows in repetitions:
            by_name = {one.name: one for one in rows}
            if name in by_name and other in by_name:
                one, beside = by_name[name], by_name[other]
                speed.append(one.events_per_second / beside.events_per_second)
                if beside.cpu_seconds:
                    cpu.append(one.cpu_seconds / one.events / (beside.cpu_seconds / beside.events))
        if speed:
            told = f"{name} / {other}: {statistics.median(speed):.2f} × the rate"
            told += f", {statistics.median(cpu):.2f} × the CPU time" if cpu else ""
            yield told + (f" (rates {', '.join(f'{ratio:.2f}' for ratio in speed)})" if len(speed) > 1 else "")


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


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--events", type=int, nargs="+", default=[400_000], help="Detections; of several numbers each is measured."
    )
    parser.add_argument("--naive-events", type=int, default=30_000)
    parser.add_argument("--only", action="append", choices=("singles", "frames", "all_sinks"), default=[])
    parser.add_argument("--repeat", type=int, default=1, help="Measure so many times and take medians.")
    parser.add_argument("--before", metavar="COMMIT", help="Measure the build of this commit as well.")
    parser.add_argument(
        "--protected", action="store_true", help="Measure this build on servers that ask for a password as well."
    )
    parser.add_argument(
        "--peers", type=Path, default=kafka_streams.USUAL_FOLDER, help="Folder of the peer in Java; see its README."
    )
    arguments = parser.parse_args()
    # so that servers and worktrees go as well when somebody ends this
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.1f}; python {sys.version.split()[0]}", flush=True)
    only, java = set(arguments.only), None
    if not only or "singles" in only:
        try:
            java = kafka_streams.prepare(arguments.peers)
        except kafka_streams.Missing as missing:
            print(f"kafka_streams, kafka_streams_warm: skipped: {missing}", flush=True)
    found: list[Row] = []
    with ExitStack() as stack:
        try:
            before = stack.enter_context(build_of(arguments.before)) if arguments.before else None
        except NoSuchBuild as error:
            parser.error(str(error))
        for events in arguments.events:
            repetitions = [
                asyncio.run(run(events, arguments.naive_events, only, Beside(before, java, arguments.protected)))
                for _ in range(arguments.repeat)
            ]
            rows = medians(repetitions)
            show(rows)
            print(*pair_by_pair(repetitions), sep="\n", flush=True)
            found += rows
    target = Path("build") / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    print(f"written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
