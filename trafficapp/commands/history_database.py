"""The commands ``trafficapp migrate``, ``trafficapp retention`` and ``trafficapp rollups``."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from trafficapp import logs
from trafficapp.commands.settings import settings_or_message
from trafficapp.settings import Settings

if TYPE_CHECKING:
    from trafficapp.stores.cameras.rollups import RebuildStep


def _wait_for_postgres(database_url: str, wait_seconds: float) -> None:
    """Wait for the server.

    Raises:
        click.ClickException: it was not up in time, or refuses us.
    """
    import asyncpg

    from trafficapp.stores.outage import Abandoned
    from trafficapp.stores.postgres.connection import address_of, wait_until_up

    logs.install_text(logging.INFO)
    deadline = time.monotonic() + wait_seconds
    asked = False

    def may_go_on() -> bool:
        nonlocal asked
        first, asked = not asked, True
        return first or time.monotonic() < deadline

    try:
        asyncio.run(wait_until_up(database_url, may_go_on))
    except Abandoned:
        raise click.ClickException(f"Postgres at {address_of(database_url)} was not up in time") from None
    except (asyncpg.PostgresError, ValueError) as error:
        raise click.ClickException(f"Postgres at {address_of(database_url)} refuses us: {error}") from None


_wait_option = click.option(
    "--wait-seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Wait this long for Postgres."
)


@click.command()
@_wait_option
def migrate(wait_seconds: float) -> None:
    """Bring the schema of the history database up to date, as postgres.owner_url where that is set.

    The user of DATABASE_URL is then given what work needs, and nothing else: it neither owns nor alters a table.
    """
    import psycopg
    from sqlalchemy.exc import SQLAlchemyError

    from trafficapp.stores.migrations import migrate as bring_up_to_date
    from trafficapp.stores.postgres.connection import address_of

    postgres = settings_or_message().postgres
    database_url = postgres.owner
    _wait_for_postgres(database_url, wait_seconds)
    try:
        revision = bring_up_to_date(database_url, worker=postgres.user)
    except (psycopg.Error, SQLAlchemyError) as error:
        # what the server said; the library adds the statement and an address in the net
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        raise click.ClickException(f"Postgres at {address_of(database_url)} refuses us: {said}") from None
    click.echo(f"the schema is at revision {revision}")


@click.group()
def retention() -> None:
    """Forget old history."""


@retention.command()
@_wait_option
def run(wait_seconds: float) -> None:
    """Drop the partitions that have expired, once. A history worker does it every hour by itself."""
    from trafficapp.commands.troubles import told_in_a_sentence
    from trafficapp.feeds.declared import FEEDS
    from trafficapp.stores.feeds.table import kept_tables
    from trafficapp.stores.postgres.connection import create_pool
    from trafficapp.stores.postgres.retention import sweep

    settings = settings_or_message()
    _wait_for_postgres(settings.postgres.url.get_secret_value(), wait_seconds)

    async def sweep_once() -> list[str]:
        async with create_pool(settings.postgres) as pool:
            return await sweep(pool, settings.retention, kept_tables(FEEDS, settings))

    with told_in_a_sentence(settings, "Postgres"):
        dropped = asyncio.run(sweep_once())
    for name in dropped:
        click.echo(f"dropped {name}")
    click.echo(f"{len(dropped)} partitions dropped")


@click.group()
def rollups() -> None:
    """Sums of windows by the minute and by the hour."""


class _Moment(click.ParamType):
    """A time as the API takes it."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        from models.timestamps import epoch_us, from_epoch_us

        try:
            return from_epoch_us(epoch_us(value))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not ISO 8601", param, ctx)


@rollups.command()
@click.option("--from", "from_", type=_Moment(), required=True, help="First time, ISO 8601; without offset it is UTC.")
@click.option("--to", type=_Moment(), required=True, help="End, exclusive.")
@click.option("--force", is_flag=True, help="Also hours that were simulated without windows: their sums are deleted.")
@_wait_option
def rebuild(from_: datetime, to: datetime, force: bool, wait_seconds: float) -> None:
    """Make the sums of a span anew from the windows that are stored.

    They are right by themselves; this is for when somebody changed windows by hand. Whole hours are made, one at a
    time, while workers go on writing. Days whose windows retention has dropped keep the sums they have, and so
    do hours that `trafficapp simulate --history` filled without windows.
    """
    from trafficapp.commands.troubles import told_in_a_sentence

    if from_ >= to:
        raise click.BadParameter("--from must be before --to")
    settings = settings_or_message()
    _wait_for_postgres(settings.postgres.url.get_secret_value(), wait_seconds)
    with told_in_a_sentence(settings, "Postgres"):
        made = asyncio.run(_rebuild(settings, from_, to, force))
    if made is not None and made.left_out:
        click.echo(f"{made.left_out:,} hours were simulated without windows and keep their sums; --force deletes them")
    click.echo(f"{0 if made is None else made.hours:,} hours of cameras made")


async def _rebuild(settings: Settings, from_: datetime, to: datetime, force: bool) -> RebuildStep | None:
    """How far it came; None when there was nothing to do."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from trafficapp.stores.cameras import rollups as sums
    from trafficapp.stores.measures.pending_sums import settle
    from trafficapp.stores.postgres.connection import create_pool
    from trafficapp.stores.postgres.time_partitions import ensure_partitions

    step = None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("hours", total=None)
        async with create_pool(settings.postgres) as pool, pool.acquire() as connection:
            async for step in sums.rebuild(connection, from_, to, force=force):
                # what an hour gives to the sums of lanes is added before the next one's is put aside
                await settle(connection, lambda partitions: ensure_partitions(connection, partitions))
                progress.update(bar, completed=step.done, total=step.total)
    return step
