"""The commands `trafficapp stack`, `trafficapp up` and `trafficapp env`."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from trafficapp import logs
from trafficapp.settings import SettingsError, load_settings
from trafficapp.stack import admin_key, workers
from trafficapp.stack.addresses import ADDRESSES
from trafficapp.stack.console import DownloadBar, LogOutput, Waiting
from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import data_dir as data_dirs
from trafficapp.stack.servers import embedded, kafka, kept_secrets
from trafficapp.stack.servers.endpoints import Endpoints, accepts_connections
from trafficapp.stack.servers.ports import RememberedPorts
from trafficapp.stack.supervisor import EventKind, ProcessSpec, Supervisor

LOOK_SECONDS = 0.5
FIRST_WINDOW_SECONDS = 60.0
WAITING_NOTE_SECONDS = 10.0

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=data_dirs.default_data_dir,
    show_default="trafficapp/stack in your cache folder",
    help="Folder for everything that is stored; kept between runs.",
)
unprotected_option = click.option(
    "--unprotected",
    is_flag=True,
    help="Let every user of this machine read, write and change Kafka without a password.",
)
verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Show every line of every process, not only warnings and errors."
)


@click.command()
@data_dir_option
@click.option("--reset", is_flag=True, help="Clear the data folder first. All traffic data stored in it is lost.")
@click.option("--prepare", is_flag=True, help="Only fetch Kafka and make what lets it start quickly, once; then end.")
@unprotected_option
@verbose_option
def stack(data_dir: Path, reset: bool, prepare: bool, unprotected: bool, verbose: bool) -> None:
    """Start Kafka, Postgres and Redis on this machine, for this machine.

    Says "ready" once all answer, and runs until Ctrl-C. Nothing but Python is needed: the first start
    fetches Apache Kafka (45 MB). The servers listen on 127.0.0.1 only; a port that is taken is replaced by a free one,
    and ports stay the same at the next start on the same folder.

    \b
    Use it from another shell (a --data-dir of yours is said there, too):
        eval "$(trafficapp env)"

    Other users of this machine may send to topics of input at KAFKA_BOOTSTRAP_SERVERS, and nothing else.
    """  # noqa: D301 - click wants the character
    # standard output is for a shell to evaluate, in any format of logs
    json_lines = _json_lines("stack", descriptor=2)
    _keep_files_to_ourselves()
    with _errors_as_messages(json_lines is not None):
        folder = data_dirs.prepare(data_dir)
        if prepare:
            with _log_output(folder, verbose, json_lines) as output:
                _prepare(output)
            return
        with data_dirs.locked(folder):
            if reset:
                data_dirs.clear(folder)
            with _log_output(folder, verbose, json_lines) as output:
                remembered = RememberedPorts(folder)
                specs, endpoints = _plan(folder, Endpoints(), output, remembered, unprotected)
                _tell_taken(remembered, output)
                asyncio.run(_run_stack(specs, endpoints, folder, output))


@click.command()
@click.option("--workers", "worker_count", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Stream workers that share the cameras.")  # fmt: skip
@click.option("--site", is_flag=True,
              help="For small sites: one process does what streams, alerts, feeds, history and live do.")  # fmt: skip
@click.option("--web-port", type=click.IntRange(1, 65000), show_default="6066, or as at the last start",
              help="Port of the first worker's page and API; the others count up.")  # fmt: skip
@click.option("--source", type=click.Choice(workers.SOURCES), default=workers.SIMULATION, show_default=True,
              help="What the demo plays: the simulated city, or ten recorded minutes of its cameras.")  # fmt: skip
@click.option("--without-feeds", is_flag=True,
              help="The simulated city sends road speeds, cameras and GPS trackers only.")  # fmt: skip
@click.option("--no-demo", is_flag=True, help="Play nothing; wait for your own events.")
@data_dir_option
@unprotected_option
@verbose_option
def up(
    worker_count: int, site: bool, web_port: int | None, source: str, without_feeds: bool, no_demo: bool,
    data_dir: Path, unprotected: bool, verbose: bool,
) -> None:  # fmt: skip
    """Start everything: servers, tables, topics, workers and a simulated city with forty cameras.

    Says "ready" and the addresses to open, which stay the same at the next start on the same folder; `trafficapp env`
    prints export lines for other shells, and so does this on a terminal. Ctrl-C stops all of it.

    Where KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL or REDIS_URL name a server of yours, that is used and none started.
    With logging.format json every line is a JSON object on standard output, and all lines are printed.
    """
    if not no_demo:
        # a demo may have a key that people can remember; its workers read the same environment
        os.environ.setdefault("TRAFFICAPP_ADMIN__SHORT_KEY", "true")
    json_lines = _json_lines("up", descriptor=1)
    _keep_files_to_ourselves()
    with _errors_as_messages(json_lines is not None), ExitStack() as held:
        folder = data_dirs.prepare(data_dir)
        given = Endpoints.from_environment()
        held.enter_context(data_dirs.locked(folder, data_dirs.WORKERS_LOCK))
        if not given.complete:
            held.enter_context(data_dirs.locked(folder))
        output = held.enter_context(_log_output(folder, verbose, json_lines))
        remembered = RememberedPorts(folder)
        specs, endpoints = _plan(folder, given, output, remembered, unprotected)
        settings = load_settings()
        wanted = {"with_clickhouse": settings.clickhouse.url is not None, "with_lake": settings.lake.url is not None}
        wanted["is_site"] = site
        chosen = workers.choose_workers(worker_count, web_port, remembered, **wanted)
        _tell_taken(remembered, output)
        playing = None if no_demo else source
        key = {} if no_demo else admin_key.environment(settings, folder)
        everything = _Up(given, endpoints, chosen, folder, output, playing, with_feeds=not without_feeds, key=key)
        asyncio.run(everything.run(specs))


@click.command()
@data_dir_option
def env(data_dir: Path) -> None:
    """Print export lines for what runs with `trafficapp up` or `trafficapp stack`.

    KAFKA_BOOTSTRAP_SERVERS names the listener for producers, which needs no password and takes messages only; the
    lines beside it lead `trafficapp` itself to the one where it may read. They hold passwords: keep them out of logs.

    \b
    In any shell of the same user:
        eval "$(trafficapp env)"
    """  # noqa: D301 - click wants the character
    folder = data_dir.expanduser().resolve()
    runs = any(data_dirs.is_locked(folder, name) for name in (data_dirs.SERVERS_LOCK, data_dirs.WORKERS_LOCK))
    try:
        lines = (folder / data_dirs.ENV_FILE).read_text(encoding="utf-8") if runs else None
    except FileNotFoundError:
        lines = None
    except PermissionError:
        raise click.ClickException(f"{folder} is another user's") from None
    if lines is None:
        raise click.ClickException(
            f"nothing runs on {folder}, or it is not ready yet: start `trafficapp up` or `trafficapp stack`, or name "
            "another folder with --data-dir"
        )
    click.echo(lines, nl=False)


async def _run_stack(specs: list[ProcessSpec], endpoints: Endpoints, folder: Path, output: LogOutput) -> None:
    began = time.monotonic()
    supervisor = Supervisor([specs], output.line, output.told)
    async with _stopped_by_signals(supervisor, output):
        async with _telling_what_is_waited_for(supervisor, output, lambda: "the servers"):
            await supervisor.start_all()
        await _permit_producers(endpoints)
        with _told_to_shells(endpoints, folder, output):
            print("ready", file=_own_stdout(), flush=True)
            output.note(f"ready after {time.monotonic() - began:.1f} s; data in {folder}; Ctrl-C stops")
            await _until_given_up(supervisor)


@dataclass(frozen=True, slots=True)
class _Up:
    """What runs with ``trafficapp up``.

    Attributes:
        given: servers that are there.
        endpoints: of all servers.
        chosen: the workers.
        folder: where data is stored.
        source: what the demo plays, None for no demo.
        with_feeds: whether the simulated city has its other feeds.
        key: the administrator's, where nobody has set one.
    """

    given: Endpoints
    endpoints: Endpoints
    chosen: list[workers.Worker]
    folder: Path
    output: LogOutput
    source: str | None
    with_feeds: bool = True
    key: Mapping[str, str] = field(default_factory=dict)

    async def run(self, specs: list[ProcessSpec]) -> None:
        """Run it all with these servers until it is stopped."""
        output = self.output
        supervisor = Supervisor([specs], output.line, output.told)
        async with _stopped_by_signals(supervisor, output):
            where = f"in {output.log_dir}{', or here with --verbose' * output.brief}"
            output.note(f"starting; every line of every process is {where}")
            stages = _Stages(output)
            async with _telling_what_is_waited_for(supervisor, output, lambda: stages.next):
                await self._start(supervisor, stages)
            with _told_to_shells(self.endpoints, self.folder, output):
                _tell_addresses(self.chosen, output, self.folder / admin_key.FILE_NAME if self.key else None)
                await _until_given_up(supervisor)

    async def _start(self, supervisor: Supervisor, stages: _Stages) -> None:
        """Start it stage by stage; return when everything is there."""
        source, output, environment = self.source, self.output, self.endpoints.environment()
        _, _, city = await asyncio.gather(
            supervisor.start_all(), _wait_for_given(self.given, output), asyncio.to_thread(self._city)
        )
        stages.reached("the servers answer", "tables and topics")
        if self.given.kafka_bootstrap_servers is None:
            await _permit_producers(self.endpoints)
        await asyncio.gather(
            workers.run_to_end("migrate", ["migrate"], environment, output.line),
            workers.run_to_end("topics", ["topics", "create"], environment, output.line),
        )
        if any(worker.role == workers.CLICKHOUSE for worker in self.chosen):
            arguments = ["clickhouse", "create", "--wait-seconds", "5"]
            try:
                await workers.run_to_end(workers.CLICKHOUSE, arguments, environment, output.line)
            except StackError as error:
                # the others go on without it; its worker waits until the tables are there
                output.note(str(error).splitlines()[-1])
        if source is not None:
            arguments = ["cameras", "import", "--demo", "--only-new"]
            await workers.run_to_end("cameras", arguments, environment, output.line)
        stages.reached("tables and topics are there", "the workers")
        environment = {**self.endpoints.environment(of_owner=False), **city, **self.key}
        together = [workers.worker_spec(worker, self.folder, environment) for worker in self.chosen]
        if source is not None:
            # beside the workers: its first window takes longer than they do
            together.append(workers.source_spec(source, self.folder, environment, self.with_feeds))
        supervisor.add_group(together)
        await supervisor.start_all()
        playing = "" if source is None else f"; the {source} of Bologna plays"
        stages.reached(f"{len(self.chosen)} workers serve{playing}", "the first window")
        if source is not None:
            if await workers.first_window(str(self.endpoints.redis_url), FIRST_WINDOW_SECONDS):
                stages.reached("the first window is there", "nothing")
            else:
                output.note(
                    f"no window has arrived for {FIRST_WINDOW_SECONDS:.0f} s; see the files in {output.log_dir}"
                )

    def _city(self) -> dict[str, str]:
        """What the feeds of the simulated city need to be set to."""
        from trafficapp.stack.city_settings import city_environment

        if self.source != workers.SIMULATION or not self.with_feeds:
            return {}
        return city_environment(load_settings(), self.folder / "timetable")


class _Stages:
    """How far the start is.

    Attributes:
        next: what is waited for.
    """

    def __init__(self, output: LogOutput) -> None:
        self.next = "the servers"
        self._output = output
        self._began = time.monotonic()

    def reached(self, stage: str, following: str) -> None:
        """Tell what is there, and go on."""
        self.next = following
        self._output.note(f"{time.monotonic() - self._began:5.1f} s: {stage}")


@asynccontextmanager
async def _telling_what_is_waited_for(
    supervisor: Supervisor, output: LogOutput, stage: Callable[[], str]
) -> AsyncIterator[None]:
    """Tell inside the block what is not there yet."""

    async def look() -> None:
        while True:
            late = [name for name in supervisor.names if not supervisor.is_ready(name)]
            waiting.look(f"{stage()}: {', '.join(late)}" if late else stage())
            await asyncio.sleep(LOOK_SECONDS)

    with Waiting(output) as waiting:
        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()


@contextmanager
def _told_to_shells(endpoints: Endpoints, folder: Path, output: LogOutput) -> Iterator[None]:
    """Keep lines that a shell can evaluate in the data folder inside the block, and show them on a terminal.

    They hold passwords, so they go nowhere else: what is printed may be kept in a log that others read.
    """
    kept, lines = folder / data_dirs.ENV_FILE, endpoints.export_lines()
    kept_secrets.write_private(kept, "\n".join(lines) + "\n")
    where = "" if folder == data_dirs.default_data_dir().resolve() else f" --data-dir {shlex.quote(str(folder))}"
    if output.for_people and _own_stdout().isatty():
        click.echo("\n".join(lines))
    output.note(f'for another shell: eval "$(trafficapp env{where})"')
    try:
        yield
    finally:
        kept.unlink(missing_ok=True)


async def _permit_producers(endpoints: Endpoints) -> None:
    """Open the topics of input to producers, where they have a listener of their own."""
    from trafficapp.stack.servers.kafka_access import permit_producers

    secured = endpoints.secured_kafka
    if secured is not None:
        kafka = {
            "bootstrap_servers": secured.bootstrap_servers,
            "api_key": secured.user,
            "api_secret": secured.password,
            "security_protocol": "SASL_PLAINTEXT",
        }
        await asyncio.to_thread(permit_producers, load_settings(kafka=kafka))


def _keep_files_to_ourselves() -> None:
    """What we and our children write from here on is for our user alone."""
    os.umask(0o077)


def _tell_taken(remembered: RememberedPorts, output: LogOutput) -> None:
    if remembered.taken:
        output.note("; ".join(remembered.taken))


def _tell_addresses(chosen: list[workers.Worker], output: LogOutput, key: Path | None) -> None:
    """Say what there is, and at last the one address to open."""
    first = f"http://127.0.0.1:{chosen[0].web_port}"
    for path, what in ADDRESSES:
        output.note(f"  {first + path:<37} {what}")
    others = ", ".join(str(worker.web_port) for worker in chosen[1:])
    output.note(f"  the other workers serve the same on ports {others}; Ctrl-C stops everything")
    if key is not None:
        output.note(f"  the administrator's key is in {key}")
    click.echo(f"ready {first}/")


async def _wait_for_given(given: Endpoints, output: LogOutput) -> None:
    """Wait for the servers that the environment names; none is started in the place of one that is away."""
    from trafficapp.stack.servers import postgres, redis_server

    checks: list[tuple[str, str | None, Callable[[str], Coroutine[Any, Any, bool]]]] = [
        ("KAFKA_BOOTSTRAP_SERVERS", given.kafka_bootstrap_servers, accepts_connections),
        ("DATABASE_URL", given.database_url, postgres.answers),
        ("REDIS_URL", given.redis_url, redis_server.answers),
    ]
    await asyncio.gather(*(_wait_for(name, url, check, output) for name, url, check in checks if url is not None))


async def _wait_for(name: str, url: str, check: Callable[[str], Coroutine[Any, Any, bool]], output: LogOutput) -> None:
    told_at, pause_seconds = 0.0, WAITING_NOTE_SECONDS
    while True:
        try:
            if await check(url):
                return
            reason = "nothing answers there"
        except Exception as problem:  # Refused credentials, a missing database: only a person can put that right.
            reason = str(problem)
        if not told_at or time.monotonic() - told_at > pause_seconds:
            pause_seconds *= 2 if told_at else 1
            told_at = time.monotonic()
            output.note(f"waiting for the server that {name} names: {reason} (without {name} one would be started)")
        await asyncio.sleep(0.5)


def _plan(
    folder: Path, given: Endpoints, output: LogOutput, remembered: RememberedPorts, unprotected: bool
) -> tuple[list[ProcessSpec], Endpoints]:
    # In the main thread, before any event loop: Ctrl-C then breaks off the download.
    with DownloadBar(output.console) as bar:
        return embedded.plan(folder, given, bar.announce, remembered, unprotected=unprotected)


def _prepare(output: LogOutput) -> None:
    with DownloadBar(output.console) as bar:
        kafka.fetch_jars(bar.announce)
    output.note("making what lets Kafka start quickly; this takes a quarter of a minute, once")
    if not asyncio.run(kafka.make_quick_start(output.line)):
        output.note("this Java keeps nothing for its next start; Kafka starts without it")


def _log_output(folder: Path, verbose: bool, json_lines: IO[str] | None) -> LogOutput:
    brief = not verbose and json_lines is None
    return LogOutput(folder / "logs", brief=brief, shown=(workers.SIMULATED_CLOCK,), json_lines=json_lines)


def _json_lines(name: str, descriptor: int) -> IO[str] | None:
    """Where lines of JSON go, when logs are to be JSON; everything that is printed becomes one from here on."""
    try:
        settings = load_settings().logging
        as_json, level = settings.format == "json", settings.level
    except SettingsError:
        as_json, level = os.environ.get("TRAFFICAPP_LOGGING__FORMAT") == "json", "info"
    if not as_json:
        return None
    stream = logs.own_stream(descriptor)
    logs.install(name, level, stream, process=name)
    return stream


def _own_stdout() -> IO[str]:
    """Standard output as the shell knows it."""
    return logs.own_stream(1) if isinstance(sys.stdout, logs.LineLogger) else sys.stdout


@asynccontextmanager
async def _stopped_by_signals(supervisor: Supervisor, output: LogOutput) -> AsyncIterator[None]:
    """Stop everything at the end of the block; SIGINT, SIGTERM and SIGHUP end it early.

    A second signal changes nothing: every process has its own time limit to stop.
    """
    loop = asyncio.get_running_loop()
    body = asyncio.current_task()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped and body is not None:
            stopped = True
            output.note("stopping")
            body.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not stopped or body is None:
            raise
        body.uncancel()
    finally:
        stopped = True
        await supervisor.stop_all()


async def _until_given_up(supervisor: Supervisor) -> None:
    """Wait until a process cannot be kept running.

    Raises:
        StackError: Always, with its last lines.
    """
    async with supervisor.events() as events:
        while not supervisor.failures():
            event = await events.get()
            if event.kind is EventKind.GAVE_UP:
                break
    name, reason = next(iter(supervisor.failures().items()))
    raise StackError("\n".join([reason, *supervisor.tail(name)[-12:]]))


@contextmanager
def _errors_as_messages(as_json: bool) -> Iterator[None]:
    try:
        yield
    except (StackError, SettingsError) as problem:
        if as_json:
            logging.getLogger("trafficapp.stack").error("%s", problem)
            raise SystemExit(1) from None
        raise click.ClickException(str(problem)) from problem


if __name__ == "__main__":
    click.Group(commands={"stack": stack, "up": up, "env": env})()
