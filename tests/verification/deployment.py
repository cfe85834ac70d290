"""A pipeline of its own for one check: servers, a fresh database and application id, workers."""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import psycopg
from psycopg import sql

from tests.verification.log import end_offsets
from trafficapp.settings import Settings, load_settings
from trafficapp.stack import children, workers
from trafficapp.stack.console import DownloadBar, LogOutput
from trafficapp.stack.servers import data_dir, embedded
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.stack.supervisor import ProcessSpec, Supervisor
from trafficapp.topics import ALERTS, DEAD_LETTERS, EVENTS_RAW, METRICS

#: Where each check leaves the lines of its processes.
_LOGS = Path("build") / "verification"
_POLL_SECONDS = 0.5
_READY_SECONDS = 60.0


class VerificationError(Exception):
    """The check cannot be made; the text says why."""


@dataclass(frozen=True)
class Progress:
    """How far the sinks are: records still to be stored, and rows of finished windows."""

    events_behind: int
    metrics_behind: int
    rows: int


@dataclass
class Deployment:
    """A running pipeline.

    Attributes:
        folder: where the data lies.
        environment: variables that lead any of our commands to these servers.
        own_servers: whether the servers were started for this check and may be killed.
    """

    folder: Path
    endpoints: Endpoints
    environment: dict[str, str]
    settings: Settings
    supervisor: Supervisor
    workers: list[workers.Worker]
    output: LogOutput
    own_servers: bool

    @property
    def bootstrap_servers(self) -> str:
        """Address of the broker."""
        return self.settings.kafka.bootstrap_servers

    @property
    def database_url(self) -> str:
        """Address of the fresh database."""
        return self.settings.postgres.url.get_secret_value()

    @property
    def logs(self) -> Path:
        """Where the lines of the processes are left."""
        return _LOGS / self.settings.app_id

    async def until_ready(self) -> None:
        """Wait until every worker has taken over its partitions, and two seconds later still has.

        Raises:
            TimeoutError: that takes more than a minute.
        """
        urls = [f"http://127.0.0.1:{worker.web_port}/health/ready" for worker in self.workers]

        async def status(session: aiohttp.ClientSession, url: str) -> int:
            async with session.get(url) as response:
                return response.status

        in_a_row = 0
        async with asyncio.timeout(_READY_SECONDS), aiohttp.ClientSession() as session:
            while in_a_row < 3:
                in_a_row = in_a_row + 1 if {await status(session, url) for url in urls} == {200} else 0
                await asyncio.sleep(1)

    async def replay(self, arguments: Sequence[str]) -> None:
        """Run ``trafficapp replay`` to its end, its lines going to the terminal.

        Raises:
            VerificationError: a message was not acknowledged.
        """
        command = [sys.executable, "-m", "trafficapp.cli", "replay", *arguments]
        process = await children.spawn(command, env=self.environment)
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                print("  replay |", line.decode().rstrip(), flush=True)
            if await process.wait():
                raise VerificationError(f"the replay ended with {process.returncode}")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def settle(self, rows: int, patience_seconds: float = 90.0) -> Progress:
        """Wait until everything sent so far is stored and so many rows have come, then a little for extra ones.

        Returns:
            how far the sinks are; not all the way when nothing moved for `patience_seconds`.
        """
        sent = await asyncio.to_thread(end_offsets, self.bootstrap_servers, EVENTS_RAW)
        best: Progress | None = None
        moved = time.monotonic()
        while True:
            progress = await asyncio.to_thread(self._progress, sent)
            if progress != best:
                best, moved = progress, time.monotonic()
            if progress.events_behind == 0 and progress.metrics_behind == 0 and progress.rows >= rows:
                await asyncio.sleep(3)
                return await asyncio.to_thread(self._progress, sent)
            if time.monotonic() - moved > patience_seconds:
                return progress
            await asyncio.sleep(_POLL_SECONDS)

    def stored_events(self) -> int:
        """Return the number of rows in ``traffic_events``."""
        return _count(self.database_url, "traffic_events")

    def _progress(self, sent: Mapping[int, int]) -> Progress:
        metrics = end_offsets(self.bootstrap_servers, METRICS)
        with psycopg.connect(self.database_url, connect_timeout=5) as connection:
            stored = {
                (topic, partition): next_offset
                for topic, partition, next_offset in connection.execute(
                    "SELECT topic, partition, next_offset FROM sink_offsets"
                )
            }
        return Progress(
            sum(max(end - stored.get((EVENTS_RAW, partition), 0), 0) for partition, end in sent.items()),
            sum(max(end - stored.get((METRICS, partition), 0), 0) for partition, end in metrics.items()),
            _count(self.database_url, "traffic_metrics"),
        )


