"""The command ``trafficapp privacy``: what is known of a vehicle or a rider, and away with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import click

from trafficapp.commands.json_output import print_json
from trafficapp.commands.settings import settings_or_message

if TYPE_CHECKING:
    from trafficapp.feeds.declaration import Feed
    from trafficapp.settings import Settings
    from trafficapp.stores.postgres.connection import Pool
    from trafficapp.stores.privacy.everywhere import Found

_vehicle = click.option("--vehicle", help="Id of the vehicle, as its producer sends it (a plate, a device).")
_rider = click.option("--rider", help="Id of the rider, likewise; it stands in topics alone.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def privacy() -> None:
    """What is kept of somebody: find it, erase it (docs/privacy.md)."""


@privacy.command()
@_vehicle
@_rider
@_json
def find(vehicle: str | None, rider: str | None, as_json: bool) -> None:
    """Say where a vehicle or rider stands, and how often. Nothing is changed.

    With privacy.hash_key, its hashes of all days that are kept are looked for as well.
    """
    from trafficapp.stores.privacy import everywhere

    settings, known_id = settings_or_message(), _one_of(vehicle, rider)

    async def run() -> Found:
        async with _pool(settings) as pool:
            return await everywhere.find(pool, _feeds(), settings, everywhere.names_of(known_id, settings))

    found = _asked(settings, run)
    _print(found, as_json, "found")


@privacy.command()
@_vehicle
@_rider
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dumps", "with_dumps", is_flag=True, help="Delete dumps of the database that have it, too.")
@click.option(
    "--again-after",
    type=click.FloatRange(min=0),
    default=15.0,
    show_default=True,
    help="Seconds after which it is erased a second time, for what was on its way; 0: not.",
)
@_json
def erase(
    vehicle: str | None, rider: str | None, yes: bool, with_dumps: bool, again_after: float, as_json: bool
) -> None:
    """Erase a vehicle or rider: Postgres, Redis, the lake, ClickHouse, what workers remember.

    Topics forget by themselves; the command says by when. The audit log keeps that it was done, with a hash of the id.
    """
    from trafficapp.stores.administration.audit_queries import Actor
    from trafficapp.stores.privacy import everywhere

    settings, known_id = settings_or_message(), _one_of(vehicle, rider)
    if not yes:
        click.confirm("What is erased cannot be brought back. Go on?", abort=True)

    async def run() -> Found:
        async with _pool(settings) as pool:
            names, actor = everywhere.names_of(known_id, settings), Actor(_user_name(), "command line")
            return await everywhere.erase(
                pool,
                _feeds(),
                settings,
                names,
                actor,
                with_dumps=with_dumps,
                again_after_seconds=again_after,
            )

    found = _asked(settings, run)
    _print(found, as_json, "erased")


def _one_of(vehicle: str | None, rider: str | None) -> str:
    if (vehicle is None) == (rider is None):
        raise click.UsageError("say --vehicle ID or --rider ID")
    known_id = vehicle if vehicle is not None else rider
    if not known_id:
        raise click.UsageError("an empty id names nobody")
    return known_id


def _user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return "unknown"


def _feeds() -> Sequence[Feed[Any]]:
    from trafficapp.feeds.declared import FEEDS

    return FEEDS


def _pool(settings: Settings) -> Pool:
    from trafficapp.stores.postgres.connection import create_pool

    return create_pool(settings.postgres)


def _asked(settings: Settings, run: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
    from trafficapp.commands.troubles import told_in_a_sentence

    with told_in_a_sentence(settings, "Postgres"):
        return asyncio.run(run())


def _print(found: Found, as_json: bool, done: str) -> None:
    if as_json:
        shown = {"counts": found.counts, "total": found.total, "topics_until": found.topics, "notes": found.notes}
        print_json(shown)
        return
    for store, places in found.counts.items():
        for place, count in sorted(places.items()):
            click.echo(f"{store:<11} {count:>9,}  {place}")
    click.echo(f"{done}: {found.total:,}")
    click.echo("Topics may have it until, as they are declared:")
    for name, until in found.topics.items():
        click.echo(f"  {until[:16]}Z  {name}")
    for note in found.notes:
        click.echo(f"note: {note}")
