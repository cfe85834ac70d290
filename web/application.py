"""Puts the views, sockets and middlewares on an aiohttp application, Faust's or a test's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from redis.asyncio import Redis

from models.health import Health
from web import (
    administration,
    alert_actions,
    alert_export,
    alerts,
    analytics,
    current,
    dashboard,
    history,
    maps,
    middleware,
    pages,
)
from web.access import AUTHORITY, Access, Authority, warn_of_public_reads
from web.context import CONTEXT, WebContext
from web.feed import LiveFeed
from web.health import HealthCheck
from web.operations import Operation, Tag, mount
from web.sockets import MetricsSockets


def setup(web_app: web.Application, context: WebContext, connect_feed: Callable[[], Redis]) -> None:
    """Make an application serve everything; call it before the application starts.

    Args:
        web_app: the application.
        context: what the views work with; its clients are closed when the application is cleaned up.
        connect_feed: makes a client for the subscription, one that does not connect again by itself.
    """
    settings, telemetry = context.settings, context.telemetry
    feed = LiveFeed(connect_feed)
    sockets = MetricsSockets(
        feed, telemetry, settings.web.max_connections_per_socket_route, settings.web.client_queue_messages
    )
    health = HealthCheck(
        {"kafka": context.kafka_up, "postgres": context.database.is_up, "redis": _redis_up(context.redis)}, telemetry
    )

    async def exposition(request: web.Request) -> web.Response:
        return web.Response(body=telemetry.exposition(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def start(_: web.Application) -> None:
        warn_of_public_reads(settings)
        feed.start()
        context.registry.start()

    async def close_sockets(_: web.Application) -> None:
        await feed.stop()
        await sockets.close_all()

    async def close_clients(_: web.Application) -> None:
        # Faust cleans up twice
        await context.registry.stop()
        await context.close()

    web_app[CONTEXT] = context
    web_app[AUTHORITY] = Authority(settings)
    middleware.install(web_app, settings.limits)
    web_app.on_startup.append(start)
    web_app.on_shutdown.append(close_sockets)
    web_app.on_cleanup.append(close_clients)
    operations = [
        *current.operations(),
        *history.operations(),
        *alert_export.operations(),  # before alerts: its path looks like an id there
        *alerts.operations(),
        *alert_actions.operations(),
        *administration.operations(),
        *dashboard.operations(),
        *maps.operations(),
        *analytics.operations(),
        Operation(
            method="GET",
            path="/health",
            view=health.view,
            summary="Whether the servers behind this worker answer",
            tag=Tag.OPERATION,
            access=Access.OPEN,
            answer=Health,
        ),
        Operation(
            method="GET",
            path="/metrics",
            view=exposition,
            summary="Counters for Prometheus",
            tag=Tag.OPERATION,
            access=Access.OPEN,
            content_type="text/plain",
        ),
        Operation(
            method="GET",
            path="/ws/metrics",
            view=sockets.metrics,
            summary="Camera-wide windows as they finish",
            tag=Tag.LIVE,
            websocket=True,
        ),
        Operation(
            method="GET",
            path="/ws/metrics/lanes",
            view=sockets.lanes,
            summary="Lane windows as they finish",
            tag=Tag.LIVE,
            websocket=True,
        ),
    ]
    mount(web_app, operations)
    web_app.add_routes(pages.routes())


def _redis_up(client: Redis) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return bool(await client.ping())

    return probe
