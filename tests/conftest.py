"""Real servers for the tests: those that the environment names, else an embedded stack for the whole run.

Tests that train lie in folders named torch. Where torch is not installed they are left out, and the last line says so.
"""

from __future__ import annotations

import compileall
import itertools
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import disk_usage, rmtree
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import sql
from redis import Redis

from tests.ports import free_port
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import load_settings
from trafficapp.stack.servers.data_dir import ENV_FILE
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.stack.servers.ports import FILE_NAME
from trafficapp.topics import declared_topics

ROOT = Path(__file__).parent.parent

#: Brokers of tests live for seconds: what the JVM's second compiler takes, half of all the time that tests took, they
#: never get back.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

#: The servers that modules share, when this process has started them.
_embedded: list[Endpoints] = []

_redis_numbers = itertools.cycle(range(1, 16))

#: Where Linux keeps files in memory, and how much a stack may need there; about 200 MB was seen.
_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made in it has a name that nobody guesses
_IN_MEMORY, _ROOM_BYTES = "trafficapp-tests", 2 << 30

#: What `trafficapp train` imports beside what tests have anyway.
_MISSING = [name for name in ("torch", "onnxscript") if find_spec(name) is None]
_TESTS_THAT_TRAIN = sorted(Path(__file__).parent.glob("*/torch"))


