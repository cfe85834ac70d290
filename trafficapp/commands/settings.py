"""The settings as commands read them; none of the servers' clients is imported for it."""

from __future__ import annotations

import click

from trafficapp.settings import Settings, SettingsError, load_settings


def settings_or_message() -> Settings:
    """The settings of this process.

    Raises:
        click.ClickException: one is wrong; the text says which.
    """
    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
