"""The commands ``trafficapp replay`` and ``trafficapp mock``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
from confluent_kafka import KafkaException

from trafficapp.commands.settings import settings_or_message
from trafficapp.settings import Settings
from trafficapp.sources.delivery import Delivery, DeliveryError
from trafficapp.sources.faults import Spoiler
from trafficapp.sources.outgoing import Outgoing
from trafficapp.sources.pacing import Pace
from trafficapp.sources.recording import RecordingError
from trafficapp.sources.recordings import open_recording, play, slice_path
from trafficapp.sources.refusals import Refusals
from trafficapp.sources.sending import send_all
from trafficapp.sources.simulated import SimulatedTraffic
from trafficapp.topics import EVENTS_RAW


class _Speed(click.ParamType):
    """Event seconds per second, or ``max`` (None)."""

    name = "number|max"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value == "max" or value is None:
            return None
        try:
            speed = float(str(value))
        except ValueError:
            speed = 0.0
        if not 0 < speed < float("inf"):
            self.fail(f"{value!r} is neither a positive number nor max", param, ctx)
        return speed


def _camera_names(ctx: click.Context, param: click.Parameter, value: str | None) -> frozenset[str] | None:
    return None if value is None else frozenset(filter(None, (name.strip() for name in value.split(","))))


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--speed", type=_Speed(), default=1.0, show_default="1", help="Times the recorded speed, or max: unpaced."
)
@click.option("--loop", is_flag=True, help="Again and again; event time goes on, vehicles are new ones in each lap.")
@click.option("--shift-to-now", is_flag=True, help="Move event times so that the first message happens now.")
@click.option("--cameras", callback=_camera_names, metavar="ID,ID", help="Only these cameras.")
@click.option("--no-speed", is_flag=True, help="Leave speeds out; they are then estimated from movement.")
@click.option("--malformed-rate", type=click.FloatRange(0, 1), default=0.0, help="Share of messages to break.")
@click.option("--frames", is_flag=True, help="One message a camera and picture (parquet only).")
@click.option("--topic", default=EVENTS_RAW, show_default=True, help="Where to send.")
@click.option("--seed", type=int, help="Of the chance that breaks messages.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many detections.")
def replay(
    file: Path | None,
    speed: float | None,
    loop: bool,
    shift_to_now: bool,
    cameras: frozenset[str] | None,
    no_speed: bool,
    malformed_rate: float,
    frames: bool,
    topic: str,
    seed: int | None,
    limit: int | None,
) -> None:
    """Send a recording of detections to Kafka: parquet, or JSON lines of messages.

    Without FILE the shipped one is sent: ten minutes of forty cameras in Bologna. The broker is waited
    for as long as it takes; Ctrl-C stops, flushes and counts. The last line also says what of it the application
    refuses by its looks; what is late or repeated only shows when it is read (`trafficapp dead-letters`).
    """
    if shift_to_now and speed != 1.0:
        click.echo(
            "note: with --shift-to-now and a speed other than 1, event time leaves the clock behind or ahead; "
            "what lies too far ahead of the clock is refused as future",
            err=True,
        )
    try:
        recording = open_recording(file or slice_path(), cameras=cameras, speeds=not no_speed, frames=frames)
    except RecordingError as error:
        raise click.ClickException(str(error)) from None
    first_at_us = time.time_ns() // 1000 if shift_to_now else None
    messages = play(recording, first_at_us=first_at_us, endless=loop)
    total = None if loop else min(recording.detections, limit or recording.detections)
    _send(topic, _spoiled(messages, malformed_rate, seed), Pace(speed), total, limit)


@click.command()
@click.option("--cameras", type=click.IntRange(1, 100_000), default=4, show_default=True, help="How many.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True,
    help="Detections a second of each camera.",
)  # fmt: skip
@click.option("--with-lanes", is_flag=True, help="Send lane_id.")
@click.option("--no-speed", is_flag=True, help="Leave speeds out; they are then estimated from movement.")
@click.option("--malformed-rate", type=click.FloatRange(0, 1), default=0.0, help="Share of messages to break.")
@click.option(
    "--duration", type=click.FloatRange(0, min_open=True), help="Stop after so many seconds, also while Kafka is away."
)
@click.option("--topic", default=EVENTS_RAW, show_default=True, help="Where to send.")
@click.option("--seed", type=int, help="The same seed gives the same traffic.")
def mock(
    cameras: int,
    rate: float,
    with_lanes: bool,
    no_speed: bool,
    malformed_rate: float,
    duration: float | None,
    topic: str,
    seed: int | None,
) -> None:
    """Send random but plausible detections to Kafka, in real time."""
    settings = settings_or_message()
    traffic = SimulatedTraffic(
        cameras, rate, with_lanes, not no_speed, pixel_to_meter=settings.speed.pixel_to_meter, seed=seed
    )
    first_at_us = time.time_ns() // 1_000_000 * 1000  # messages have milliseconds
    messages = traffic.messages(first_at_us)
    if duration is not None:
        end_us = first_at_us + duration * 1e6
        messages = takewhile(lambda message: message.event_time_us < end_us, messages)
    total = None if duration is None else round(cameras * rate * duration)
    _send(topic, _spoiled(messages, malformed_rate, seed), Pace(1.0), total, None, settings, duration)


def _spoiled(messages: Iterator[Outgoing], rate: float, seed: int | None) -> Iterator[Outgoing]:
    return Spoiler(rate, seed).spoil_some(messages) if rate else messages


def _send(
    topic: str,
    messages: Iterator[Outgoing],
    pace: Pace,
    total: int | None,
    limit: int | None,
    settings: Settings | None = None,
    seconds: float | None = None,
) -> None:
    """Send and count; exit code 1 when a message was not acknowledged, or none could be sent in time."""
    settings = settings or settings_or_message()
    refusals = Refusals(settings)
    try:
        delivery: Delivery = send_all(
            settings, topic, messages, pace, total=total, limit=limit, seconds=seconds, refusals=refusals
        )
    except (DeliveryError, KafkaException) as error:
        raise click.ClickException(f"cannot send: {error}") from None
    if delivery.acknowledged < delivery.sent or (seconds is not None and not delivery.sent):
        raise SystemExit(1)
