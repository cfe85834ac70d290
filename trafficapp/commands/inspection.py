"""Commands that look inside: ``faust -A trafficapp camera`` and ``dead-letters``, also of ``trafficapp``.

They read Kafka alone, so they work on any machine, with any number of workers running or none. Their declarations are
in `trafficapp.commands.inspection_commands` and `faust_inspection`, which load this when one is called.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from models.cameras.window_rows import WindowRow, decode_window_row
from models.dead_letters import DeadLetter
from models.records import MALFORMED
from models.timestamps import rfc3339
from trafficapp.commands.json_output import print_json
from trafficapp.commands.troubles import told_in_a_sentence
from trafficapp.engine.kafka import groupless_consumer, partitions_of
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state_rows import partition_key
from trafficapp.settings import Settings
from trafficapp.state_logs import camera_state_log
from trafficapp.stores.administration.dead_letters import WAIT_MS, last_records, newest_dead_letters
from trafficapp.topics import EVENTS_RAW, METRICS
from trafficapp.windows.camera_state import CameraState
from trafficapp.windows.cameras import decode_camera_row
from trafficapp.windows.partition import decode_partition_row
from trafficapp.windows.rules import windower_rules

logger = logging.getLogger(__name__)

_COLUMNS = ("lane", "vehicles", "km/h", "stopped", "queue", "score", "level")

#: How many records of a topic are read back at once in search of the last ones of a camera.
_READ_BACK_RECORDS = 2000

#: How long the broker may take for its first answer.
_ANSWER_SECONDS = 15.0


@dataclass(frozen=True)
class CameraReport:
    """What is known of a camera.

    Attributes:
        lag: records of its partition that no state covers yet.
        rows: its last final rows, oldest first.
    """

    partition: int
    state: CameraState
    applied: int
    lag: int
    rows: list[WindowRow]


async def show_camera(settings: Settings, camera_id: str, row_count: int, as_json: bool) -> None:
    """Print what Kafka holds of a camera.

    Raises:
        click.ClickException: Kafka is away.
    """
    with told_in_a_sentence(settings, "Kafka"):
        await _look_for_kafka(settings)
        reports = await camera_reports(settings, camera_id, row_count)
    if not reports:
        click.echo(f"no worker has seen a camera {camera_id!r}", err=True)
    if len(reports) > 1:
        click.echo(in_several_partitions(camera_id, [report.partition for report in reports]), err=True)
    if as_json:
        print_json([_plain_report(settings, camera_id, report) for report in reports])
        return
    for report in reports:
        _print_camera(settings, camera_id, report)


async def show_dead_letters(settings: Settings, count: int, as_json: bool) -> None:
    """Print the newest dead letters.

    Raises:
        click.ClickException: Kafka is away.
    """
    with told_in_a_sentence(settings, "Kafka"):
        await _look_for_kafka(settings)
        letters = await newest_dead_letters(settings, count)
    if as_json:
        print_json(letters)
    elif letters:
        _print_dead_letters(letters)
    else:
        click.echo("no message was refused")


async def camera_reports(settings: Settings, camera_id: str, row_count: int) -> list[CameraReport]:
    """Read a camera's state and last rows from Kafka, once for each partition that holds the camera.

    One partition does, when all its producers choose it the same way; none, when no worker has seen the camera.
    """
    log = camera_state_log(settings, Outbox(settings))
    found = []
    async with groupless_consumer(settings, fetch_max_wait_ms=WAIT_MS) as consumer:
        loaded = await log.load(await partitions_of(settings, log.topic))
        key = camera_id.encode()
        for partition, rows in loaded.items():
            if key not in rows:
                continue
            own = rows.get(partition_key(partition))
            applied = decode_partition_row(own).applied if own else -1
            source = TopicPartition(EVENTS_RAW, partition)
            end = (await consumer.end_offsets([source]))[source]
            finished = await _last_rows(consumer, partition, camera_id, row_count)
            lag = max(end - applied - 1, 0)
            found.append(CameraReport(partition, decode_camera_row(rows[key]), applied, lag, finished))
    return found


def in_several_partitions(camera_id: str, partitions: Sequence[int]) -> str:
    """What it means that a camera is in more than one partition."""
    return (
        f"camera {camera_id!r} is in partitions {', '.join(map(str, partitions))}: its producers choose partitions in "
        "different ways (murmur2 and crc32 are two of them), or partitions were added. Each partition counts it by "
        "itself, so its windows are split: let all its producers use one partitioner"
    )


async def _look_for_kafka(settings: Settings) -> None:
    """Return when the broker answers.

    Raises:
        KafkaError: nothing answers there.
        TimeoutError: not in time; an address that swallows everything would hold a command up for minutes.
    """
    async with asyncio.timeout(_ANSWER_SECONDS):
        await partitions_of(settings, METRICS)


async def _last_rows(consumer: AIOKafkaConsumer, partition: int, camera_id: str, count: int) -> list[WindowRow]:
    key, rows = camera_id.encode(), deque[WindowRow](maxlen=count)
    async for record in last_records(consumer, TopicPartition(METRICS, partition), _READ_BACK_RECORDS):
        if record.key == key:
            try:
                rows.append(decode_window_row(record.value or b""))
            except MALFORMED as error:
                logger.warning("%s-%d: offset %d is no window: %s", METRICS, partition, record.offset, error)
    return list(rows)


def _plain_report(settings: Settings, camera_id: str, report: CameraReport) -> dict[str, object]:
    """A report as values of JSON; times are RFC 3339, None where there is none yet."""
    state = report.state
    clock = windower_rules(settings)(camera_id).clock

    def moment(time_us: int) -> str | None:
        return rfc3339(time_us) if time_us else None

    return {
        "camera_id": camera_id,
        "partition": report.partition,
        "newest_event": moment(state.newest_us),
        "watermark": moment(clock.watermark(state.newest_us)) if state.newest_us else None,
        "final_until": moment(state.closed_until_us),
        "counted": state.counted,
        "repeated": state.repeated,
        "late": state.late,
        "vehicles_tracked": len(state.sightings),
        "source_offset": state.offset,
        "lag": report.lag,
        "open_windows": [
            {
                "window_start": rfc3339(start_us),
                "lanes": len(window.lanes),
                "vehicles": len({vehicle for lane in window.lanes.values() for vehicle in lane.vehicles}),
                "detections": sum(lane.detections for lane in window.lanes.values()),
            }
            for start_us, window in sorted(state.windows.items())
        ],
        "rows": report.rows,
    }


def _print_camera(settings: Settings, camera_id: str, report: CameraReport) -> None:
    console, state = Console(), report.state
    clock = windower_rules(settings)(camera_id).clock
    facts = Table(show_header=False, title=_plain(f"Camera {camera_id}"), title_justify="left")
    for name, value in (
        ("partition", str(report.partition)),
        ("newest event", _time(state.newest_us)),
        ("watermark", _time(clock.watermark(state.newest_us)) if state.newest_us else "none"),
        ("final until", _time(state.closed_until_us)),
        ("counted", f"{state.counted:,}"),
        ("repeated", f"{state.repeated:,}"),
        ("late", f"{state.late:,}"),
        ("vehicles tracked for speed", f"{len(state.sightings):,}"),
        ("source offset", f"{state.offset:,}"),
        ("lag of the partition", f"{report.lag:,} records"),
    ):
        facts.add_row(name, value)
    console.print(facts)
    windows = Table("window", "lanes", "vehicles", "detections", title="Open windows", title_justify="left")
    for start_us, window in sorted(state.windows.items()):
        vehicles = {vehicle for lane in window.lanes.values() for vehicle in lane.vehicles}
        detections = sum(lane.detections for lane in window.lanes.values())
        windows.add_row(_time(start_us), str(len(window.lanes)), str(len(vehicles)), str(detections))
    console.print(windows)
    final = Table(Column("window", no_wrap=True), *_COLUMNS, title="Last final rows", title_justify="left")
    for row in report.rows:
        final.add_row(*_cells(row))
    console.print(final)


def _cells(row: WindowRow) -> Iterable[str]:
    return (
        row.window_start,
        "all" if row.lane_id is None else str(row.lane_id),
        str(row.vehicle_count),
        "–" if row.avg_speed_kmh is None else f"{row.avg_speed_kmh:.1f}",
        "–" if row.stopped_ratio is None else f"{row.stopped_ratio:.0%}",
        str(row.queue_length),
        "–" if row.congestion_score is None else f"{row.congestion_score:.4f}",
        row.congestion_level,
    )


def _print_dead_letters(letters: list[DeadLetter]) -> None:
    table = Table("record time", "reason", "where", "detail", "message", title="Refused messages, newest last")
    for letter in letters:
        text = _beginning(letter)
        where = f"{letter.topic}-{letter.partition}@{letter.offset}"
        table.add_row(*(_plain(cell) for cell in (letter.timestamp, letter.reason, where, letter.detail, text)))
    Console().print(table)


def _beginning(letter: DeadLetter) -> str:
    """The beginning of the refused message."""
    try:
        raw = letter.value
    except ValueError:
        return "(the letter holds no base64)"
    return "(no value)" if raw is None else raw[:120].decode("utf-8", "backslashreplace")


def _plain(text: str) -> Text:
    """A cell that shows what it holds: no markup, no control characters for the terminal."""
    return Text("".join(character if character.isprintable() else repr(character)[1:-1] for character in text))


def _time(time_us: int) -> str:
    if not time_us:
        return "none"
    age_seconds = datetime.now(UTC).timestamp() - time_us / 1e6
    return f"{rfc3339(time_us)} ({age_seconds:,.0f} s ago)"
