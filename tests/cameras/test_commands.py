"""``trafficapp cameras`` against a real database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from redis import Redis

from trafficapp.cli import main
from trafficapp.sources.recordings import cameras_path
from trafficapp.stores.cameras.registry_queries import REGISTRY_CHANNEL
from trafficapp.stores.migrations import migrate


@pytest.fixture(scope="module")
def migrated(database_url: str) -> str:
    migrate(database_url)
    return database_url


@pytest.fixture
def database(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    monkeypatch.setenv("DATABASE_URL", migrated)
    monkeypatch.setenv("REDIS_URL", redis_url)
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("TRUNCATE cameras, audit_logs")
        yield connection


def cameras(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["cameras", *arguments])


def test_a_file_is_imported_with_one_audit_row_and_the_workers_are_told(
    database: psycopg.Connection[tuple[Any, ...]], redis_url: str
) -> None:
    with Redis.from_url(redis_url) as redis, redis.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(REGISTRY_CHANNEL)
        listener.get_message(timeout=5)
        result = cameras("import", "--demo")
        assert listener.get_message(timeout=5) is not None
    assert (result.exit_code, result.stdout) == (
        0,
        "40 cameras registered, 0 changed, 0 left alone, 0 rows refused\n",
    )
    (row,) = database.execute("SELECT action, target, role, after FROM audit_logs").fetchall()
    after = {"registered": 40, "changed": 0, "left": 0}
    assert row == ("cameras.import", "file bologna-cameras.json", "command line", after)
    listed = cameras("list")
    assert "40 cameras" in listed.stdout
    assert "a204a[0]" in listed.stdout


def test_what_a_file_does_not_say_stays(database: psycopg.Connection[tuple[Any, ...]], tmp_path: Path) -> None:
    database.execute(
        "INSERT INTO cameras (camera_id, name, latitude, longitude, description, last_seen) VALUES "
        "('old', 'Porta', 1, 1, 'kept', NULL), ('heard', NULL, NULL, NULL, NULL, '2026-01-14T07:00:00Z')"
    )
    file = tmp_path / "two.csv"
    file.write_text("id,lat,lon,road\nold,2,2,A1\nheard,3,3,\n")
    only_new = cameras("import", "--only-new", str(file))
    assert only_new.stdout.startswith("1 cameras registered, 0 changed, 1 left alone")
    result = cameras("import", str(file))
    assert result.stdout.startswith("0 cameras registered, 2 changed, 0 left alone")
    assert database.execute(
        "SELECT camera_id, name, latitude, longitude, road_segment, description, last_seen IS NULL "
        "FROM cameras ORDER BY camera_id"
    ).fetchall() == [("heard", "heard", 3, 3, None, None, False), ("old", "Porta", 2, 2, "A1", "kept", True)]


def test_refused_rows_are_told_and_the_rest_is_imported(
    database: psycopg.Connection[tuple[Any, ...]], tmp_path: Path
) -> None:
    file = tmp_path / "cameras.txt"
    file.write_text(json.dumps([{"id": f"cam {number}", "lat": number, "lon": 0} for number in range(0, 6000)]))
    assert "say with --format" in cameras("import", str(file)).stderr
    dry = cameras("import", "--format", "json", "--dry-run", str(file))
    assert (dry.exit_code, dry.stdout) == (
        1,
        "91 cameras could be imported, 5909 rows refused; nothing was written\n",
    )
    assert database.execute("SELECT count(*) FROM cameras").fetchone() == (0,)
    result = cameras("import", "--format", "json", str(file))
    assert result.exit_code == 1
    assert "cameras.txt, camera 92: latitude 91, longitude 0: a latitude lies within -90 and 90" in result.stderr
    assert "and 5859 more" in result.stderr
    assert database.execute("SELECT count(*) FROM cameras").fetchone() == (91,)


def test_a_large_file(database: psycopg.Connection[tuple[Any, ...]], tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    file.write_text("id,lat,lon\n" + "".join(f"cam_{number},44,11\n" for number in range(12_000)))
    assert cameras("import", str(file)).stdout.startswith("12000 cameras registered")
    assert database.execute("SELECT count(*) FROM cameras").fetchone() == (12_000,)
    assert "cam_11999" in cameras("list").stdout


def test_without_a_server_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:9/nowhere")
    result = cameras("import", str(cameras_path()))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Postgres at 127.0.0.1:9 cannot be used (")


def test_a_file_or_the_demo_is_needed() -> None:
    for arguments in ((), ("--demo", str(cameras_path()))):
        result = cameras("import", *arguments)
        assert (result.exit_code, "name a FILE, or give --demo" in result.stderr) == (2, True)
