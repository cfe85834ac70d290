"""The command ``trafficapp simulate``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from trafficapp.commands.moments import MomentType
from trafficapp.commands.settings import settings_or_message
from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import Settings
from trafficapp.simulation.chance import Incident
from trafficapp.simulation.city import City, bologna
from trafficapp.simulation.feeds.city_feeds import FEED_TOPICS
from trafficapp.simulation.feeds.forms import FeedZones
from trafficapp.simulation.live import LiveCity, clock_shift, daylight_hour
from trafficapp.simulation.options import AskedIncident, DurationType, IncidentType, StartHourType
from trafficapp.simulation.span import STEP_MINUTES, Span
from trafficapp.simulation.views import CameraView, shipped_views
from trafficapp.windows.congestion import CongestionScale
from trafficapp.windows.rules import windower_rules

_FILE = click.Path(dir_okay=False, path_type=Path)
_MINUTE = timedelta(minutes=1)


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of all chance.")
@click.option("--feed-seconds", type=click.IntRange(1, 3600), default=60, show_default=True,
              help="Interval of the road-speed feed.")  # fmt: skip
@click.option("--past-minutes", type=click.IntRange(0, 55), default=0, show_default=True,
              help="Send so much of the feed's past first.")  # fmt: skip
@click.option("--start-hour", type=StartHourType(),
              help="Local hour that now is in the city; 'day': 8 when it is night or evening there.")  # fmt: skip
@click.option("--duration", type=DurationType(), help="Stop after so long, such as 10min.")
@click.option("--incident", "asked", type=IncidentType(), multiple=True, metavar="EDGE@+120s/20min",
              help="Block a road so long after the start, for so long; may be given again.")  # fmt: skip
@click.option("--without-feeds", is_flag=True,
              help="Send road speeds, cameras and GPS trackers only; no other feeds of a city.")  # fmt: skip
@click.option("--history", "length", type=DurationType(), help="Do not send; make so much of the past, such as 14d.")
@click.option("--to", type=MomentType(), help="Where that past ends; now unless told.")
@click.option("--windows", "windows_length", type=DurationType(), default="6h", show_default=True,
              help="Windows of 5 s are made for so long before the end; before, their sums.")  # fmt: skip
@click.option("--add", is_flag=True, help="Also where the database has rows in this span; those stay as they are.")
@click.option("--out", type=_FILE, help="No database, but parquet of speeds: road_id, timestamp, speed_kmh.")
@click.option("--cameras-out", type=_FILE, help="Parquet of scores by the minute: entity, timestamp, congestion_score.")
@click.option("--links-out", type=_FILE, help="Parquet of which roads follow each other: from_road, to_road, weight.")
def simulate(
    seed: int, feed_seconds: int, past_minutes: int, start_hour: str | None, duration: timedelta | None,
    asked: tuple[AskedIncident, ...], without_feeds: bool, length: timedelta | None, to: datetime | None,
    windows_length: timedelta, add: bool, out: Path | None, cameras_out: Path | None, links_out: Path | None,
) -> None:  # fmt: skip
    """Simulate the traffic of Bologna: road speeds, cameras, GPS probes and a city's other feeds that agree.

    Sends them to Kafka as if they were measured now, until Ctrl-C. With --history it fills an empty database with days
    of the past instead, or writes files to train from. The same seed gives the same days.
    """
    settings = settings_or_message()
    city, views = _city(settings)
    if length is None and (to or add or out or cameras_out):
        raise click.UsageError("--to, --add, --out and --cameras-out go with --history")
    if links_out is not None:
        from trafficapp.simulation.history_files import write_links

        click.echo(f"{links_out}: {write_links(city, links_out):,} links")
        if length is None:
            return
    if length is None:
        _send(settings, city, views, seed, feed_seconds, past_minutes, start_hour, duration, asked, without_feeds)
        return
    span = _span(settings, length, to, seed)
    if out or cameras_out:
        _write_files(settings, city, views, span, out, cameras_out)
    else:
        _fill(settings, city, views, span, windows_length, add)


def scales_of(settings: Settings, views: Sequence[CameraView]) -> list[CongestionScale]:
    """Constants of the score of each camera, as the settings have them."""
    rules = windower_rules(settings)
    return [rules(view.camera_id).scale for view in views]


def _send(
    settings: Settings, city: City, views: Sequence[CameraView], seed: int, feed_seconds: int, past_minutes: int,
    start_hour: str | None, duration: timedelta | None, asked: Sequence[AskedIncident], without_feeds: bool,
) -> None:  # fmt: skip
    """Send in real time; exit code 1 when a message was not acknowledged."""
    from confluent_kafka import KafkaException

    from trafficapp.sources.delivery import DeliveryError
    from trafficapp.sources.pacing import Pace
    from trafficapp.sources.sending import send_all
    from trafficapp.topics import EVENTS_RAW, GPS_DATA, ROADS_RAW, VEHICLE_DATA

    zone, now = ZoneInfo(settings.roads.zone), datetime.now(UTC)
    hour = daylight_hour(now, zone) if start_hour == "day" else None if start_hour is None else int(start_hour)
    shift = clock_shift(now, zone, hour)
    played = now + shift
    clock = "as on the clock" if not shift else f"while the clock says {now.astimezone(zone):%A %H:%M}"
    click.echo(f"simulated city: {played.astimezone(zone):%A %H:%M} local time, {clock}; seed {seed}", err=True)
    incidents = [_incident(city, each, played) for each in asked]
    zones, has_feeds = FeedZones.of(settings), not without_feeds
    live = LiveCity(city, views, seed, zone, incidents, shift, feed_seconds, past_minutes, zones, has_feeds)
    if past_minutes:
        click.echo(f"sending the feed of the last {past_minutes} minutes first, one speed every 5 minutes", err=True)
    messages = live.messages()
    if duration is not None:
        end_us = time.time_ns() // 1000 + round(duration.total_seconds() * 1e6)
        messages = takewhile(lambda message: message.event_time_us < end_us, messages)
    try:
        seconds = None if duration is None else duration.total_seconds()
        more = (ROADS_RAW, GPS_DATA, *((VEHICLE_DATA, *FEED_TOPICS) if has_feeds else ()))
        delivery = send_all(settings, EVENTS_RAW, messages, Pace(1.0), more_topics=more, seconds=seconds)
    except (DeliveryError, KafkaException) as error:
        raise click.ClickException(f"cannot send: {error}") from None
    if delivery.acknowledged < delivery.sent or (seconds is not None and not delivery.sent):
        raise SystemExit(1)


def _incident(city: City, asked: AskedIncident, played: datetime) -> Incident:
    edge = city.graph.position_of_edge.get(asked.edge_id)
    if edge is None:
        raise click.BadParameter(f"the graph has no edge {asked.edge_id!r}", param_hint="--incident")
    return Incident(edge, played + asked.after, asked.length / _MINUTE)


def _write_files(
    settings: Settings, city: City, views: Sequence[CameraView], span: Span, out: Path | None, cameras_out: Path | None
) -> None:
    from trafficapp.simulation.history_files import write_history

    with _minutes_bar(span) as advance:
        roads, cameras = write_history(city, span, out, cameras_out, views, scales_of(settings, views), advance)
    for path, rows in ((out, roads), (cameras_out, cameras)):
        if path is not None:
            click.echo(f"{path}: {rows:,} rows, {_told(span)}")


def _fill(
    settings: Settings, city: City, views: Sequence[CameraView], span: Span, windows_length: timedelta, add: bool
) -> None:
    import asyncio

    from trafficapp.commands.troubles import told_in_a_sentence
    from trafficapp.simulation.filling import HistoryFiller, NotEmptyError
    from trafficapp.stores.postgres.connection import create_pool

    began = time.monotonic()
    filler = HistoryFiller(city, views, scales_of(settings, views), span, settings.roads, windows_length)

    async def fill(advance: Callable[[int], None]) -> dict[str, int]:
        async with create_pool(settings.postgres) as pool, pool.acquire() as connection:
            return await filler.fill(connection, add=add, progress=advance)

    try:
        with told_in_a_sentence(settings, "Postgres"), _minutes_bar(span) as advance:
            written = asyncio.run(fill(advance))
    except NotEmptyError as error:
        raise click.ClickException(f"{error}; with --add they stay and the rest is added") from None
    for table, rows in written.items():
        click.echo(f"{table:<20} {rows:>12,} rows")
    click.echo(f"{_told(span)}, in {time.monotonic() - began:.1f} s; noted in simulated_spans")


def _told(span: Span) -> str:
    return f"simulated with seed {span.seed} from {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC"


@contextmanager
def _minutes_bar(span: Span) -> Iterator[Callable[[int], None]]:
    """A progress bar over the simulated days."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    texts = (TextColumn("{task.description}"), TextColumn("{task.percentage:.0f} %"))
    with Progress(*texts, BarColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
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
