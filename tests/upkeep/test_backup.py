"""Backups are whole, few, readable by nobody else, and can be restored."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import UTC, datetime, timedelta
from os import utime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from trafficapp.settings import BackupSettings
from trafficapp.stores.migrations import migrate
from trafficapp.upkeep import backup
from trafficapp.upkeep.backup import back_up, newest_pg_dump, without_password
from trafficapp.upkeep.processes import ProgramFailed

NIGHT = datetime(2026, 1, 14, 1, 30, tzinfo=UTC)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_backup_can_be_restored(database_url: str, tmp_path: Path) -> None:
    migrate(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO cameras (camera_id, name) VALUES ('cam', 'the one')")
    path = await back_up(database_url, BackupSettings(folder=tmp_path / "backups"), NIGHT)
    assert path.name == "trafficapp-20260114T013000Z.dump"
    assert path.stat().st_mode & 0o077 == 0
    program = newest_pg_dump()
    assert program is not None
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    command = [str(program.with_name("pg_restore")), "--no-owner", "--schema=public", f"--dbname={database_url}"]
    await asyncio.to_thread(subprocess.run, [*command, str(path)], check=True, capture_output=True)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT camera_id, name FROM cameras").fetchall() == [("cam", "the one")]


async def test_the_newest_few_are_kept_and_leftovers_are_cleared(database_url: str, tmp_path: Path) -> None:
    settings = BackupSettings(folder=tmp_path, keep=2)
    for name in (".writing-killed", ".writing-at-work", "mine.dump"):
        (tmp_path / name).write_text("half")
    utime(tmp_path / ".writing-killed", ((NIGHT - timedelta(days=3)).timestamp(),) * 2)
    utime(tmp_path / ".writing-at-work", (NIGHT.timestamp(),) * 2)
    made = [await back_up(database_url, settings, NIGHT + timedelta(days=day)) for day in range(3)]
    left = names(tmp_path)
    assert left >= {"mine.dump", made[1].name, made[2].name}
    assert not left & {".writing-killed", made[0].name}


async def test_a_failed_backup_leaves_the_old_one_and_says_why(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = BackupSettings(folder=tmp_path, keep=1)
    before = await back_up(database_url, settings, NIGHT)
    nowhere = urlunsplit(urlsplit(database_url)._replace(path="/no_such_database"))
    with pytest.raises(ProgramFailed, match="no_such_database"):
        await back_up(nowhere, settings, NIGHT + timedelta(days=1))
    assert names(tmp_path) == {before.name}
    monkeypatch.setattr(backup, "_programs", lambda: iter([tmp_path / "pg_dump"]))
    with pytest.raises(ProgramFailed, match="there is no pg_dump here"):
        await back_up(database_url, settings, NIGHT)


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        ("postgresql://me:p%40ss@db:5432/traffic", "postgresql://me@db:5432/traffic", "p@ss"),
        ("postgresql:///traffic?host=/run&password=x&port=1", "postgresql:///traffic?host=%2Frun&port=1", "x"),
        ("postgresql://db/traffic", "postgresql://db/traffic", None),
    ],
)
def test_no_password_where_everybody_sees_it(url: str, shown: str, secret: str | None) -> None:
    assert without_password(url) == (shown, secret)
