"""Agent for ``traffic.metrics`` that raises and ends alerts: role ``alerts``.

`trafficapp.batching.stateful` has the order of effects: a step is sent once, and again only as the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiokafka import ConsumerRecord

from models.alerts import encode_alert_event
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.alerts.partition import PartitionAlerts
from trafficapp.alerts.rules import causes_of
from trafficapp.application import TrafficApp
from trafficapp.batching.stateful import StatefulSink, acknowledged
from trafficapp.outbox import Outbox
from trafficapp.settings import Settings
from trafficapp.state import StateLog, alert_state_log
from trafficapp.telemetry import Telemetry
from trafficapp.topics import ALERTS, METRICS


class AlertsSink(StatefulSink[PartitionAlerts]):
    """Applies finished windows to the alerts of their cameras and sends the steps that come of it."""

    def __init__(self, settings: Settings, outbox: Outbox, state: StateLog, telemetry: Telemetry) -> None:
        super().__init__(state, settings.kafka.session_timeout_seconds)
        self._outbox = outbox
        self._telemetry = telemetry
        self._causes = causes_of(settings.alerts)
        self._max_gap_us = round(settings.alerts.max_gap_seconds * MICROSECONDS_PER_SECOND)
        self._forget_us = round(settings.alerts.forget_seconds * MICROSECONDS_PER_SECOND)

    def take_over(self, partition: int, rows: Mapping[bytes, bytes]) -> PartitionAlerts:
        """The alerts of a partition, to go on from their rows."""
        return PartitionAlerts(partition, self._causes, self._max_gap_us, self._forget_us, rows)

    async def take_effect(self, partition: int, states: PartitionAlerts, records: Sequence[ConsumerRecord]) -> None:
        """Apply a run; returns when its steps are acknowledged."""
        steps = states.apply(records)
        if steps:
            told = [((step.camera_id or "").encode(), encode_alert_event(step)) for step in steps]
            await acknowledged(await self._outbox.send(ALERTS, partition, told), "steps of alerts")
            self._telemetry.count_alerts(steps)


def register(app: TrafficApp) -> None:
    """Declare the table of alert states and the agent on an application."""
    state = alert_state_log(app.settings, app.outbox)
    app.declare_state_table("alert_state", "alerts of each camera: open ones, windows in a row", state.view())
    sink = AlertsSink(app.settings, app.outbox, state, app.telemetry)
    app.read_in_runs(METRICS, sink, name="alerts")
    app.keep_state(sink)
