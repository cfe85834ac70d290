"""The command ``trafficapp areas``: the table of areas, brought to what the settings say of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar, get_args

import click

from trafficapp.commands.settings import settings_or_message
from trafficapp.settings import Settings
from trafficapp.settings.areas import AreaColumnType

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

_Result = TypeVar("_Result")


@click.group()
def areas() -> None:
    """Columns and key of the table of areas, traffic_data."""


@areas.command("columns")
def show_columns() -> None:
    """List the columns of the table, and which of them readings fill.

    The exit status is 1 when the settings name one that the table does not have.
    """
    from trafficapp.stores.areas.area_table import columns_there

    settings = settings_or_message()
    there = _asked(settings, columns_there)
    wanted = settings.areas.columns
    for name, kind in there.items():
        use = "of the row's name" if name in settings.areas.conflict else "filled" if name in wanted else ""
        click.echo(f"{name:24} {kind:18} {use}".rstrip())
    missing = [name for name in wanted if name not in there]
    for name in missing:
        click.echo(f"{name:24} {wanted[name]:18} missing: trafficapp areas add-column {name} {_quoted(wanted[name])}")
    if missing:
        raise SystemExit(1)


@areas.command("add-column")
@click.argument("name")
@click.argument("kind", metavar="TYPE", type=click.Choice(get_args(AreaColumnType)))
@click.option("--dry-run", is_flag=True, help="Only show the statement.")
def add_column(name: str, kind: AreaColumnType, dry_run: bool) -> None:
    """Add the column NAME to traffic_data, and say what the settings need for it.

    TYPE is as Postgres names it: text, integer, bigint, double precision, boolean, timestamptz, uuid, jsonb or
    double precision[]. Then put the name into areas.columns and start the workers again: a field of that name in a
    message fills it. Workers that have the settings already wait for the column; no reading is lost.
    """
    from trafficapp.stores.areas import area_table

    settings = settings_or_message()
    try:
        statement = area_table.column_statement(name, kind)
        if dry_run:
            click.echo(f"{statement};")
            return
        added = _asked(settings, lambda connection: area_table.add_column(connection, name, kind))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"traffic_data has {name} {kind} now" if added else f"traffic_data has {name} {kind} already")
    if name not in settings.areas.columns:
        click.echo("let readings fill it, in faust.yml:\n\nareas:\n  columns:")
        for column, told in {**settings.areas.columns, name: kind}.items():
            click.echo(f"    {column}: {told}")


@areas.command("set-key")
def set_key() -> None:
    """Have the columns of the setting areas.conflict name a row of traffic_data.

    Of rows that have the same name then, the newest stays.
    """
    from trafficapp.stores.areas import area_table

    settings = settings_or_message()
    names = settings.areas.conflict
    try:
        gone = _asked(settings, lambda connection: area_table.set_key(connection, names))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{', '.join(names)} name a row; {gone:,} older rows went")


def _asked(settings: Settings, question: Callable[[Connection], Awaitable[_Result]]) -> _Result:
    import asyncpg

    from trafficapp.commands.troubles import told_in_a_sentence
    from trafficapp.stores.postgres.connection import connection_settings

    async def ask() -> _Result:
        connection = await asyncpg.connect(**connection_settings(settings.postgres.owner))
        try:
            return await question(connection)
        finally:
            await connection.close()

    with told_in_a_sentence(settings, "Postgres"):
        return asyncio.run(ask())


def _quoted(kind: str) -> str:
    return f"'{kind}'" if " " in kind else kind
