"""The commands ``trafficapp gtfs import`` and ``trafficapp gtfs info``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from models.timetables.timetable import Timetable


@click.group()
def gtfs() -> None:
    """Timetables of public transport."""


@gtfs.command("import")
@click.argument("source", metavar="FILE|URL")
@click.option("--out", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where to.")
def import_feed(source: str, folder: Path) -> None:
    """Make a timetable of a static GTFS feed: a zip, a folder, or the address of a zip.

    It takes the place of the one before in one step. What cannot be used is left out, and told by reason and count;
    the exit status is 1 when no timetable can be made.
    """
    from trafficapp.timetables.storage import NoTimetable, load, save

    made, problems = _read(source)
    try:
        before = load(folder).version
    except NoTimetable:
        before = ""
    try:
        path = save(made, folder)
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}") from None
    for line in problems:
        click.echo(line, err=True)
    click.echo(f"{path}: version {made.version}{', as before' if made.version == before else ''}")
    for line in _lines(made):
        click.echo(line)


@gtfs.command()
@click.argument("source", metavar="FILE|URL|FOLDER")
def info(source: str) -> None:
    """Say what is in a static GTFS feed, or in a timetable that was imported into FOLDER.

    The exit status is 1 when it cannot be used.
    """
    from trafficapp.timetables.storage import FILE_NAME, NoTimetable, load

    problems = list[str]()
    if (Path(source) / FILE_NAME).is_file():
        try:
            found = load(Path(source))
        except NoTimetable as error:
            raise click.ClickException(str(error)) from None
    else:
        found, problems = _read(source)
    for line in _lines(found):
        click.echo(line)
    for line in problems:
        click.echo(line, err=True)


def _read(source: str) -> tuple[Timetable, list[str]]:
    from trafficapp.timetables.feed_files import Problems, UnusableFeed, opened
    from trafficapp.timetables.reading import read_timetable

    problems = Problems()
    try:
        with opened(source) as files:
            return read_timetable(files, problems), problems.lines()
    except UnusableFeed as error:
        raise click.ClickException(str(error)) from None


def _lines(timetable: Timetable) -> Iterator[str]:
    import time

    from trafficapp.timetables.service_days import ServiceDays, span_of_days

    span = span_of_days(timetable)
    calls = sum(len(timetable.patterns[trip.pattern].stops) for trip in timetable.trips)
    told = {
        "agency": timetable.agency,
        "zone": timetable.zone,
        "version": timetable.version,
        "routes": f"{len(timetable.routes):,}",
        "stops": f"{len(timetable.stops):,} that are served",
        "trips": f"{len(timetable.trips):,} on {len(timetable.patterns):,} patterns, {calls:,} calls at stops",
        "repeated": f"{len({one.trip for one in timetable.frequencies}):,} trips run by frequency",
        "days": "no trip ever runs" if span is None else f"{span[0]} to {span[1]}",
        "now": f"{len(ServiceDays(timetable).on_now(time.time())):,} runs are scheduled to be on their way",
    }
    for name, value in told.items():
        yield f"{name:9} {value}"
