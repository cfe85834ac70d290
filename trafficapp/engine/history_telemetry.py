"""What a history worker tells Prometheus beside what its sinks do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from math import nan
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from models.alarms import AlarmPerformance, WithheldAs
from models.roads.prediction_accuracy import HorizonAccuracy

_LABELS = ["model_version", "horizon_minutes"]


class AccuracyTelemetry:
    """How good the predictions for the last hour were, by model and horizon.

    Args:
        registry: of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"b2_prediction_{name}", f"{text}, predictions for the last hour", _LABELS, registry=registry)

        self._compared = gauge("compared", "Predictions compared with what came")
        self._mae = gauge("mae_kmh", "Mean absolute error")
        self._rmse = gauge("rmse_kmh", "Root mean squared error")
        self._within = gauge("within_interval_ratio", "Share within the interval of 80 %")
        self._last_value_mae = gauge(
            "last_value_mae_kmh", "Mean absolute error had the mean speed of the newest step stayed"
        )

    def show(self, found: Iterable[HorizonAccuracy]) -> None:
        """Show these and nothing else: a model that does not predict any more disappears."""
        for gauge in (self._compared, self._mae, self._rmse, self._within, self._last_value_mae):
            gauge.clear()
        for one in found:
            labels = (one.model_version, str(one.horizon_minutes))
            self._compared.labels(*labels).set(one.predictions)
            self._mae.labels(*labels).set(one.mae_kmh)
            self._rmse.labels(*labels).set(one.rmse_kmh)
            if one.within_interval_share is not None:
                self._within.labels(*labels).set(one.within_interval_share)
            if one.last_value_mae_kmh is not None:
                self._last_value_mae.labels(*labels).set(one.last_value_mae_kmh)


class UpkeepTelemetry:
    """When training and backup last succeeded, and whether their last run failed.

    Args:
        registry: of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._succeeded = Gauge(
            "b2_upkeep_last_success_timestamp_seconds", "When it last succeeded", ["name"], registry=registry
        )
        self._failed = Gauge("b2_upkeep_failed", "1 when the newest run failed", ["name"], registry=registry)

    def show(self, name: str, succeeded_at: datetime | None, *, failed: bool) -> None:
        """Show what is known of training or backup."""
        if succeeded_at is not None:
            self._succeeded.labels(name).set(succeeded_at.timestamp())
        self._failed.labels(name).set(failed)


class GeocodingTelemetry:
    """Requests to the service outside, and rows that got an address.

    Args:
        registry: of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "b2_geocoding_requests_total",
            "Requests for addresses, by what came of them",
            ["outcome"],
            registry=registry,
        )
        self.rows = Counter("b2_geocoding_rows_total", "Rows that were named, by source", ["source"], registry=registry)


class AlarmTelemetry:
    """How bearable the alarms of the last 24 hours were; docs/alarms.md has the definitions.

    Args:
        registry: of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"b2_alarms_{name}", text, labels, registry=registry)

        self._raised = gauge("raised", "Alarms of the last 24 h, by what became of them", "became")
        self._mean = gauge("per_ten_minutes_mean", "Alarms told in ten minutes, on average over 24 h")
        self._peak = gauge("per_ten_minutes_peak", "Alarms told in the fullest ten minutes of 24 h")
        self._newest = gauge("per_ten_minutes_newest", "Alarms told in the last ten minutes")
        self._in_flood = gauge("in_flood", "1 while there is a flood of alarms")
        self._flood_share = gauge("flood_ratio", "Share of the last 24 h that was in flood")
        self._operators = gauge("operators", "Operators who acknowledged something in the last 24 h")
        self._priority = gauge("priority", "Alarms told in the last 24 h, by priority", "priority")
        self._frequent_share = gauge("most_frequent_ratio", "Share of the ten most frequent alarms; NaN without any")
        self._chattering = gauge("chattering", "Rules and sources that chattered in the last 24 h")
        self._stale = gauge("stale", "Alarms that have been standing for more than 24 h")
        self._acknowledged_after = gauge(
            "acknowledged_after_seconds", "Median time to acknowledge in the last 24 h; NaN without any"
        )

    def show(self, found: AlarmPerformance) -> None:
        """Show a performance."""
        for became in ("told", *get_args(WithheldAs)):
            self._raised.labels(became).set(getattr(found, became))
        self._mean.set(found.load.mean_per_ten_minutes)
        self._peak.set(found.load.peak_per_ten_minutes)
        self._newest.set(found.load.newest_ten_minutes)
        self._in_flood.set(found.load.in_flood)
        self._flood_share.set(found.load.share_in_flood)
        self._operators.set(len(found.operators))
        for one in found.priorities:
            self._priority.labels(one.priority).set(one.alarms)
        self._frequent_share.set(nan if found.most_frequent_share is None else found.most_frequent_share)
        self._chattering.set(found.chattering_count)
        self._stale.set(found.stale_count)
        median = found.time_to_acknowledge.median_seconds
        self._acknowledged_after.set(nan if median is None else median)
