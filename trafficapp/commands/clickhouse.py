"""The command ``trafficapp clickhouse``: the tables that rows of feeds go to there."""

from __future__ import annotations

import asyncio
import time

import click

from trafficapp.commands.settings import settings_or_message


@click.group()
def clickhouse() -> None:
    """History in ClickHouse, beside Postgres."""


@clickhouse.command()
@click.option("--show", is_flag=True, help="Print the statements, and run none; for a server that you look after.")
@click.option(
    "--wait-seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Wait this long for it."
)
def create(show: bool, wait_seconds: float) -> None:
    """Create the database and the tables, and add the columns that they lack; run again, it changes nothing."""
    from trafficapp.feeds.declared import FEEDS
    from trafficapp.stores.clickhouse.tables import kept_feeds, statements

    settings = settings_or_message()
    try:
        feeds = kept_feeds(FEEDS, settings)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    wanted = list(statements(feeds, settings.clickhouse.database))
    if show:
        click.echo("\n\n".join(f"{statement};" for statement in wanted))
        return
    if settings.clickhouse.url is None:
        raise click.ClickException("clickhouse.url says no address (environment TRAFFICAPP_CLICKHOUSE__URL)")

    from trafficapp.stores.clickhouse.client import NETWORK, ClickHouse, ClickHouseError

    async def run() -> None:
        server, end = ClickHouse(settings.clickhouse), time.monotonic() + wait_seconds
        try:
            while True:
                try:
                    await server.ask("SELECT 1")
                    break
                except NETWORK:
                    if time.monotonic() >= end:
                        raise
                    await asyncio.sleep(0.5)
            for statement in wanted:
                await server.do(statement)
        finally:
            await server.close()

    try:
        asyncio.run(run())
    except ClickHouseError as error:
        raise click.ClickException(f"ClickHouse at {settings.clickhouse.url} refuses: {error}") from None
    except NETWORK as error:
        raise click.ClickException(
            f"ClickHouse at {settings.clickhouse.url} cannot be used ({error or type(error).__name__}); is it running, "
            "and is TRAFFICAPP_CLICKHOUSE__URL right?"
        ) from None
    tables = ", ".join(feed.history.table for feed in feeds if feed.history is not None)
    click.echo(f"{settings.clickhouse.database} has the tables {tables}")