@asynccontextmanager
async def deployed(
    worker_count: int = 1,
    *,
    own_servers: bool = False,
    settings: Mapping[str, str] | None = None,
    roles: Collection[str] | None = None,
    is_site: bool = False,
    watched_by: str | None = None,
) -> AsyncIterator[Deployment]:
    """Start a pipeline and stop it at the end.

    The servers that the environment names are used when all three are named; their topics must be empty.

    Args:
        worker_count: workers of role streams.
        own_servers: start servers in any case, so that they can be killed.
        settings: further environment variables of every process.
        roles: those of which there are workers; None are all.
        is_site: whether the workers are of the role site instead.
        watched_by: a module that runs workers, in the place of ``faust -A trafficapp``.

    Raises:
        VerificationError: the topics hold records already.
        StackError: a process cannot be started.
    """
    name = f"verify-{secrets.token_hex(4)}"
    given = Endpoints() if own_servers else Endpoints.from_environment()
    if not given.complete:
        given = Endpoints()
    with ExitStack() as held:
        folder = held.enter_context(_folder(name))
        output = held.enter_context(LogOutput(_LOGS / name, _quiet(worker_count)))
        with DownloadBar(output.console) as bar:
            servers, endpoints = embedded.plan(folder, given, bar.announce, unprotected=True)
        supervisor = Supervisor([servers], output.line)
        try:
            await supervisor.start_all()
            _require_empty_topics(str(endpoints.kafka_bootstrap_servers))
            database_url = _create_database(str(endpoints.database_url), name.replace("-", "_"))
            environment = {
                **endpoints.environment(),
                "DATABASE_URL": database_url,
                "TRAFFICAPP_APP_ID": name,
                "PYTHONUNBUFFERED": "1",
                **(settings or {}),
            }
            await workers.run_to_end("migrate", ["migrate"], environment, output.line)
            await workers.run_to_end("topics", ["topics", "create"], environment, output.line)
            with_lake = "TRAFFICAPP_LAKE__URL" in environment
            chosen = workers.choose_workers(worker_count, 6166, with_lake=with_lake, is_site=is_site)
            chosen = [worker for worker in chosen if roles is None or worker.role in roles]
            specs = [workers.worker_spec(worker, folder, environment) for worker in chosen]
            if watched_by is not None:
                specs = [_run_by(watched_by, spec) for spec in specs]
            supervisor.add_group(specs)
            await supervisor.start_all()
            yield Deployment(
                folder,
                endpoints,
                environment,
                load_settings(
                    app_id=name,
                    kafka={"bootstrap_servers": endpoints.kafka_bootstrap_servers},
                    postgres={"url": database_url},
                    redis={"url": endpoints.redis_url},
                ),
                supervisor,
                chosen,
                output,
                not given.complete,
            )
        finally:
            await supervisor.stop_all()


def _run_by(module: str, spec: ProcessSpec) -> ProcessSpec:
    command = list(spec.command)
    place = command.index("faust")
    command[place : place + 3] = [module]
    return replace(spec, command=command)


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    """A data folder that is removed at the end, and that Postgres may reach as another user."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        folder = data_dir.prepare(Path(path))
        with data_dir.locked(folder):
            yield folder


def _quiet(worker_count: int) -> frozenset[str]:
    """No process writes to the terminal: what a check prints is its result."""
    streams = {f"worker-{number + 1}" for number in range(worker_count)}
    servers = {"kafka", "postgres", "redis", "migrate", "topics", "restore"}
    return frozenset(servers | streams | {"alerts", "roads", "roads-2", "feeds", "feeds-2", "history", "live", "lake"})


async def until(condition: Callable[[], bool], timeout_seconds: float, poll_seconds: float = 0.25) -> float | None:
    """Ask a condition in a thread again and again; exceptions count as no.

    Returns:
        the seconds until it held, None when time is up.
    """
    began = time.monotonic()
    while time.monotonic() - began < timeout_seconds:
        try:
            if await asyncio.to_thread(condition):
                return time.monotonic() - began
        except Exception:  # noqa: S110 - the server that is asked may just be down
            pass
        await asyncio.sleep(poll_seconds)
    return None


def _count(database_url: str, table: str) -> int:
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        assert row is not None
        return int(row[0])


def _create_database(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _require_empty_topics(bootstrap_servers: str) -> None:
    for topic in (EVENTS_RAW, METRICS, ALERTS, DEAD_LETTERS):
        try:
            records = sum(end_offsets(bootstrap_servers, topic).values())
        except KeyError:
            continue
        if records:
            raise VerificationError(
                f"topic {topic} at {bootstrap_servers} holds {records:,} records; a check needs empty topics "
                "(without KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and REDIS_URL it starts servers of its own)"
            )
