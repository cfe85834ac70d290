"""The commands ``trafficapp query`` and ``trafficapp lake``."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from models.plain_text import no_formula
from trafficapp.commands.settings import settings_or_message

if TYPE_CHECKING:
    from trafficapp.settings import Settings
    from trafficapp.stores.lake.storage import Storage


@click.command()
@click.argument("question")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How rows are printed; json is an object a line.",
)
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Rows printed at most.")
def query(question: str, form: str, limit: int) -> None:
    """Answer a QUESTION from the lake: one SELECT.

    \b
        trafficapp query "select date, count(*) from city_alerts group by date order by date"

    Tables have the columns that they have in Postgres, and date, topic, and the record as it came (kafka_…). The lake
    is only read, and nothing else of this machine or of the net is.
    """  # noqa: D301 - click wants the character
    import duckdb

    from trafficapp.feeds.declared import FEEDS
    from trafficapp.stores.lake.kept import lake_tables
    from trafficapp.stores.lake.queries import NotASelect, ask, filled

    settings = settings_or_message()
    storage = _storage(settings)
    tables = lake_tables(FEEDS, settings).values()
    try:
        found = ask(storage, tables, question)
        names, rows = [str(column[0]) for column in found.description], found.fetchmany(limit + 1)
    except (NotASelect, duckdb.Error) as error:
        there = ", ".join(sorted(filled(storage, tables))) or "none yet"
        raise click.ClickException(f"{error}\nTables in the lake: {there}") from None
    except OSError as error:
        raise click.ClickException(f"{storage.name} cannot be read: {error}") from None
    _print(names, rows[:limit], form)
    if len(rows) > limit:
        click.echo(f"more than {limit} rows; --limit shows more", err=True)


@click.group()
def lake() -> None:
    """Records in Parquet files, for years."""


@lake.command()
@click.option(
    "--only", "names", multiple=True, help="Of this feed, or of events, metrics or alerts, alone; may be given again."
)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Leave out what happened before this day, in UTC.")
def restore(names: tuple[str, ...], since: datetime | None) -> None:
    """Fill Postgres from the lake, after `trafficapp migrate` and before workers start.

    What is there already stays as it is; a run that was stopped goes on where it was.
    """
    from trafficapp.commands.troubles import told_in_a_sentence
    from trafficapp.engine.state_rows import OtherLog
    from trafficapp.feeds.declared import FEEDS
    from trafficapp.stores.lake.kept import lake_tables, restoring_sink
    from trafficapp.stores.lake.restore import restore as fill

    settings = settings_or_message()
    storage = _storage(settings)
    tables = lake_tables(FEEDS, settings)
    if unknown := [name for name in names if name not in tables]:
        raise click.BadParameter(f"{unknown[0]} is none of {', '.join(sorted(tables))}", param_hint="--only")

    async def run() -> None:
        for name in names or tables:
            sink = restoring_sink(name, FEEDS, settings)
            try:
                count = await fill(storage, sink, since=since.date() if since else date.min)
            except OtherLog as error:
                raise click.ClickException(f"{name}: {error}") from None
            finally:
                await sink.close()
            if count:
                click.echo(f"{name}: {count:,} records")

    with told_in_a_sentence(settings, "Postgres"):
        asyncio.run(run())


def _storage(settings: Settings) -> Storage:
    from trafficapp.stores.lake.storage import Storage

    if settings.lake.url is None:
        raise click.ClickException("lake.url says no place (environment TRAFFICAPP_LAKE__URL)")
    try:
        return Storage(settings.lake.url)
    except (ValueError, OSError) as error:
        raise click.ClickException(f"lake.url: {error}") from None


def _print(names: list[str], rows: list[tuple[Any, ...]], form: str) -> None:
    if form == "csv":
        import csv

        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows([no_formula(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    elif form == "json":
        for row in rows:
            click.echo(json.dumps(dict(zip(names, row, strict=True)), default=str))
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(*names)
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row))
        Console().print(table)
