"""Agent for ``traffic.events.raw``: detections in; final windows, dead letters, silent and quiet cameras and state out.

`trafficapp.engine.stateful` has the order of effects that makes it exact.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord
from aiokafka.structs import RecordMetadata

from models.alerts import encode_alert_event
from models.cameras.detections import TICK_HEADER
from models.cameras.quiet_cameras import AFTER_QUIET_HEADER, encode_quiet_camera
from models.cameras.window_rows import WindowRow, encode_window_row
from models.dead_letters import encode_dead_letter
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.outbox import Headers, Outbox
from trafficapp.engine.state import StateLog
from trafficapp.engine.state_rows import SourceLog
from trafficapp.engine.stateful import StatefulSink, acknowledged
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import Settings
from trafficapp.state_logs import camera_state_log
from trafficapp.topics import ALERTS, DEAD_LETTERS, EVENTS_RAW, METRICS, quiet_cameras
from trafficapp.windows.outcome import Outcome
from trafficapp.windows.partition import PartitionWindows
from trafficapp.windows.rules import partition_rules

#: A tick that has not come back for this long, with nothing else applied either, is sent again: what comes
#: after a run that was dropped on its way shows that there is a hole.
_TICK_LOST_SECONDS = 5.0


@dataclass(slots=True)
class _Tick:
    """The newest tick of a partition: when it was sent, and its offset once the broker has told it."""

    sent: float
    offset: int | None = None


class WindowsSink(StatefulSink[PartitionWindows]):
    """Applies runs to the cameras of their partition and sends what comes of it."""

    def __init__(self, settings: Settings, outbox: Outbox, state: StateLog, telemetry: Telemetry) -> None:
        super().__init__(state, settings.kafka.session_timeout_seconds)
        self._outbox = outbox
        self._telemetry = telemetry
        self._rules = partition_rules(settings)
        self._quiet_topic = quiet_cameras(settings)
        self._ticks: dict[int, _Tick] = {}

    def take_over(self, partition: int, rows: Mapping[bytes, bytes], log: SourceLog) -> PartitionWindows:
        """The windows of a partition, to go on from their rows."""
        return PartitionWindows(partition, self._rules, rows, log)

    def release(self, partitions: Collection[int]) -> None:
        """Forget the decoded state and the ticks under way."""
        super().release(partitions)
        for partition in partitions:
            self._ticks.pop(partition, None)

    async def take_effect(self, partition: int, states: PartitionWindows, records: Sequence[ConsumerRecord]) -> None:
        """Apply a run, step by step; returns when its rows, alerts and dead letters are acknowledged."""
        for outcome in states.steps(records):
            await self._send(partition, outcome)
            self._count(outcome)
            # the state of a whole run may be much work; whoever asks for our health meanwhile gets an answer
            await asyncio.sleep(0)

    async def send_ticks(self) -> None:
        """Send a tick to each of our partitions that has none on its way.

        A tick is a record on the partition itself, so it stands behind everything that came before it:
        silence counts only once the partition is read to its end.
        """
        now = time.monotonic()
        for partition, one in list(self._partitions.items()):
            before = self._ticks.get(partition)
            under_way = before is not None and (before.offset is None or one.states.applied < before.offset)
            if before is not None and under_way and now - max(before.sent, one.applied) < _TICK_LOST_SECONDS:
                continue
            tick = self._ticks[partition] = _Tick(now)
            acknowledgements = await self._outbox.send(EVENTS_RAW, partition, [(None, b"")], [(TICK_HEADER, b"")])
            tick.offset = (await acknowledged(acknowledgements, "a tick"))[-1].offset

    async def _send(self, partition: int, outcome: Outcome) -> None:
        acknowledgements: list[asyncio.Future[RecordMetadata]] = []
        for rows, headers in _by_headers(outcome):
            records = [(row.camera_id.encode(), encode_window_row(row)) for row in rows]
            acknowledgements += await self._outbox.send(METRICS, partition, records, headers)
        if outcome.alerts:
            alerts = [((alert.camera_id or "").encode(), encode_alert_event(alert)) for alert in outcome.alerts]
            acknowledgements += await self._outbox.send(ALERTS, partition, alerts)
        if outcome.dead_letters:
            letters = [(letter.key, encode_dead_letter(letter)) for letter in outcome.dead_letters]
            acknowledgements += await self._outbox.send(DEAD_LETTERS, partition, letters)
        await acknowledged(acknowledgements, "finished windows")
        if outcome.quiet:
            # whoever hears that a camera is quiet finds all of its windows in the log
            quiet = [(one.camera_id.encode(), encode_quiet_camera(one)) for one in outcome.quiet]
            await acknowledged(await self._outbox.send(self._quiet_topic, partition, quiet), "quiet cameras")

    def _count(self, outcome: Outcome) -> None:
        telemetry = self._telemetry
        telemetry.events_processed.inc(outcome.counted)
        telemetry.window_flushes.inc(len(outcome.rows))
        if outcome.repeated:
            telemetry.events_dropped.labels("duplicate").inc(outcome.repeated)
        for reason, count in outcome.rejected.items():
            telemetry.events_dropped.labels(reason).inc(count)
        telemetry.count_alerts(outcome.alerts)


def _by_headers(outcome: Outcome) -> Iterator[tuple[Sequence[WindowRow], Headers]]:
    """The finished windows in order, each that follows a quiet time by itself and with its header."""
    begin = 0
    for position, told_us in outcome.after_quiet.items():
        yield outcome.rows[begin:position], ()
        yield outcome.rows[position : position + 1], [(AFTER_QUIET_HEADER, b"%d" % told_us)]
        begin = position + 1
    yield outcome.rows[begin:], ()


def register(app: TrafficApp) -> None:
    """Declare the topic, the table of camera states and the agent on an application."""
    state = camera_state_log(app.settings, app.outbox)
    sink = WindowsSink(app.settings, app.outbox, state, app.telemetry)
    app.declare_state_table("camera_state", "state of each camera: open windows, watermark, counts", state.view())
    app.read_in_runs(EVENTS_RAW, sink, name="windows")
    app.keep_state(sink)

    @app.task
    async def tell_missing() -> None:
        # commands have no use for the clients of the stores
        from trafficapp.stores.postgres.startup import tell_missing_stores

        await tell_missing_stores(app.settings, lambda: not app.should_stop)

    @app.timer(interval=app.settings.windows.tick_seconds)
    async def send_ticks() -> None:
        await sink.send_ticks()
