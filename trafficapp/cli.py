"""The command ``trafficapp``. Each subcommand lives beside what it commands and is loaded when called."""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS: dict[str, tuple[str, str]] = {
    "stack": ("trafficapp.stack.commands", "stack"),
    "up": ("trafficapp.stack.commands", "up"),
    "replay": ("trafficapp.sources.commands", "replay"),
    "simulate": ("trafficapp.simulation.commands", "simulate"),
    "mock": ("trafficapp.sources.commands", "mock"),
    "poll-here": ("trafficapp.sources.here_polling", "poll_here"),
    "migrate": ("trafficapp.commands.history_database", "migrate"),
    "retention": ("trafficapp.commands.history_database", "retention"),
    "rollups": ("trafficapp.commands.history_database", "rollups"),
    "cameras": ("trafficapp.cameras.commands", "cameras"),
    "graph": ("trafficapp.roads.files.commands", "graph"),
    "train": ("trafficapp.training.commands", "train"),
    "topics": ("trafficapp.commands.set_up", "topics"),
    "camera": ("trafficapp.commands.inspection_commands", "camera"),
    "dead-letters": ("trafficapp.commands.inspection_commands", "dead_letters"),
    "models": ("trafficapp.commands.inspection_commands", "models"),
    "settings": ("trafficapp.commands.set_up", "settings"),
    "token": ("web.auth.token_command", "token"),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for, so that ``--help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above is ours
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="trafficapp")
def main() -> None:
    """Exact traffic windows, alerts, forecasts and routes from a city's raw feeds, live."""


if __name__ == "__main__":
    main()
