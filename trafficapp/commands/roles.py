"""The commands ``faust -A trafficapp agents`` and ``tables``: of the role that the settings name, another, or all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
from faust.cli import option

from trafficapp.commands.json_output import print_json
from trafficapp.commands.plain_command import PlainCommand, json_option
from trafficapp.settings import COMPOSED

if TYPE_CHECKING:
    from trafficapp.engine.app import TrafficApp

_Row = dict[str, str]


def register(app: TrafficApp, roles: tuple[str, ...], app_of: Callable[[str], TrafficApp]) -> None:
    """Add the commands to an application.

    Args:
        app: the application.
        roles: all there are.
        app_of: makes the application of a role, with its agents.
    """
    shown = app.settings.worker.role
    role_option = option("--role", type=click.Choice(roles), default=shown, show_default=True, help="Of this role.")
    all_option = option("--all", "every", is_flag=True, help="Of every role.")

    def show(
        title: str, rows_of: Callable[[TrafficApp], Iterator[_Row]], role: str, every: bool, as_json: bool
    ) -> None:
        # what a site does is what its roles do
        chosen = [one for one in roles if one not in COMPOSED] if every else [role]
        app.declare()
        rows = [{"role": one} | row for one in chosen for row in rows_of(app if one == shown else app_of(one))]
        if as_json:
            print_json(rows)
            return
        others = ", ".join(one for one in roles if one != role)
        which = "of all roles" if every else f"of the role {role} (others: {others}; --all shows all)"
        from rich.console import Console
        from rich.table import Table

        click.echo(f"{title} {which}")
        table = Table(*(rows[0] if rows else ("role", "name", "help")))
        for row in rows:
            table.add_row(*row.values())
        Console().print(table)

    @app.command(role_option, all_option, json_option, base=PlainCommand)
    async def agents(self: Any, role: str, every: bool, as_json: bool) -> None:
        """List agents of a role, or of all."""
        show("Agents", _agents, role, every, as_json)

    @app.command(role_option, all_option, json_option, base=PlainCommand)
    async def tables(self: Any, role: str, every: bool, as_json: bool) -> None:
        """List tables of a role, or of all."""
        show("Tables", _tables, role, every, as_json)


def _agents(app: TrafficApp) -> Iterator[_Row]:
    for name, (topic, sink) in sorted(app.readings.items()):
        yield {"name": f"@{name}", "topic": topic, "help": _first_line(sink.__doc__)}


def _tables(app: TrafficApp) -> Iterator[_Row]:
    for name, table in sorted(app.tables.items()):
        yield {"name": name, "help": _first_line(table.help)}


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
