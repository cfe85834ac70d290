"""What a history worker tells Prometheus beside what its sinks do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

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