#: Modules that take longest, in their order. They begin first, so that processes side by side end together.
_LONG = (
    *("agents/cameras", "agents/test_alerts", "agents/test_live", "agents/roads", "stack/test_up"),
    *("stack/test_embedded_stack", "feeds/test_parking_bays", "commands", "simulation/test_sending"),
    *("web/documents", "web/test_camera_dashboard_alerts", "verification/test_hostile", "cameras/test_commands"),
)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what cannot even be imported here; whoever names such a folder gets its errors."""
    return True if _MISSING and collection_path in _TESTS_THAT_TRAIN else None


def pytest_configure(config: pytest.Config) -> None:
    """Spare the processes that tests start what takes longer than they live.

    Packages are compiled once: where PYTHONDONTWRITEBYTECODE is set, each process would do it again. Kafka is
    compiled by the quick one of Java's compilers alone.
    """
    os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
    if not hasattr(config, "workerinput"):
        for package in ("models", "trafficapp", "agents", "web"):
            compileall.compile_dir(ROOT / package, quiet=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest."""
    here = Path(__file__).parent

    @cache
    def rank(path: Path) -> int:
        name = path.relative_to(here).as_posix()
        return next((at for at, long in enumerate(_LONG) if name.startswith(long)), len(_LONG))

    items.sort(key=lambda item: rank(item.path))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Share the work of making ready the asserts of test modules, which pytest keeps beside them.

    Of two processes that collect all tests, one begins with the last module, so that each finds half of them done.
    """
    worker = getattr(session.config, "workerinput", {}).get("workerid", "")
    if worker and [Path(argument).absolute() for argument in session.config.args] == [Path(__file__).parent]:
        sys.dont_write_bytecode = False
        found = sorted(Path(__file__).parent.rglob("test_*.py"), reverse=worker == "gw1")
        for path in found:
            if not (_MISSING and path.parent in _TESTS_THAT_TRAIN):
                # what is wrong is told when it is collected
                with suppress(Exception):
                    import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Say below everything else what did not run of that which was asked for, and how it does."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    asked = [Path(argument.split("::")[0]).absolute() for argument in session.config.args]
    left_out = [
        folder.relative_to(session.config.rootpath).as_posix()
        for folder in _TESTS_THAT_TRAIN
        if any(path in folder.parents for path in asked)
    ]
    if _MISSING and left_out and reporter is not None:
        missing = f"{' and '.join(_MISSING)} {'is' if len(_MISSING) == 1 else 'are'} not installed"
        reporter.write_line(
            f"NOT RUN: tests that train a model ({', '.join(left_out)}), as {missing}; "
            "`make test-train` installs what they need and runs them",
            yellow=True,
        )


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """Give the addresses of Kafka, Postgres and Redis."""
    given = Endpoints.from_environment()
    if given.complete:
        yield given
        return
    with embedded_stack(tmp_path_factory.mktemp("stack")) as endpoints:
        _embedded.append(endpoints)
        yield endpoints
        _embedded.remove(endpoints)


@pytest.fixture(scope="module", autouse=True)
def no_topics_left_behind() -> Iterator[None]:
    """Delete the topics that a module made for itself alone, where the servers are ours.

    Every client that starts is told of all topics there are, which took more time in the end than what it was for.
    What all modules share stays, as there are offsets of it.
    """
    yield
    for endpoints in _embedded:
        bootstrap = str(endpoints.kafka_bootstrap_servers)
        delete_topics(bootstrap, lambda name: not (name.startswith("__") or name in _shared_topics()))


def delete_topics(bootstrap: str, chosen: Callable[[str], bool]) -> None:
    """Delete topics; they are gone, or will be soon."""
    client = _admin(bootstrap)
    names = [name for name in client.list_topics(timeout=30).topics if chosen(name)]
    for done in client.delete_topics(names).values() if names else ():
        # one that another process deletes at the same time is gone as well
        with suppress(KafkaException):
            done.result(30)


@cache
def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


@cache
def _shared_topics() -> frozenset[str]:
    settings = load_settings()
    names = {topic.name for topic in declared_topics(settings, FEEDS)}
    return frozenset(name for name in names if not name.startswith(settings.app_id))


@pytest.fixture(scope="session")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """Give servers of their own to tests that change topics or put into them what other readers may not understand."""
    with embedded_stack(tmp_path_factory.mktemp("own-stack")) as endpoints:
        yield endpoints


@contextmanager
def embedded_stack(folder: Path) -> Iterator[Endpoints]:
    """Servers on ports that are nobody's usual ones, which keep everything in memory or, for want of it, in a folder.

    Whoever knows where Kafka is may do everything there: `stack/test_protection` tests what protects it.
    Nobody need wait for the disk: tests kill servers, not machines.
    """
    with in_memory(folder) as data, _embedded_stack(data, folder.with_suffix(".log")) as endpoints:
        yield endpoints


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """A folder that no disk keeps, removed at the end; another one where this machine has none with room.

    A broker waits for the disk several times for each partition that it makes and deletes. On a disk that others use,
    too, it made 240 partitions in 7.4 s, and in memory in 0.7 s; all that it is asked for meanwhile waits as well.
    """
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK) or disk_usage(_MEMORY).free < _ROOM_BYTES:
        yield otherwise
        return
    for left in _MEMORY.glob(f"{_IN_MEMORY}-*-*"):
        # what a run left that was killed
        if not Path("/proc", left.name.split("-")[-2]).exists():
            rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=f"{_IN_MEMORY}-{os.getpid()}-", dir=_MEMORY, ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def _embedded_stack(folder: Path, log: Path) -> Iterator[Endpoints]:
    ports = {name: free_port() for name in ("kafka", "kafka-secured", "kafka-controller", "postgres", "redis")}
    (folder / FILE_NAME).write_text(json.dumps(ports), encoding="ascii")
    command = [sys.executable, "-m", "trafficapp.stack.commands", "stack", "--unprotected", "--data-dir", str(folder)]
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            endpoints = _read_exports(process, folder, log)
            with psycopg.connect(str(endpoints.database_url), autocommit=True) as server:
                server.execute("ALTER SYSTEM SET fsync = off")
                server.execute("SELECT pg_reload_conf()")
            yield endpoints
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture(scope="session")
def kafka_bootstrap(stack: Endpoints) -> str:
    """Give `host:port` of the broker; tests choose topic names of their own."""
    assert stack.kafka_bootstrap_servers is not None
    return stack.kafka_bootstrap_servers


@pytest.fixture(scope="module")
def database_url(stack: Endpoints, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give an empty database that only this test module has, dropped at its end."""
    assert stack.database_url is not None
    module = request.module.__name__.rsplit(".", 1)[-1].lower()
    name = f"{module[:40]}_{os.getpid()}_{secrets.token_hex(3)}"
    with psycopg.connect(stack.database_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(stack.database_url)._replace(path=f"/{name}"))
        finally:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def redis_url(stack: Endpoints) -> Iterator[str]:
    """Give an emptied Redis database of this module's own; pub/sub channels are shared with the others."""
    assert stack.redis_url is not None
    url = urlunsplit(urlsplit(stack.redis_url)._replace(path=f"/{next(_redis_numbers)}"))
    with Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


def exported(folder: Path) -> dict[str, str]:
    """The variables that `trafficapp env` prints of a data folder."""
    lines = (folder / ENV_FILE).read_text(encoding="utf-8").splitlines()
    return dict(shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in lines)


def _read_exports(process: subprocess.Popen[str], folder: Path, log: Path) -> Endpoints:
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"the embedded stack did not start:\n{log.read_text(encoding='utf-8')}")
    values = exported(folder)
    return Endpoints(values["KAFKA_BOOTSTRAP_SERVERS"], values["DATABASE_URL"], values["REDIS_URL"])
