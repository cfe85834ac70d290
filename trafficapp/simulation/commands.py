"""The command ``trafficapp simulate``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from trafficapp.congestion import CongestionScale
from trafficapp.roads.graph import GraphError
from trafficapp.roads.shipped import city_graph
from trafficapp.settings import Settings, SettingsError, load_settings
from trafficapp.simulation.city import City, bologna
from trafficapp.simulation.history_files import STEP_MINUTES, Span, write_history, write_links
from trafficapp.simulation.views import CameraView, shipped_views
from trafficapp.windows.rules import windower_rules

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


class _Duration(click.ParamType):
    """A length of time such as 14d, 6h, 20min or 90s."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h|d)", str(value).strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r} is no duration such as 14d, 6h, 20min or 90s", param, ctx)
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


class _Moment(click.ParamType):
    """A time in ISO 8601, UTC without an offset."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not ISO 8601", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--history", "length", type=_Duration(), help="Make so much of the past, such as 14d.")
@click.option("--to", type=_Moment(), help="Where that past ends; now unless told.")
@click.option("--out", type=_FILE, help="Parquet of speeds: road_id, timestamp, speed_kmh.")
@click.option("--links-out", type=_FILE, help="Parquet of which roads follow each other.")
@click.option("--cameras-out", type=_FILE, help="Parquet of scores by the minute: entity, timestamp, congestion_score.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of all chance.")
def simulate(
    length: timedelta | None,
    to: datetime | None,
    out: Path | None,
    links_out: Path | None,
    cameras_out: Path | None,
    seed: int,
) -> None:
    """Simulate the traffic of a city: road speeds, cameras and GPS probes that agree with each other."""
    settings = _settings()
    city, views = _city(settings)
    if links_out is not None:
        click.echo(f"{links_out}: {write_links(city, links_out):,} links")
    if length is not None and (out or cameras_out):
        span = _span(settings, length, to, seed)
        scales = scales_of(settings, views)
        began = time.monotonic()
        with minutes_bar(span) as advance:
            roads, cameras = write_history(city, span, out, cameras_out, views, scales, advance)
        click.echo(f"{span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC in {time.monotonic() - began:.1f} s")
        for path, rows in ((out, roads), (cameras_out, cameras)):
            if path is not None:
                click.echo(f"{path}: {rows:,} rows")


def scales_of(settings: Settings, views: tuple[CameraView, ...]) -> list[CongestionScale]:
    """Constants of the score of each camera, as the settings have them."""
    rules = windower_rules(settings)
    return [rules(view.camera_id).scale for view in views]


@contextmanager
def minutes_bar(span: Span) -> Iterator[Callable[[int], None]]:
    """A progress bar over the simulated days."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        days = (span.end - span.start) / timedelta(days=1)
        bar = progress.add_task(f"{days:.1f} days", total=days * 1440)
        yield lambda minutes: progress.advance(bar, minutes)


def _span(settings: Settings, length: timedelta, to: datetime | None, seed: int) -> Span:
    """The span cut to whole steps."""
    step = timedelta(minutes=STEP_MINUTES)
    end = to or datetime.now(UTC)
    end -= (end - datetime(2000, 1, 1, tzinfo=UTC)) % step
    start = end - max(length - length % step, step)
    return Span(seed, start, end, ZoneInfo(settings.roads.zone))


def _city(settings: Settings) -> tuple[City, tuple[CameraView, ...]]:
    try:
        graph = city_graph(settings.roads)
        return bologna(graph), shipped_views(graph)
    except GraphError as error:
        raise click.ClickException(str(error)) from None
    except KeyError as error:
        raise click.ClickException(
            f"only the shipped graph of Bologna can be simulated; the graph of the settings has no {error}"
        ) from None


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
