"""The commands ``trafficapp migrate`` and ``trafficapp retention``."""

from __future__ import annotations

import asyncio
import logging
import time

import click

from trafficapp.settings import Settings, SettingsError, load_settings


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _wait_for_postgres(database_url: str, wait_seconds: float) -> None:
    """Wait for the server.

    Raises:
        click.ClickException: it was not up in time, or refuses us.
    """
    import asyncpg

    from trafficapp.stores.postgres import Abandoned, address_of, wait_until_up

    logging.basicConfig(level=logging.INFO, format="%(message)s")
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
    """Bring the schema of the history database up to date."""
    from trafficapp.stores.migrations import migrate as bring_up_to_date

    database_url = _settings().postgres.url.get_secret_value()
    _wait_for_postgres(database_url, wait_seconds)
    click.echo(f"the schema is at revision {bring_up_to_date(database_url)}")


@click.group()
def retention() -> None:
    """Forget old history."""


@retention.command()
@_wait_option
def run(wait_seconds: float) -> None:
    """Drop the partitions that have expired, once. A history worker does it every hour by itself."""
    import asyncpg

    from trafficapp.stores.postgres import create_pool
    from trafficapp.stores.retention import sweep

    settings = _settings()
    _wait_for_postgres(settings.postgres.url.get_secret_value(), wait_seconds)

    async def sweep_once() -> list[str]:
        async with create_pool(settings.postgres) as pool:
            return await sweep(pool, settings.retention)

    try:
        dropped = asyncio.run(sweep_once())
    except (asyncpg.PostgresError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for name in dropped:
        click.echo(f"dropped {name}")
    click.echo(f"{len(dropped)} partitions dropped")
