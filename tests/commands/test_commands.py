"""Every command: what it says without its servers, how its help reads, and JSON for programs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import click
import msgspec
import psycopg
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from psycopg import sql

from models.dead_letters import DeadLetter
from trafficapp.cli import main
from trafficapp.topics import DEAD_LETTERS, EVENTS_RAW

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    "DATABASE_URL": "postgresql://127.0.0.1:9/nowhere",
    "REDIS_URL": "redis://127.0.0.1:9/0",
}


SWALLOWED = "test_a_server_that_swallows_everything_does_not_hold_a_command_up"
WITHOUT = "test_without_its_server_a_command_says_so_in_a_sentence"


def run(tmp_path: Path, module: str, *arguments: str, servers: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    folder = ["--datadir", str(tmp_path)] if module == "faust" else []
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", module, *folder, *arguments],
        env={**os.environ, **servers, "COLUMNS": "300"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def faust(tmp_path: Path, *arguments: str, servers: Mapping[str, str] = NOWHERE) -> subprocess.CompletedProcess[str]:
    return run(tmp_path, "faust", "-A", "trafficapp", *arguments, servers=servers)


WITHOUT_SERVERS = [
    ("Kafka", "faust", "-A trafficapp dead-letters"),
    ("Kafka", "faust", "-A trafficapp camera cam_01"),
    ("Kafka", "faust", "-A trafficapp --json dead-letters"),
    ("Kafka", "trafficapp.cli", "dead-letters"),
    ("Kafka", "trafficapp.cli", "camera cam_01 --json"),
    ("Kafka", "trafficapp.cli", "feeds"),
    ("Kafka", "trafficapp.cli", "feeds --json"),
    ("Kafka", "trafficapp.cli", "topics create --wait-seconds 0.5"),
    ("Kafka", "trafficapp.cli", f"topics begin-anew {EVENTS_RAW}"),
    ("Postgres", "trafficapp.cli", "cameras list"),
    ("Postgres", "trafficapp.cli", "cameras import --demo"),
    ("Postgres", "trafficapp.cli", "migrate --wait-seconds 0"),
    ("Postgres", "trafficapp.cli", "retention run --wait-seconds 0"),
    ("Postgres", "trafficapp.cli", "rollups rebuild --from 2026-01-01 --to 2026-01-02 --wait-seconds 0"),
    ("Postgres", "trafficapp.cli", "simulate --history 1h"),
]
Ended: TypeAlias = "Future[subprocess.CompletedProcess[str]]"


@pytest.fixture(scope="module")
def without_servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Ended]]:
    """What the commands of the tests that run come to; most of them wait for their server, and do so side by side."""
    wanted = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and item.originalname == WITHOUT
    ]
    with ThreadPoolExecutor(4) as pool:
        yield {
            one["arguments"]: pool.submit(
                run, tmp_path_factory.mktemp("without"), one["module"], *one["arguments"].split(), servers=NOWHERE
            )
            for one in wanted
        }


@pytest.mark.parametrize(("server", "module", "arguments"), WITHOUT_SERVERS)
def test_without_its_server_a_command_says_so_in_a_sentence(
    server: str, module: str, arguments: str, without_servers: Mapping[str, Ended]
) -> None:
    ended = without_servers[arguments].result()
    assert ended.returncode not in (0, None)
    assert "Traceback" not in ended.stderr + ended.stdout
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith(f"Error: {server} at 127.0.0.1:9 ")
    assert ended.stdout.strip() == ""
    # beside it, commands that wait say that they do, and one has a bar
    beside = "--wait-seconds" in arguments or "--history" in arguments
    assert len(ended.stderr.strip().splitlines()) <= (2 if beside else 1)


@pytest.fixture(scope="module", autouse=True)
def swallowed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Ended] | None]:
    """Where a server swallows everything, and what a command comes to there; it waits for long beside other tests."""
    if not any(SWALLOWED in item.name for item in request.session.items):
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as pool:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        folder, servers = tmp_path_factory.mktemp("swallowed"), {"KAFKA_BOOTSTRAP_SERVERS": place}
        yield place, pool.submit(run, folder, "trafficapp.cli", "dead-letters", servers=servers)


def test_a_server_that_swallows_everything_does_not_hold_a_command_up(swallowed: tuple[str, Ended]) -> None:
    place, ending = swallowed
    ended = ending.result()
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: Kafka at {place} cannot be used (")


def test_what_refuses_us_is_told_without_its_password(database_url: str, tmp_path: Path) -> None:
    refusing = database_url.replace("trafficapp:", "trafficapp:wrong", 1)
    ended = run(tmp_path, "trafficapp.cli", "cameras", "list", servers={"DATABASE_URL": refusing})
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "password authentication failed" in ended.stderr
    assert "wrong" not in ended.stderr


def test_a_database_that_may_not_be_changed_is_told(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(
                sql.Identifier(server.info.dbname)
            )
        )
    try:
        ended = run(tmp_path, "trafficapp.cli", "migrate", servers={"DATABASE_URL": database_url})
    finally:
        with psycopg.connect(database_url, autocommit=True) as server:
            server.execute("SET default_transaction_read_only = off")
            name = sql.Identifier(server.info.dbname)
            server.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "refuses us: " in ended.stderr.strip().splitlines()[-1]


def commands(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*names, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))


@pytest.mark.parametrize("names", [*commands(main)], ids=" ".join)
def test_help_has_no_marks_of_its_format(names: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*names, "--help"]).output
    assert "Usage:" in shown
    assert "\\b" not in shown
    assert "\b" not in shown


def test_the_help_names_every_command_on_a_line_of_its_own_and_loads_none() -> None:
    context = click.Context(main)
    names = main.list_commands(context)
    told = CliRunner().invoke(main, ["--help"]).output
    lines = told.partition("Run:\n")[2].splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == names
    assert not [line for line in lines if line.endswith("...")]
    loaded = (
        "import sys; from click.testing import CliRunner; from trafficapp.cli import main; "
        "CliRunner().invoke(main, ['--help']); print({'aiokafka', 'asyncpg', 'numpy'} & {*sys.modules})"
    )
    ended = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "set()\n"


def test_lines_of_help_that_belong_together_stay_lines() -> None:
    stack = CliRunner().invoke(main, ["stack", "--help"]).output
    assert (
        '\n  Use it from another shell (a --data-dir of yours is said there, too):\n      eval "$(trafficapp env)"\n'
        in stack
    )
    assert "\n  1. Stop all workers.\n" in CliRunner().invoke(main, ["topics", "begin-anew", "--help"]).output


@pytest.mark.parametrize("arguments", [("--json", "{}"), ("{}", "--json")], ids=["before", "behind"])
@pytest.mark.parametrize("command", ["models", "agents", "tables"])
def test_lists_as_json(command: str, arguments: tuple[str, str], tmp_path: Path) -> None:
    ended = faust(tmp_path, *(argument.format(command) for argument in arguments))
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout)
    assert {"name", "help"} <= rows[0].keys()
    if command == "models":
        assert "vehicle_count" in next(row for row in rows if row["name"].endswith(".WindowRow"))["fields"]
    else:
        assert {row["role"] for row in rows} == {"streams"}


def test_lists_say_of_which_role_they_are_and_can_show_another_or_all(tmp_path: Path) -> None:
    first = faust(tmp_path, "agents").stdout
    assert "role streams" in first
    assert "--all" in first
    assert "@windows" in first
    assert "@road_feed" not in first
    roads = json.loads(faust(tmp_path, "--json", "agents", "--role", "roads").stdout)
    assert {row["role"] for row in roads} == {"roads"}
    every = json.loads(faust(tmp_path, "--json", "agents", "--all").stdout)
    assert {row["role"] for row in every} == {"streams", "alerts", "roads", "feeds", "history", "live"}
    assert [row for row in every if row["role"] == "roads"] == roads
    tables = json.loads(faust(tmp_path, "--json", "tables", "--all").stdout)
    assert {"camera_state", "alert_state", "road_feed_state"} <= {row["name"] for row in tables}
    assert "of all roles" in faust(tmp_path, "tables", "--all").stdout
    live = faust(tmp_path, "tables", servers=NOWHERE | {"TRAFFICAPP_WORKER__ROLE": "live"})
    assert live.returncode == 0
    assert "role live" in live.stdout


def test_dead_letters_and_an_unknown_camera_as_json(kafka_bootstrap: str, tmp_path: Path) -> None:
    servers = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "TRAFFICAPP_APP_ID": f"test-commands-{os.getpid()}"}
    assert run(tmp_path, "trafficapp.cli", "topics", "create", servers=servers).returncode == 0
    moment, detail = "2026-01-01T00:00:00Z", os.urandom(4).hex()
    letter = DeadLetter(topic=EVENTS_RAW, partition=0, offset=7, timestamp=moment, reason="not_json", detail=detail)
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    producer.produce(DEAD_LETTERS, msgspec.json.encode(letter), b"cam_01")
    assert producer.flush(30) == 0
    for ended in (
        faust(tmp_path, "--json", "dead-letters", "--last", "500", servers=servers),
        run(tmp_path, "trafficapp.cli", "dead-letters", "--json", "--last", "500", servers=servers),
    ):
        assert ended.returncode == 0, ended.stderr
        assert json.loads(msgspec.json.encode(letter)) in json.loads(ended.stdout)
    unknown = faust(tmp_path, "--json", "camera", "nowhere", servers=servers)
    assert (unknown.returncode, json.loads(unknown.stdout)) == (0, [])
