from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psycopg
import pytest
from click.testing import CliRunner

from trafficapp.cli import main
from trafficapp.stores.migrations import migrate, versions

#: The newest step, as its file is called.
HEAD = max(path.name[:4] for path in Path(versions.__path__[0]).glob("[0-9]*.py"))
TABLES = {
    "traffic_events",
    "traffic_metrics",
    "sink_offsets",
    "cameras",
    "time_partitions",
    "metrics_1m",
    "metrics_1h",
    "lane_sums_1m",
    "lane_sums_1h",
}


def _tables(database_url: str) -> set[str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows}


def test_processes_that_migrate_at_once_make_one_schema(database_url: str) -> None:
    code = f"from trafficapp.stores.migrations import migrate; print(migrate({database_url!r}))"
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]  # noqa: S603
    with ThreadPoolExecutor(3) as threads:
        here = list(threads.map(migrate, [database_url] * 3))
    there = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert here + there == [HEAD] * 6
    assert _tables(database_url) >= TABLES


def test_a_second_migration_changes_nothing(database_url: str) -> None:
    migrate(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO cameras (camera_id) VALUES ('kept')")
        assert migrate(database_url) == HEAD
        assert connection.execute("SELECT camera_id FROM cameras").fetchall() == [("kept",)]


def test_the_command_migrates(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    result = CliRunner().invoke(main, ["migrate"])
    assert result.exit_code == 0, result.output
    assert f"the schema is at revision {HEAD}" in result.output


def test_the_command_says_which_server_is_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret@127.0.0.1:1/nowhere")
    result = CliRunner().invoke(main, ["migrate", "--wait-seconds", "0"])
    assert result.exit_code == 1
    assert "Postgres at 127.0.0.1:1 was not up in time" in result.output
    assert "secret" not in result.output


def test_the_command_says_that_it_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url.rsplit("/", 1)[0] + "/no_such_database")
    result = CliRunner().invoke(main, ["migrate"])
    assert result.exit_code == 1
    assert 'database "no_such_database" does not exist' in result.output


async def test_a_window_is_unique_also_without_a_lane(history_url: str) -> None:
    connection = await asyncpg.connect(history_url)
    await connection.execute(
        "SELECT ensure_time_partition('traffic_metrics', 'traffic_metrics_20260114', '2026-01-14Z', '2026-01-15Z')"
    )
    insert = (
        "INSERT INTO traffic_metrics VALUES ('c', '2026-01-14T00:00:00Z', '2026-01-14T00:00:05Z', NULL, 1, '{}',"
        " NULL, NULL, 0, 'UNKNOWN', NULL, 1)"
    )
    await connection.execute(insert)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(insert)
    await connection.close()
