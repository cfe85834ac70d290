"""What a process tells Prometheus. One `Telemetry` per application, with a registry of its own."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from math import nan
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from models.alerts import AlertEvent
from models.roads.predictions import PredictionSource
from trafficapp.stores.redis.documents import UNREADABLE

LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Telemetry:
    """Counters and gauges of a process; families named ``b2_…`` as the contract says.

    The hot path counts a run at once: ``telemetry.events_processed.inc(4000)``. Labelled children are
    cheap to keep: ``late = telemetry.events_dropped.labels("late")``.

    Attributes:
        events_processed: detections and observations of roads that took effect.
        events_dropped: detections and observations of roads that were refused or repeated, by reason.
        feed_messages: messages of declared feeds, by feed and by ``accepted`` or the reason why they were refused.
        rules_lacking: 1 while rules do less than they are asked for, as the log says: they lack the road graph.
        window_flushes: windows made final, camera-wide and lanes.
        kafka_consumer_lag: records not yet read, by topic and partition.
        records_lost: records that were deleted before they were read, by topic.
        alerts: steps of alerts that this process told, by type and action; a repeat after a crash counts again.
        sink_rows: rows made durable, by sink.
        sink_waiting: 1 while a sink waits for its store.
        cameras_in_two_partitions: cameras whose rows keep coming from more than one partition; all live workers tell
            the same number, others 0.
        recovering: 1 while the process reads its state back.
        dependency_up: 1 when the last health probe of kafka, postgres or redis succeeded.
        api_requests: answered requests by method, route and status; ``endpoint`` is another word for the route.
        api_request_latency_seconds: time to the answer by method and route, likewise; sockets are not in it.
        failed_logins: tokens that were refused: ``key`` for the administrator's, ``token`` for a JSON web token,
            ``held_up`` for keys that were not looked at, as too many wrong ones came.
        connections_closed: connections that were closed, as their address had too many (``too_many``), the head of a
            request took too long (``slow_head``) or an answer was not taken (``stalled``).
        graph_loaded: 1 when the road graph is there and routes are answered.
        graph_refused: documents of the graph's speeds that were refused.
        websocket_clients: connected clients by route.
        websocket_clients_cut: clients cut because they read too slowly, by route.
        forecasts: rounds of predictions of roads.

    Args:
        role: what the process does, for ``b2_build_info``.
        app_id: name of the application, likewise.
    """

    def __init__(self, role: str = "", app_id: str = "") -> None:
        # the extra *_created series double the output and say nothing an operator asks for
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        registry.register(UNREADABLE)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.events_processed = Counter(
            "b2_events_processed", "Detections and observations of roads that took effect", registry=registry
        )
        self.events_dropped = Counter(
            "b2_events_dropped", "Detections and observations of roads refused", ["reason"], registry=registry
        )
        self.feed_messages = Counter(
            "b2_feed_messages", "Messages of declared feeds", ["feed", "outcome"], registry=registry
        )
        self.rules_lacking = Gauge(
            "b2_rules_lacking",
            "1 while rules do less than asked for",
            ["rules"],
            registry=registry,
        )
        self.window_flushes = Counter("b2_window_flushes", "Windows made final", registry=registry)
        self.kafka_consumer_lag = Gauge(
            "b2_kafka_consumer_lag", "Records not yet read", ["topic", "partition"], registry=registry
        )
        self.records_lost = Counter(
            "b2_records_lost", "Records deleted before they were read", ["topic"], registry=registry
        )
        self.alerts = Counter("b2_alerts", "Steps of alerts told", ["alert_type", "action"], registry=registry)
        self.sink_rows = Counter("b2_sink_rows", "Rows made durable", ["sink"], registry=registry)
        self.sink_waiting = Gauge(
            "b2_sink_waiting", "1 while the sink waits for its store", ["sink"], registry=registry
        )
        self.cameras_in_two_partitions = Gauge(
            "b2_cameras_in_two_partitions",
            "Cameras whose rows keep coming from more than one partition",
            registry=registry,
        )
        self.recovering = Gauge("b2_recovering", "1 while state is being read back", registry=registry)
        self.dependency_up = Gauge(
            "b2_dependency_up", "1 when the last health probe succeeded", ["dependency"], registry=registry
        )
        self.api_requests = Counter(
            "b2_api_requests", "Requests answered", ["method", "route", "endpoint", "status"], registry=registry
        )
        self.api_request_latency_seconds = Histogram(
            "b2_api_request_latency_seconds",
            "Time from request to answer",
            ["method", "route", "endpoint"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.failed_logins = Counter(
            "b2_failed_logins", "Tokens refused, by kind: key, token, held_up", ["kind"], registry=registry
        )
        self.connections_closed = Counter(
            "b2_connections_closed",
            "Connections closed, by reason: too_many, slow_head, stalled",
            ["reason"],
            registry=registry,
        )
        self.graph_loaded = Gauge("b2_graph_loaded", "1 when routes are answered", registry=registry)
        self.graph_refused = Counter(
            "b2_graph_documents_refused", "Documents of the graph's speeds refused", registry=registry
        )
        self._graph_age_seconds = Gauge(
            "b2_graph_version_age_seconds",
            "Age of the graph's speeds in use; NaN when there are none",
            registry=registry,
        )
        self._graph_age_seconds.set(nan)
        self.websocket_clients = Gauge("b2_websocket_clients", "Connected clients", ["route"], registry=registry)
        self.websocket_clients_cut = Counter(
            "b2_websocket_clients_cut", "Clients cut because they read too slowly", ["route"], registry=registry
        )
        self.forecasts = ForecastTelemetry(registry)
        build = Gauge("b2_build_info", "Always 1; the labels matter", ["version", "role", "app_id"], registry=registry)
        build.labels(package_version(), role, app_id).set(1)

    def count_alerts(self, steps: Iterable[AlertEvent]) -> None:
        """Count steps of alerts that were told."""
        for step in steps:
            self.alerts.labels(step.alert_type, step.action).inc()

    def watch_sink(self, sink: str, waiting: Callable[[], bool]) -> None:
        """Show whether a sink waits, asked whenever Prometheus asks."""
        self.sink_waiting.labels(sink).set_function(lambda: float(waiting()))

    def watch_graph(self, age_seconds: Callable[[], float]) -> None:
        """Show the age of the graph's speeds, asked whenever Prometheus asks."""
        self._graph_age_seconds.set_function(age_seconds)

    def exposition(self) -> bytes:
        """All families in the Prometheus text format."""
        return generate_latest(self.registry)


