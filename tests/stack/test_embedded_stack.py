"""The command itself, on a data folder of its own, with the real servers."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from redis import Redis

from tests.conftest import exported
from tests.ports import free_port
from trafficapp.stack.servers.ports import FILE_NAME

_exports_of_the_first_start: dict[str, str] = {}
COMMAND = [sys.executable, "-m", "trafficapp.stack.commands", "stack", "--unprotected", "--data-dir"]


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    with (
        (folder.parent / "stack.err").open("a+", encoding="utf-8") as errors,
        subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, str(folder), *options], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process, exported(folder)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def servers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_until_gone(processes: list[psutil.Process], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while alive := [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < deadline, f"still running: {alive}"
        time.sleep(0.05)


def wait_until_told(folder: Path, text: str, seconds: float = 180) -> None:
    """Until a line on the standard error output begins so."""
    deadline = time.monotonic() + seconds
    while not any(line.startswith(text) for line in (folder.parent / "stack.err").read_text().splitlines()):
        assert time.monotonic() < deadline, (folder.parent / "stack.err").read_text()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with ports that nobody else is given, but for Redis, whose usual one is looked at."""
    folder = tmp_path_factory.mktemp("embedded") / "data"
    folder.mkdir(mode=0o700)
    ports = {name: free_port() for name in ("kafka", "kafka-secured", "kafka-controller", "postgres")}
    (folder / FILE_NAME).write_text(json.dumps(ports), encoding="ascii")
    return folder


def test_all_three_answer_and_a_taken_port_is_avoided(folder: Path) -> None:
    with socket.socket() as blocker:
        blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            blocker.bind(("127.0.0.1", 6379))
            blocker.listen()
        except OSError:
            pass  # Somebody else listens there already, which is as good.
        with running(folder) as (process, exports):
            assert not exports["REDIS_URL"].endswith(":6379/0")
            port = exports["REDIS_URL"].rpartition(":")[2].removesuffix("/0")
            assert f"port 6379 is taken, redis is on {port}" in (folder.parent / "stack.err").read_text()
            _exports_of_the_first_start.update(exports)
            with Redis.from_url(exports["REDIS_URL"]) as redis:
                assert redis.ping()
            with psycopg.connect(exports["DATABASE_URL"]) as database:
                database.execute("CREATE TABLE kept (number int)")
            admin = AdminClient({"bootstrap.servers": exports["KAFKA_BOOTSTRAP_SERVERS"]})
            admin.create_topics([NewTopic("kept", 2, 1)])["kept"].result(10)
            assert "never-made" not in admin.list_topics(timeout=5).topics
            for server in servers_of(process):
                listening = [c.laddr.ip for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN]
                assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1"}
            servers = servers_of(process)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            wait_until_gone(servers, 1)


def test_ports_stay_the_same_at_the_next_start_and_kill_9_leaves_no_orphan(folder: Path) -> None:
    with running(folder) as (process, exports):
        # also that of a server whose usual port is free by now
        assert exports == _exports_of_the_first_start
        without = exports["DATABASE_URL"].replace(exports["DATABASE_URL"].split("@")[0], "postgresql://trafficapp")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(without)
        servers = servers_of(process)
        assert len(servers) >= 3
        process.kill()
        process.wait()
        wait_until_gone(servers)


def test_the_next_start_has_the_data_and_a_killed_server_comes_back_on_its_port(folder: Path) -> None:
    with running(folder) as (process, exports):
        with psycopg.connect(exports["DATABASE_URL"]) as database:
            assert database.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        topics = AdminClient({"bootstrap.servers": exports["KAFKA_BOOTSTRAP_SERVERS"]}).list_topics(timeout=5).topics
        assert len(topics["kept"].partitions) == 2
        again = [*COMMAND, str(folder), "--reset"]
        refused = subprocess.run(again, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        assert refused.returncode == 1
        assert "in use by process" in refused.stderr
        for name, program in (("redis", "valkey-server"), ("postgres", "postgres"), ("kafka", "java")):
            server = next(p for p in psutil.Process(process.pid).children() if p.name() in (program, "redis-server"))
            server.kill()
            wait_until_told(folder, f"{name:>8} | was ended by SIGKILL; starting again in 0.3 s")
            wait_until_told(folder, f"{name:>8} | is there again after ")
        with Redis.from_url(exports["REDIS_URL"]) as redis:
            assert redis.ping()
        with psycopg.connect(exports["DATABASE_URL"]) as database:
            assert database.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        topics = AdminClient({"bootstrap.servers": exports["KAFKA_BOOTSTRAP_SERVERS"]}).list_topics(timeout=5).topics
        assert len(topics["kept"].partitions) == 2


def test_reset_clears(folder: Path) -> None:
    with running(folder, "--reset") as (_, exports), psycopg.connect(exports["DATABASE_URL"]) as database:
        assert database.execute("SELECT to_regclass('kept')").fetchone() == (None,)
