"""The commands `trafficapp stack` and `trafficapp up`."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import click

from trafficapp.settings import SettingsError
from trafficapp.stack import data_dir as data_dirs
from trafficapp.stack import embedded, workers
from trafficapp.stack.console import DownloadBar, LogOutput
from trafficapp.stack.endpoints import Endpoints, accepts_connections
from trafficapp.stack.errors import StackError
from trafficapp.stack.supervisor import EventKind, ProcessSpec, Supervisor

SERVERS = frozenset({"kafka", "postgres", "redis"})
FIRST_WINDOW_SECONDS = 60.0
WAITING_NOTE_SECONDS = 10.0

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=data_dirs.default_data_dir,
    show_default="trafficapp/stack in your cache folder",
    help="Folder for everything that is stored; kept between runs.",
)
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show the servers' own log lines too.")


@click.command()
@data_dir_option
@click.option("--reset", is_flag=True, help="Clear the data folder first. All traffic data stored in it is lost.")
@verbose_option
def stack(data_dir: Path, reset: bool, verbose: bool) -> None:
    r"""Start Kafka, Postgres and Redis on this machine, for this machine.

    Prints three export lines once all answer, and runs until Ctrl-C. Nothing but Python is needed: the first start
    fetches Apache Kafka (45 MB). The servers listen on 127.0.0.1 only; a port that is taken is replaced by a free one.

    \b
    Use it from another shell:
        trafficapp stack > stack.env &
        . ./stack.env
    """
    with _errors_as_messages():
        folder = data_dirs.prepare(data_dir)
        with data_dirs.locked(folder):
            if reset:
                data_dirs.clear(folder)
            with _log_output(folder, verbose) as output:
                specs, endpoints = _plan(folder, Endpoints(), output)
                asyncio.run(_run_stack(specs, endpoints, folder, output))


@click.command()
@click.option("--workers", "worker_count", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Stream workers that share the cameras.")  # fmt: skip
@click.option("--web-port", type=click.IntRange(1, 65000), default=6066, show_default=True,
              help="Port of the first worker's page and API; the others count up.")  # fmt: skip
@click.option("--source", type=click.Choice(workers.SOURCES), default=workers.SIMULATION, show_default=True,
              help="What the demo plays: the simulated city, or ten recorded minutes of its cameras.")  # fmt: skip
@click.option("--no-demo", is_flag=True, help="Play nothing; wait for your own events.")
@data_dir_option
@verbose_option
def up(worker_count: int, web_port: int, source: str, no_demo: bool, data_dir: Path, verbose: bool) -> None:
    r"""Start everything: servers, tables, topics, workers and a simulated city with forty cameras.

    Prints three export lines for other shells, then "ready" and the address to open. Ctrl-C stops all of it. Where
    KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL or REDIS_URL name a server of yours, that server is used and none is started.
    """
    with _errors_as_messages(), ExitStack() as held:
        folder = data_dirs.prepare(data_dir)
        given = Endpoints.from_environment()
        held.enter_context(data_dirs.locked(folder, data_dirs.WORKERS_LOCK))
        if not given.complete:
            held.enter_context(data_dirs.locked(folder))
        output = held.enter_context(_log_output(folder, verbose))
        specs, endpoints = _plan(folder, given, output)
        chosen = workers.choose_workers(worker_count, web_port)
        if chosen[0].web_port != web_port:
            output.note(f"port {web_port} is taken; the first worker serves on {chosen[0].web_port}")
        asyncio.run(_run_up(specs, given, endpoints, chosen, folder, output, None if no_demo else source))


async def _run_stack(specs: list[ProcessSpec], endpoints: Endpoints, folder: Path, output: LogOutput) -> None:
    began = time.monotonic()
    supervisor = Supervisor([specs], output.line)
    async with _stopped_by_signals(supervisor):
        await supervisor.start_all()
        click.echo("\n".join(endpoints.export_lines()))
        output.note(f"ready after {time.monotonic() - began:.1f} s; data in {folder}; Ctrl-C stops")
        await _until_given_up(supervisor)


async def _run_up(
    specs: list[ProcessSpec],
    given: Endpoints,
    endpoints: Endpoints,
    chosen: list[workers.Worker],
    folder: Path,
    output: LogOutput,
    source: str | None,
) -> None:
    """Run it all; `source` is what the demo plays, None for no demo."""
    began = time.monotonic()

    def reached(stage: str) -> None:
        output.note(f"{time.monotonic() - began:5.1f} s: {stage}")

    environment = endpoints.environment()
    supervisor = Supervisor([specs], output.line)
    async with _stopped_by_signals(supervisor):
        await asyncio.gather(supervisor.start_all(), _wait_for_given(given, output))
        click.echo("\n".join(endpoints.export_lines()))
        reached("the servers answer")
        await asyncio.gather(
            workers.run_to_end("migrate", ["migrate"], environment, output.line),
            workers.run_to_end("topics", ["topics", "create"], environment, output.line),
        )
        reached("tables and topics are there")
        if source is not None:
            arguments = ["cameras", "import", "--demo", "--only-new"]
            await workers.run_to_end("cameras", arguments, environment, output.line)
        together = [workers.worker_spec(worker, folder, environment) for worker in chosen]
        if source is not None:
            # beside the workers: its first window takes longer than they do
            together.append(workers.source_spec(source, folder, environment))
        supervisor.add_group(together)
        await supervisor.start_all()
        reached(f"{len(chosen)} workers serve" + ("" if source is None else f"; the {source} of Bologna plays"))
        if source is not None:
            if await workers.first_window(str(endpoints.redis_url), FIRST_WINDOW_SECONDS):
                reached("the first window is there")
            else:
                output.note(f"no window has arrived for {FIRST_WINDOW_SECONDS:.0f} s; see the lines above")
        _tell_addresses(chosen, output)
        await _until_given_up(supervisor)


def _tell_addresses(chosen: list[workers.Worker], output: LogOutput) -> None:
    first = f"http://127.0.0.1:{chosen[0].web_port}"
    click.echo(f"ready {first}/")
    for path, what in (
        ("/", "cameras, live"),
        ("/metrics/current", "the newest window of every camera"),
        ("/health", "is everything well"),
        ("/metrics", "counters for Prometheus"),
    ):
        output.note(f"  {first}{path:<18} {what}")


async def _wait_for_given(given: Endpoints, output: LogOutput) -> None:
    """Wait for the servers that the environment names; none is started in the place of one that is away."""
    from trafficapp.stack import postgres, redis_server

    checks: list[tuple[str, str | None, Callable[[str], Coroutine[Any, Any, bool]]]] = [
        ("KAFKA_BOOTSTRAP_SERVERS", given.kafka_bootstrap_servers, accepts_connections),
        ("DATABASE_URL", given.database_url, postgres.answers),
        ("REDIS_URL", given.redis_url, redis_server.answers),
    ]
    await asyncio.gather(*(_wait_for(name, url, check, output) for name, url, check in checks if url is not None))


async def _wait_for(name: str, url: str, check: Callable[[str], Coroutine[Any, Any, bool]], output: LogOutput) -> None:
    told_at = 0.0
    while True:
        try:
            if await check(url):
                return
            reason = "nothing answers there"
        except Exception as problem:  # Refused credentials, a missing database: only a person can put that right.
            reason = str(problem)
        if time.monotonic() - told_at > WAITING_NOTE_SECONDS:
            told_at = time.monotonic()
            output.note(f"waiting for the server that {name} names: {reason} (without {name} one would be started)")
        await asyncio.sleep(0.5)


def _plan(folder: Path, given: Endpoints, output: LogOutput) -> tuple[list[ProcessSpec], Endpoints]:
    # In the main thread, before any event loop: Ctrl-C then breaks off the download.
    with DownloadBar(output.console) as bar:
        return embedded.plan(folder, given, bar.announce)


def _log_output(folder: Path, verbose: bool) -> LogOutput:
    return LogOutput(folder / "logs", quiet=frozenset() if verbose else SERVERS)


@asynccontextmanager
async def _stopped_by_signals(supervisor: Supervisor) -> AsyncIterator[None]:
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
def _errors_as_messages() -> Iterator[None]:
    try:
        yield
    except (StackError, SettingsError) as problem:
        raise click.ClickException(str(problem)) from problem


if __name__ == "__main__":
    click.Group(commands={"stack": stack, "up": up})()