class ForecastTelemetry:
    """What a process tells of its rounds of predictions; a process without rounds shows nothing of them but zeros.

    Args:
        registry: of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.inference_seconds = Histogram(
            "b2_forecast_inference_seconds",
            "Time of one forecast of all roads",
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.round_seconds = Histogram(
            "b2_forecast_round_seconds",
            "Time until all predictions of a round were acknowledged",
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.roads = Gauge("b2_forecast_roads", "Roads predicted in the newest round", ["source"], registry=registry)
        self.model = Gauge(
            "b2_forecast_model_info", "Always 1; the label names the model that serves", ["version"], registry=registry
        )
        self.refused = Gauge(
            "b2_forecast_model_refused", "1 while a model is refused that should serve", registry=registry
        )

    def count(
        self,
        sources: Iterable[PredictionSource],
        model_version: str,
        *,
        refused: bool,
        inference_seconds: float,
        round_seconds: float,
    ) -> None:
        """Count a round; ``sources`` say who predicted each road, and an empty version says that no model serves."""
        tally = Tally(sources)
        for source in get_args(PredictionSource):
            self.roads.labels(source).set(tally[source])
        self.model.clear()
        self.model.labels(model_version or "none").set(1)
        self.refused.set(refused)
        self.inference_seconds.observe(inference_seconds)
        self.round_seconds.observe(round_seconds)


def package_version() -> str:
    """Of the package that is installed, or `unknown`."""
    try:
        return version("trafficapp")
    except PackageNotFoundError:
        return "unknown"
