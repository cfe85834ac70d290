"""The second port for Prometheus, and who of several workers has it."""

from __future__ import annotations

import logging
import urllib.request
from pathlib import Path

import pytest

from tests.ports import free_port
from trafficapp.engine.metrics_port import serve_metrics
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import WebSettings
from trafficapp.stack.workers import Worker, worker_spec


def families(port: int) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


async def test_the_second_port_tells_what_the_first_one_does(caplog: pytest.LogCaptureFixture) -> None:
    telemetry, web = Telemetry("streams", "trafficapp"), WebSettings(metrics_port=free_port())
    telemetry.events_processed.inc(4000)
    close = serve_metrics(web, telemetry)
    assert close is not None
    found = families(web.metrics_port)
    assert found["b2_events_processed_total"] == "4000.0"
    assert (
        found.keys()
        == dict(
            line.rsplit(" ", 1) for line in telemetry.exposition().decode().splitlines() if not line.startswith("#")
        ).keys()
    )
    with caplog.at_level(logging.WARNING):
        assert serve_metrics(web, Telemetry("live", "trafficapp")) is None  # and the process goes on
    assert str(web.metrics_port) in caplog.text
    await close()
    with pytest.raises(OSError):  # noqa: PT011 - nobody listens any more
        families(web.metrics_port)


def test_without_a_port_there_is_none() -> None:
    assert serve_metrics(WebSettings(), Telemetry()) is None


def test_of_the_workers_of_a_host_the_first_one_has_it(tmp_path: Path) -> None:
    workers = [Worker("worker-1", "streams", 6066), Worker("worker-2", "streams", 6067), Worker("live", "live", 6068)]
    specs = [worker_spec(worker, tmp_path, {"PROCESSOR_METRICS_PORT": "9100"}) for worker in workers]
    ports = {spec.name: (spec.env or {}).get("PROCESSOR_METRICS_PORT") for spec in specs}
    assert ports.pop("worker-1") == "9100"
    assert set(ports.values()) == {"0"}
