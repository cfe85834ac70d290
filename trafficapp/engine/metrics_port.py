"""A second port for Prometheus, as deployments of the camera system scrape one (``PROCESSOR_METRICS_PORT``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from prometheus_client import start_http_server

from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import WebSettings

logger = logging.getLogger(__name__)


def serve_metrics(web: WebSettings, telemetry: Telemetry) -> Callable[[], Awaitable[None]] | None:
    """Serve the families of a process on ``web.metrics_port``, from a thread of its own.

    Returns:
        what closes the port; None without one, also when another process has it: workers of a host may share their
        settings, and no worker is worth less for it.
    """
    if not web.metrics_port:
        return None
    try:
        server, thread = start_http_server(web.metrics_port, web.host, telemetry.registry)
    except OSError as error:
        logger.warning(
            "web.metrics_port %d of %s cannot be had (%s); this worker's metrics are at /metrics of port %d only",
            web.metrics_port,
            web.host,
            error.strerror or error,
            web.port,
        )
        return None

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return lambda: asyncio.to_thread(close)
