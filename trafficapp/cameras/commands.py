"""The commands ``trafficapp cameras``."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.administration.changes import Camera, NewCamera
from trafficapp.cameras.files import Accepted, Format, Refused, UnreadableFile, format_of, read_cameras
from trafficapp.commands.settings import settings_or_message
from trafficapp.commands.troubles import told_in_a_sentence
from trafficapp.settings import Settings
from trafficapp.sources.recordings import cameras_path

if TYPE_CHECKING:
    from trafficapp.stores.cameras.importing import Imported

_Result = TypeVar("_Result")

#: Refused rows that are shown.
_SHOWN_ROWS = 50

#: From so many cameras on, a bar shows how far it is.
_LONG_ROWS = 5000
_PAGE_ROWS = 5000


@click.group()
def cameras() -> None:
    """The camera registry: where cameras stand and which road they see."""


@cameras.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.option("--demo", is_flag=True, help="Instead of FILE the cameras of the shipped recording.")
@click.option("--format", "format_name", type=click.Choice([kind.value for kind in Format]),
              help="What the file is, when its name does not tell.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be refused.")
@click.option("--only-new", is_flag=True, help="Leave cameras alone that are registered.")
def import_file(file: Path | None, demo: bool, format_name: str | None, dry_run: bool, only_new: bool) -> None:
    """Register the cameras of FILE: CSV, JSON or GeoJSON.

    \b
    A camera needs an id, a latitude and a longitude (WGS 84). It may have
    a name, a road_segment, a description and a calibration. Columns may have
    other usual names, such as id, lat, lng, and stand in any order; x and y
    count as degrees only where nothing is called latitude or longitude. A
    decimal comma is taken; projected coordinates are refused. What the file
    does not say about a registered camera stays.

    Rows that are no cameras are shown and left out; the exit code is 1 then.
    """  # noqa: D301 - click wants the character
    if (file is None) is not demo:
        raise click.UsageError("name a FILE, or give --demo")
    if file is None:
        file = cameras_path()
    accepted, refused = _read(file, format_name)
    for row in refused[:_SHOWN_ROWS]:
        click.echo(f"{file.name}, {row.where}: {row.reason}", err=True)
    if len(refused) > _SHOWN_ROWS:
        click.echo(f"... and {len(refused) - _SHOWN_ROWS} more", err=True)
    if dry_run:
        click.echo(f"{len(accepted)} cameras could be imported, {len(refused)} rows refused; nothing was written")
    else:
        settings = settings_or_message()
        done = _run(settings, _import(settings, accepted, file.name, only_new))
        click.echo(
            f"{done.registered} cameras registered, {done.changed} changed, {done.left} left alone, "
            f"{len(refused)} rows refused"
        )
    if refused:
        raise SystemExit(1)


@cameras.command(name="list")
@click.option("--reporting", is_flag=True, help="Those that report without being registered.")
def list_cameras(reporting: bool) -> None:
    """Show the registered cameras."""
    settings = settings_or_message()
    found = _run(settings, _list(settings, registered=not reporting))
    table = Table("camera", "name", "latitude", "longitude", "road segment", "last seen", title=f"{len(found)} cameras")
    for camera in found:
        cells = (camera.name, camera.latitude, camera.longitude, camera.road_segment, camera.last_seen)
        table.add_row(escape(camera.camera_id), *("" if cell is None else escape(str(cell)) for cell in cells))
    Console().print(table)


def _read(file: Path, format_name: str | None) -> tuple[list[NewCamera], list[Refused]]:
    try:
        kind = format_of(file) if format_name is None else Format(format_name)
        rows = list(read_cameras(file.read_bytes(), kind))
    except (UnreadableFile, OSError) as error:
        raise click.ClickException(f"{file}: {error}") from None
    return (
        [row.camera for row in rows if isinstance(row, Accepted)],
        [row for row in rows if isinstance(row, Refused)],
    )


async def _import(settings: Settings, accepted: list[NewCamera], file_name: str, only_new: bool) -> Imported:
    from trafficapp.stores.administration.audit_queries import Actor
    from trafficapp.stores.cameras.importing import import_cameras
    from trafficapp.stores.postgres.connection import create_pool

    actor = Actor(_user_name(), "command line")
    async with create_pool(settings.postgres) as pool:
        with _bar(len(accepted)) as progress:
            done = await import_cameras(pool, accepted, actor, file_name, only_new=only_new, progress=progress)
    if done.registered or done.changed:
        await _tell_workers(settings)
    return done


@contextmanager
def _bar(cameras: int) -> Iterator[Callable[[int], None]]:
    if cameras < _LONG_ROWS:
        yield lambda done: None
        return
    with click.progressbar(length=cameras, label="cameras", file=click.get_text_stream("stderr")) as bar:
        yield bar.update


async def _tell_workers(settings: Settings) -> None:
    from trafficapp.stores.cameras.registry_queries import REGISTRY_CHANNEL
    from trafficapp.stores.redis.connection import UNAVAILABLE, connect

    client = connect(settings.redis.url.get_secret_value())
    try:
        await client.publish(REGISTRY_CHANNEL, b"")
    except UNAVAILABLE:
        click.echo("Redis is away; running workers see the cameras within 30 s", err=True)
    finally:
        await client.aclose()


async def _list(settings: Settings, registered: bool) -> list[Camera]:
    from trafficapp.stores.cameras.registry import cameras_page
    from trafficapp.stores.postgres.connection import create_pool

    found: list[Camera] = []
    async with create_pool(settings.postgres) as pool:
        while page := await cameras_page(pool, _PAGE_ROWS, found[-1].camera_id if found else "", registered=registered):
            found += page
    return found


def _run(settings: Settings, work: Coroutine[Any, Any, _Result]) -> _Result:
    with told_in_a_sentence(settings, "Postgres"):
        return asyncio.run(work)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"user {os.getuid()}"
