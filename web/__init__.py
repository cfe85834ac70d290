"""HTTP and WebSocket side of a worker. `register` puts it on a Faust application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trafficapp.engine.outbox import Outbox
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings
from web.guards.connections import BoundedRunner
from web.serving.context import LocalCurrent, Probe, WebContext
from web.serving.database import Database
from web.serving.health import kafka_answers
from web.sockets.clients import allow_connections

#: What an address may have beside its query, and how far beyond its limit the query is still read.
_REST_OF_LINE_BYTES = 8190

__all__ = ["LocalCurrent", "Probe", "register"]


def register(
    app: Any,
    settings: Settings,
    telemetry: Telemetry,
    *,
    kafka_up: Probe | None = None,
    local_current: LocalCurrent | None = None,
    outbox: Outbox | None = None,
    is_ready: Callable[[], bool] = lambda: True,
    feeds: Sequence[Feed[Any]] = FEEDS,
) -> None:
    """Make a Faust application's web server answer the API; call it once, before the worker starts.

    Faust's own pages (statistics, tables, router) are taken off: they would stand at the same paths, and
    answer in formats of their own.

    Args:
        app: the `faust.App`.
        settings: of this process.
        telemetry: of this process.
        kafka_up: whether the broker answers; without it the brokers are asked directly.
        local_current: newest rows from the worker's own tables, for when Redis is away.
        outbox: the worker's producer.
        is_ready: whether the process has taken over its partitions.
        feeds: those that are switched on.
    """
    from faust.web.base import BlueprintManager

    from trafficapp.stores.redis.connection import connect
    from web.application import setup  # late: who needs some of the views does not load them all

    redis_url = settings.redis.url.get_secret_value()
    context = WebContext(
        settings=settings,
        telemetry=telemetry,
        redis=connect(redis_url),
        database=Database(settings.postgres),
        kafka_up=kafka_up or kafka_answers(settings.kafka),
        local_current=local_current,
        outbox=outbox,
        is_ready=is_ready,
        feeds=feeds,
    )
    allow_connections(settings.web.max_connections_per_socket_route)
    app.web.blueprints = BlueprintManager()
    # Faust's runner would cut a long address off before we can say that it is too long
    longest = settings.limits.query_bytes + _REST_OF_LINE_BYTES
    app.web._runner = BoundedRunner(  # noqa: SLF001
        app.web.web_app, settings.limits, telemetry.connections_closed, max_line_size=longest
    )
    setup(app.web.web_app, context, connect_feed=lambda: connect(redis_url, retries=0))
