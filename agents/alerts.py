"""Agents that raise and end alerts: role ``alerts``. One reads finished windows, one the cameras that finish none.

`trafficapp.batching.stateful` has the order of effects: a step is sent once, and again only as the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from models.alerts import AlertEvent, encode_alert_event
from models.detections import UNDECODABLE
from models.quiet_cameras import QuietCamera, decode_quiet_camera
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.alerts.partition import PartitionAlerts
from trafficapp.alerts.rules import causes_of
from trafficapp.application import TrafficApp
from trafficapp.batching.stateful import StatefulSink, acknowledged
from trafficapp.kafka import offsets_at_time
from trafficapp.outbox import Outbox
from trafficapp.settings import Settings
from trafficapp.state import StateLog, alert_state_log
from trafficapp.state_rows import UNTOLD, SourceLog
from trafficapp.telemetry import Telemetry
from trafficapp.topics import ALERTS, METRICS, quiet_cameras

logger = logging.getLogger(__name__)

#: How far back quiet cameras are read again at a take-over; what they lead to is the same again.
_HEAR_AGAIN_SECONDS = 3600.0
_TRY_AGAIN_SECONDS = 1.0


class AlertsSink(StatefulSink[PartitionAlerts]):
    """Applies finished windows to the alerts of their cameras and sends the steps that come of it."""

    takes_unreadable = False

    def __init__(self, settings: Settings, outbox: Outbox, state: StateLog, telemetry: Telemetry) -> None:
        super().__init__(state, settings.kafka.session_timeout_seconds)
        self._outbox = outbox
        self._telemetry = telemetry
        self._causes = causes_of(settings.alerts)
        self._max_gap_us = round(settings.alerts.max_gap_seconds * MICROSECONDS_PER_SECOND)
        self._forget_us = round(settings.alerts.forget_seconds * MICROSECONDS_PER_SECOND)

    def take_over(self, partition: int, rows: Mapping[bytes, bytes], log: SourceLog) -> PartitionAlerts:
        """The alerts of a partition, to go on from their rows."""
        return PartitionAlerts(partition, self._causes, self._max_gap_us, self._forget_us, rows, log)

    async def take_effect(self, partition: int, states: PartitionAlerts, records: Sequence[ConsumerRecord]) -> None:
        """Apply a run; returns when its steps are acknowledged."""
        steps = states.apply(records)
        # what is told early is told again with the next window, and counted then
        await self._send(partition, steps + states.early_ends())
        self._telemetry.count_alerts(steps)

    async def hear(self, partition: int, quiet: Sequence[QuietCamera]) -> None:
        """Tell which alerts are over though no further window came; a partition that is not ours is left alone."""
        one = self._partitions.get(partition)
        if one is None:
            return
        async with one.lock:
            one.states.hear(quiet)
            await self._send(partition, one.states.early_ends())

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
        """Begin a while back."""
        while True:
            try:
                since = time.time() - _HEAR_AGAIN_SECONDS
                return await offsets_at_time(self._settings, quiet_cameras(self._settings), partitions, since)
            except (KafkaError, OSError) as error:
                logger.warning("looking for quiet cameras failed (%r); trying again", error)
                await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Hand a run on; returns when what came of it is acknowledged."""
        quiet = []
        for record in records:
            try:
                quiet.append(decode_quiet_camera(record.value or b""))
            except UNDECODABLE as error:
                logger.warning("offset %d of quiet cameras is none: %s", record.offset, error)
        if still_owned():
            await self._alerts.hear(partition, quiet)

    def release(self, partitions: Collection[int]) -> None:
        """Nothing is kept."""

    def is_waiting(self) -> bool:
        """Kafka is the only store: when it is away, there are no records to wait with."""
        return False


def register(app: TrafficApp) -> None:
    """Declare the table of alert states and the agent on an application."""
    state = alert_state_log(app.settings, app.outbox)
    app.declare_state_table("alert_state", "alerts of each camera: open ones, windows in a row", state.view())
    sink = AlertsSink(app.settings, app.outbox, state, app.telemetry)
    app.read_in_runs(METRICS, sink, name="alerts")
    app.read_in_runs(quiet_cameras(app.settings), QuietCamerasSink(app.settings, sink), name="quiet_cameras")
    app.keep_state(sink)
