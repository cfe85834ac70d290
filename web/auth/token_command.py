"""``trafficapp token``: a token for one person, signed with the secret of the settings."""

from __future__ import annotations

import click

from trafficapp.settings import SettingsError, load_settings
from web.auth.callers import CallerRole
from web.auth.tokens import mint

_ROLES = tuple(str(role) for role in CallerRole if role is not CallerRole.NOBODY)


@click.command()
@click.option("--role", type=click.Choice(_ROLES), default="viewer", show_default=True, help="What the person may do.")
@click.option("--subject", required=True, help="Who it is: the name in the audit log.")
@click.option(
    "--hours", type=click.FloatRange(0, 24 * 366, min_open=True), default=8.0, show_default=True, help="How long."
)
def token(role: str, subject: str, hours: float) -> None:
    """Print a token for one person; whoever has it is that person until it ends."""
    try:
        click.echo(mint(load_settings().auth, subject, CallerRole[role.upper()], hours))
    except (SettingsError, ValueError) as error:
        raise click.ClickException(str(error)) from None
