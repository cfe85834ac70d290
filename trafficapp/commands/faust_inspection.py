"""The commands ``faust -A trafficapp camera``, ``dead-letters`` and ``models``: what they do is loaded when called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust.cli import argument, option

from trafficapp.commands.plain_command import PlainCommand, json_option

if TYPE_CHECKING:
    from trafficapp.engine.app import TrafficApp


def register(app: TrafficApp) -> None:
    """Add the commands to the application."""
    settings = app.settings

    @app.command(
        argument("camera_id"),
        option("--rows", type=int, default=12, help="Final rows to show."),
        json_option,
        base=PlainCommand,
    )
    async def camera(self: Any, camera_id: str, rows: int, as_json: bool) -> None:
        """Show a camera: watermark, open windows, last final rows, lag."""
        from trafficapp.commands.inspection import show_camera

        await show_camera(settings, camera_id, rows, as_json)

    @app.command(
        option("--last", type=int, default=20, help="How many of the newest to show."), json_option, base=PlainCommand
    )
    async def dead_letters(self: Any, last: int, as_json: bool) -> None:
        """Show the newest refused messages with their reasons."""
        from trafficapp.commands.inspection import show_dead_letters

        await show_dead_letters(settings, last, as_json)

    @app.command(json_option, base=PlainCommand)
    async def models(self: Any, as_json: bool) -> None:
        """List the shapes of messages."""
        from trafficapp.commands.shapes import show_models

        show_models(as_json)
