"""The command ``trafficapp``. Each subcommand lives beside what it commands and is loaded when called."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click


class _Place(NamedTuple):
    """Where a command is, and what it does in a line of the help, for which it need not be loaded."""

    module: str
    attribute: str
    line: str


#: By what a person is about to do.
_SECTIONS: dict[str, dict[str, _Place]] = {
    "Run": {
        "up": _Place("trafficapp.stack.commands", "up", "Start everything: servers, workers and a demo source."),
        "stack": _Place("trafficapp.stack.commands", "stack", "Start Kafka, Postgres and Redis on this machine."),
        "env": _Place("trafficapp.stack.commands", "env", "Export lines for shells, while one of these runs."),
    },
    "Set up": {
        "settings": _Place("trafficapp.commands.set_up", "settings", "Every setting: value, variable and meaning."),
        "topics": _Place("trafficapp.commands.set_up", "topics", "Create the Kafka topics, or begin one anew."),
        "migrate": _Place("trafficapp.commands.history_database", "migrate", "Bring the database up to date."),
        "clickhouse": _Place("trafficapp.commands.clickhouse", "clickhouse", "Tables in ClickHouse, if you have one."),
        "cameras": _Place("trafficapp.cameras.commands", "cameras", "Where cameras stand and which roads they see."),
        "areas": _Place("trafficapp.areas.commands", "areas", "Columns and key of the table of area counters."),
        "graph": _Place("trafficapp.roads.files.commands", "graph", "Import the road graph of your city."),
        "gtfs": _Place("trafficapp.timetables.commands", "gtfs", "Import the timetable of your public transport."),
        "token": _Place("web.auth.token_command", "token", "Print a token for one person."),
    },
    "Connect producers": {
        "feeds": _Place("trafficapp.commands.feeds.commands", "feeds", "What comes in; check messages, see samples."),
        "dead-letters": _Place(
            "trafficapp.commands.inspection_commands", "dead_letters", "The newest refused messages, with reasons."
        ),
        "poll-here": _Place("trafficapp.sources.here_polling", "poll_here", "Send road speeds that HERE tells."),
        "poll-gtfs-rt": _Place(
            "trafficapp.sources.gtfs_rt_polling",
            "poll_gtfs_rt",
            "Send what a real agency tells (GTFS Realtime).",
        ),
        "replay": _Place("trafficapp.sources.commands", "replay", "Send a recording of detections."),
        "mock": _Place("trafficapp.sources.commands", "mock", "Send random but plausible detections."),
        "simulate": _Place("trafficapp.simulation.commands", "simulate", "Send a simulated city, now or its past."),
    },
    "Look inside": {
        "camera": _Place("trafficapp.commands.inspection_commands", "camera", "What is known of a camera now."),
        "query": _Place("trafficapp.commands.lake", "query", "Ask the lake in SQL."),
        "models": _Place("trafficapp.commands.inspection_commands", "models", "The shapes of messages."),
    },
    "Keep up": {
        "train": _Place("trafficapp.training.commands", "train", "Train a model from what was stored."),
        "rollups": _Place("trafficapp.commands.history_database", "rollups", "Sums by the minute and by the hour."),
        "retention": _Place("trafficapp.commands.history_database", "retention", "Forget old history."),
        "privacy": _Place("trafficapp.privacy.commands", "privacy", "What is kept of a vehicle: find it, erase it."),
        "lake": _Place("trafficapp.commands.lake", "lake", "Records in Parquet files: fill Postgres from them."),
    },
}
_COMMANDS = {name: place for section in _SECTIONS.values() for name, place in section.items()}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that ``--help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        place = _COMMANDS[cmd_name]
        command = getattr(import_module(place.module), place.attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above is ours
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _COMMANDS))
        for title, section in _SECTIONS.items():
            with formatter.section(title):
                # sections align with each other
                formatter.write_dl([(name.ljust(width), place.line) for name, place in section.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="trafficapp")
def main() -> None:
    """Exact traffic windows, alerts, forecasts and routes from a city's raw feeds, live.

    `trafficapp COMMAND --help` tells more of each.
    """


if __name__ == "__main__":
    main()
