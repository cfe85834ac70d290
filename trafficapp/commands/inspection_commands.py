"""The commands ``trafficapp camera``, ``trafficapp dead-letters`` and ``trafficapp models``."""

from __future__ import annotations

import asyncio

import click

from trafficapp.commands.settings import settings_or_message

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("camera_id")
@click.option("--rows", type=click.IntRange(0), default=12, show_default=True, help="Final rows to show.")
@_json_option
def camera(camera_id: str, rows: int, as_json: bool) -> None:
    """Show a camera: watermark, open windows, last final rows, lag."""
    from trafficapp.commands import inspection

    asyncio.run(inspection.show_camera(settings_or_message(), camera_id, rows, as_json))


@click.command("dead-letters")
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many of the newest to show.")
@_json_option
def dead_letters(last: int, as_json: bool) -> None:
    """Show the newest refused messages with their reasons."""
    from trafficapp.commands import inspection

    asyncio.run(inspection.show_dead_letters(settings_or_message(), last, as_json))


@click.command()
@_json_option
def models(as_json: bool) -> None:
    """List the shapes of messages."""
    from trafficapp.commands.shapes import show_models

    show_models(as_json)
