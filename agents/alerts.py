"""Agents that raise and end alerts: role ``alerts``. One reads finished windows, one the cameras that finish none.

`trafficapp.engine.stateful` has the order of effects: a step is sent once, and again only as the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from models.alerts import AlertEvent, encode_alert_event
from models.cameras.detections import UNDECODABLE
from models.cameras.quiet_cameras import QuietCamera, decode_quiet_camera
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.alerts.camera import Absence
from trafficapp.alerts.partition import PartitionAlerts
from trafficapp.alerts.rules import causes_of
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.kafka import end_offsets, home_partition, offsets_at_time
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state import StateLog
from trafficapp.engine.state_rows import UNTOLD, SourceLog
from trafficapp.engine.stateful import StatefulSink, acknowledged
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import Settings
from trafficapp.state_logs import alert_state_log
from trafficapp.topics import ALERTS, METRICS, quiet_cameras
from trafficapp.windows.rules import partition_rules

logger = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 1.0

#: Finished windows that are applied without a pause: some 10 ms of work, a few times that when each raises an alert.
_RECORDS_AT_ONCE = 500

#: What the clocks of brokers may differ by, and what passes until a window that is final is written.
_MARGIN_SECONDS = 60.0


class AlertsSink(StatefulSink[PartitionAlerts]):
    """Applies finished windows to the alerts of their cameras and sends the steps that come of it."""

    takes_unreadable = False

    def __init__(self, settings: Settings, outbox: Outbox, state: StateLog, telemetry: Telemetry) -> None:
        super().__init__(state, settings.kafka.session_timeout_seconds)
        self._outbox = outbox
        self._telemetry = telemetry
        self._settings = settings
        self._causes = causes_of(settings.alerts, settings.alarms.on_delay_seconds)

    def take_over(self, partition: int, rows: Mapping[bytes, bytes], log: SourceLog) -> PartitionAlerts:
        """The alerts of a partition, to go on from their rows."""
        alerts, windows = self._settings.alerts, self._settings.windows
        return PartitionAlerts(
            partition,
            self._causes,
            _us(alerts.max_gap_seconds),
            _us(alerts.forget_seconds),
            rows,
            log,
            forget_cameras_us=_us(alerts.forget_cameras_hours * 3600),
            absence=absence_of(self._settings),
            is_at_home=lambda key: home_partition(key, self._settings.kafka.partitions) == partition,
            ahead_us=_us(windows.future_guard_seconds + windows.size_seconds + _MARGIN_SECONDS),
        )

    async def take_effect(self, partition: int, states: PartitionAlerts, records: Sequence[ConsumerRecord]) -> None:
        """Apply a run, part by part; returns when its steps are acknowledged."""
        for begin in range(0, len(records), _RECORDS_AT_ONCE):
            steps = states.apply(records[begin : begin + _RECORDS_AT_ONCE])
            # what is told early is told again with the next window, and counted then
            await self._send(partition, steps + states.early_ends())
            self._telemetry.count_alerts(steps)
            # whoever asks for our health meanwhile gets an answer
            await asyncio.sleep(0)

    async def hear(self, partition: int, quiet: Sequence[QuietCamera]) -> None:
        """Tell which alerts are over though no further window came; a partition that is not ours is left alone."""
        one = self._partitions.get(partition)
        if one is None:
            return
        async with one.lock:
            if self._partitions.get(partition) is not one:
                return
            one.states.hear(quiet)
            await self._send(partition, one.states.early_ends())
        if one.states.is_waiting:
            # the windows that something of it speaks of were written before it, or never will be
            ends = await self._metrics_ends([partition])
            one.states.wait_until(ends[partition])

    async def _metrics_ends(self, partitions: Collection[int]) -> dict[int, int]:
        while True:
            try:
                return await end_offsets(self._settings, METRICS, partitions)
            except (KafkaError, OSError) as error:
                logger.warning("looking for the end of %s failed (%r); trying again", METRICS, error)
                await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def _send(self, partition: int, steps: Sequence[AlertEvent]) -> None:
        if steps:
            told = [((step.camera_id or "").encode(), encode_alert_event(step)) for step in steps]
            await acknowledged(await self._outbox.send(ALERTS, partition, told), "steps of alerts")


class QuietCamerasSink:
    """Hands cameras that finish no more windows to the alerts; it remembers nothing, since repeats are harmless."""

    def __init__(self, settings: Settings, alerts: AlertsSink) -> None:
        self._settings = settings
        self._alerts = alerts

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Begin with the first record that the topic still holds; what comes of it is the same again."""
        while True:
            try:
                return await offsets_at_time(self._settings, quiet_cameras(self._settings), partitions, 0.0)
            except (KafkaError, OSError) as error:
                logger.warning("looking for quiet cameras failed (%r); trying again", error)
                await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Hand a run on; returns when what came of it is acknowledged."""
        quiet, faults = [], []
        for record in records:
            try:
                quiet.append(decode_quiet_camera(record.value or b""))
            except UNDECODABLE as error:
                faults.append(f"offset {record.offset}: {error}")
        if faults:
            # one line for all: there may be many
            logger.warning("partition %d of quiet cameras has %d that are none, %s", partition, len(faults), faults[0])
        if still_owned():
            await self._alerts.hear(partition, quiet)

    def release(self, partitions: Collection[int]) -> None:
        """Nothing is kept."""

    def is_waiting(self) -> bool:
        """Kafka is the only store: when it is away, there are no records to wait with."""
        return False


def absence_of(settings: Settings) -> Absence:
    """When the windows may have forgotten a camera, as it looks from the records of its windows."""
    windows, remembering = settings.windows, partition_rules(settings).remembering
    # a camera is forgotten so long after its newest record, and its last window may be written this much later
    written_us = _us(windows.idle_timeout_seconds + windows.future_guard_seconds + _MARGIN_SECONDS)
    return Absence(remembering.lasting_windows, remembering.made_up_us - written_us, remembering.forget_us - written_us)


def _us(seconds: float) -> int:
    return round(seconds * MICROSECONDS_PER_SECOND)


def register(app: TrafficApp) -> None:
    """Declare the table of alert states and the agent on an application."""
    state = alert_state_log(app.settings, app.outbox)
    app.declare_state_table("alert_state", "alerts of each camera: open ones, windows in a row", state.view())
    sink = AlertsSink(app.settings, app.outbox, state, app.telemetry)
    app.read_in_runs(METRICS, sink, name="alerts")
    app.read_in_runs(quiet_cameras(app.settings), QuietCamerasSink(app.settings, sink), name="quiet_cameras")
    app.keep_state(sink)
