"""The processes of the pipeline that `trafficapp up` runs on the servers: set-up, workers, demo source."""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trafficapp.settings import Role, roles_together
from trafficapp.stack import children
from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import ports
from trafficapp.stack.supervisor import ProcessSpec, Restart

WEB_PORT = 6066
SINK_PORT_OFFSET = 100
_FIRST_WEB_PORT = "web-port"
#: How the simulated city begins to say what time it plays; who watches it should know.
SIMULATED_CLOCK = "simulated city: "
SIMULATION, RECORDING = SOURCES = ("simulation", "recording")
FIRST_WORKER = "worker-1"
#: Name and role of the worker that keeps rows there.
CLICKHOUSE = "clickhouse"
LAKE = "lake"
_SINGLE = ("history", "live", "alerts", "roads", "feeds")
READY_TIMEOUT_SECONDS = 120.0
# A worker ends itself when it cannot be sure of its state, also again and again while the broker is away: there is
# no number of ends that would be too many.
WORKER_RESTART = Restart(first_seconds=0.5, longest_seconds=5.0, attempts=None)


@dataclass(frozen=True)
class Worker:
    """One Faust worker: what it is called, what it does, where it serves HTTP."""

    name: str
    role: str
    web_port: int


def choose_workers(
    count: int,
    web_port: int | None,
    remembered: ports.RememberedPorts | None = None,
    *,
    with_clickhouse: bool = False,
    with_lake: bool = False,
    is_site: bool = False,
) -> list[Worker]:
    """Return `count` workers of role streams, then one of each other role, with free web ports.

    Where all is one site, workers of role site come in place of those whose roles that has. The first workers' ports
    count up from `web_port`, the others' from 100 above; taken ones are replaced.

    Args:
        count: streams workers.
        web_port: None: as at the last start on the data folder.
        remembered: the data folder's ports; they stay what they are unless `web_port` is another than before.
        with_clickhouse: whether rows also go to a ClickHouse.
        with_lake: whether records also go to Parquet files.
        is_site: whether one process has all roles of a site.
    """
    first_role: Role = "site" if is_site else "streams"
    wanted = [(f"worker-{number + 1}", str(first_role), number) for number in range(count)]
    single = [role for role in _SINGLE if role not in roles_together(first_role)]
    single += [role for role, is_wanted in ((CLICKHOUSE, with_clickhouse), (LAKE, with_lake)) if is_wanted]
    wanted += [(role, role, SINK_PORT_OFFSET + number) for number, role in enumerate(single)]
    if remembered is None:
        first, taken, chosen = web_port or WEB_PORT, list[int](), list[Worker]()
        for name, role, offset in wanted:
            taken.append(ports.choose(first + offset, taken))
            chosen.append(Worker(name, role, taken[-1]))
        return chosen
    known = remembered.get(_FIRST_WEB_PORT)
    first = web_port or known or WEB_PORT
    if first != known:
        remembered.forget([*(name for name, _, _ in wanted), *(f"worker-{number + 1}" for number in range(64))])
        remembered.keep(_FIRST_WEB_PORT, first)
    return [Worker(name, role, remembered.choose(name, first + offset)) for name, role, offset in wanted]


def worker_spec(worker: Worker, data_dir: Path, environment: Mapping[str, str]) -> ProcessSpec:
    """Describe a worker's process; its local tables lie in a folder of its own under `data_dir`."""
    folder = data_dir / "workers" / worker.name
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "faust", "-A", "trafficapp", "--datadir", str(folder)),
        *("worker", "-l", "info", "--web-port", str(worker.web_port)),
    ]
    # several processes of a host cannot have one port: the first worker is the one whose metrics are asked for there
    metrics_port = {} if worker.name == FIRST_WORKER else {"PROCESSOR_METRICS_PORT": "0"}
    return ProcessSpec(
        name=worker.name,
        command=command,
        env={
            **environment,
            **metrics_port,
            "PYTHONUNBUFFERED": "1",
            "TRAFFICAPP_WORKER__ROLE": worker.role,
            "TRAFFICAPP_WEB__PORT": str(worker.web_port),
            "TRAFFICAPP_DATA_DIR": str(folder),
        },
        ready=functools.partial(serves_health, worker.web_port),
        ready_timeout_seconds=READY_TIMEOUT_SECONDS,
        restart=WORKER_RESTART,
        stop_timeout_seconds=20,
        pid_file=data_dir / "run" / f"{worker.name}.pid",
    )


def source_spec(source: str, data_dir: Path, environment: Mapping[str, str], with_feeds: bool = True) -> ProcessSpec:
    """Describe the demo source, one of `SOURCES`.

    The simulated city also sends the speeds of the last hour, from which models predict at once, and other feeds of a
    city (`trafficapp.simulation.feeds`) unless it is without them. The shipped recording
    is played again and again at its own pace, as if it were now.
    """
    arguments = {
        SIMULATION: [
            *("simulate", "--past-minutes", "55", "--start-hour", "day"),
            *(() if with_feeds else ("--without-feeds",)),
        ],
        RECORDING: ["replay", "--speed", "1", "--loop", "--shift-to-now"],
    }[source]
    return ProcessSpec(
        name="source",
        command=[sys.executable, "-m", "trafficapp.cli", *arguments],
        env={**environment, "PYTHONUNBUFFERED": "1"},
        restart=WORKER_RESTART,
        pid_file=data_dir / "run" / "source.pid",
    )


async def run_to_end(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], log_line: Callable[[str, str], None]
) -> None:
    """Run `trafficapp ARGUMENTS` and wait for its end, its lines going to `log_line`.

    Raises:
        StackError: It ended with an error; the text holds its last lines.
    """
    process = await children.spawn([sys.executable, "-m", "trafficapp.cli", *arguments], env=environment)
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    lines = output.decode("utf-8", "replace").splitlines()
    for line in lines:
        log_line(name, line)
    if process.returncode != 0:
        raise StackError("\n".join([f"trafficapp {' '.join(arguments)} failed:", *lines[-12:]]))


async def serves_health(web_port: int) -> bool:
    """Say whether a worker answers on `/health`."""
    import aiohttp

    url = f"http://{ports.LOOPBACK}:{web_port}/health"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session, session.get(url) as response:
        return response.status == 200


async def first_window(redis_url: str, timeout_seconds: float) -> bool:
    """Wait until a window that ended in the last minute shows in Redis; False when time is up."""
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    client: Redis = Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
    deadline = time.monotonic() + timeout_seconds
    try:
        while time.monotonic() < deadline:
            try:
                if await client.zcount("cameras:last_seen", time.time() - 60, "+inf"):
                    return True
            except (RedisError, OSError):
                pass  # The supervisor is bringing it back.
            await asyncio.sleep(0.25)
    finally:
        await client.aclose()
    return False
