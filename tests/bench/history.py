"""A month of history and what it costs to ask it: ``python -m tests.bench.history load`` and ``measure``.

``load`` fills a database; ``measure`` runs a worker on it and asks as fifty clients do, and prints the plans of the
statements behind the answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.bench import history_load, history_measure
from trafficapp.stack.console import LogOutput
from trafficapp.stack.servers import data_dir, ports, postgres
from trafficapp.stack.supervisor import Supervisor
from trafficapp.stores.migrations import migrate

#: For loading only: a table made and filled in one transaction is not logged then, and indexes are sorted in memory.
_LOADING = ("wal_level=minimal", "max_wal_senders=0", "max_wal_size=8GB", "maintenance_work_mem=256MB")


@asynccontextmanager
async def loading_server(folder: Path) -> AsyncIterator[str]:
    """A Postgres of our own on a folder, set up for loading."""
    with ExitStack() as stack:
        folder = data_dir.prepare(folder)
        output = stack.enter_context(LogOutput(folder / "logs", quiet=frozenset({"postgres"})))
        stack.enter_context(data_dir.locked(folder))
        port = ports.choose(postgres.PREFERRED_PORT)
        spec = postgres.spec(folder, port)
        options = [part for setting in _LOADING for part in ("-c", setting)]
        supervisor = Supervisor([[replace(spec, command=[*spec.command, *options])]], output.line)
        try:
            await supervisor.start_all()
            yield postgres.owner_url(folder, port)
        finally:
            await supervisor.stop_all()


async def load(arguments: argparse.Namespace) -> int:
    """Fill a database, telling beforehand what it takes."""
    needed = history_load.bytes_needed(arguments.days, arguments.cameras)
    windows = arguments.days * arguments.cameras * history_load.WINDOWS_PER_DAY
    print(f"{windows:,} windows need about {needed / 2**30:.1f} GiB", flush=True)
    if (url := os.environ.get("DATABASE_URL")) is not None:
        await _fill(url, arguments)
        return 0
    folder: Path = arguments.data_dir
    data_dir.prepare(folder)
    free = shutil.disk_usage(folder).free
    if free < needed * 1.3:
        print(f"{folder} has {free / 2**30:.1f} GiB free, which is too little", file=sys.stderr)
        return 1
    async with loading_server(folder) as url:
        await _fill(url, arguments)
    print(f"loaded; start it with: trafficapp stack --data-dir {folder}")
    return 0


async def measure(arguments: argparse.Namespace) -> int:
    """Ask a loaded database, print what was waited for and the plans, and write ``build/history.json``."""
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {arguments.clients} clients", flush=True)
    results = []
    async with history_measure.worker_on(arguments.data_dir) as place:
        if not arguments.no_plans:
            print("\n\n".join(await history_measure.plans(place)), flush=True)
        async for result in history_measure.everything(place, arguments.clients, arguments.seconds):
            print(f"{result.name}: p50 {result.p50_ms} ms, p99 {result.p99_ms} ms", flush=True)
            results.append(result)
    table = Table("question", "clients", "requests", "failed", "requests/s", "p50 ms", "p99 ms", "longest ms")
    for result in results:
        table.add_row(*(str(value) for value in asdict(result).values()))
    Console(width=140).print(table)
    target = Path("build") / "history.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    print(f"written to {target}")
    return int(any(result.failures for result in results))


async def _fill(url: str, arguments: argparse.Namespace) -> None:
    await asyncio.to_thread(migrate, url)
    columns = (
        *(TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=True)),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=arguments.days)
        await history_load.load(
            url,
            arguments.days,
            arguments.cameras,
            arguments.alerts,
            began=lambda what: progress.update(bar, description=what),
            done=lambda: progress.advance(bar),
        )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    loader = commands.add_parser("load", help="fill a database: DATABASE_URL's, or one of our own in --data-dir")
    loader.set_defaults(run=load)
    loader.add_argument("--days", type=int, default=30)
    loader.add_argument("--cameras", type=int, default=200)
    loader.add_argument("--alerts", type=int, default=500_000)
    measurer = commands.add_parser("measure", help="ask the database in --data-dir")
    measurer.set_defaults(run=measure)
    measurer.add_argument("--clients", type=int, default=50)
    measurer.add_argument("--seconds", type=float, default=20.0)
    measurer.add_argument("--no-plans", action="store_true")
    for command in (loader, measurer):
        command.add_argument("--data-dir", type=Path, default=Path("build/history-db"))
    arguments = parser.parse_args()
    return int(asyncio.run(arguments.run(arguments)))


if __name__ == "__main__":
    sys.exit(main())
