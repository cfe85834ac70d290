"""Puts the views, sockets and middlewares on an aiohttp application, Faust's or a test's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from redis.asyncio import Redis

from trafficapp.incidents.feeds import INCIDENT_STEPS
from trafficapp.topics import live_vehicles
from web import administration, alarms
from web.administration.system import Presence
from web.alerts import actions as alert_actions
from web.alerts import comments as alert_comments
from web.alerts import export as alert_export
from web.alerts import outages
from web.alerts import views as alerts
from web.areas import views as areas
from web.areas.ingest import AreaIngest
from web.auth.access import AUTHORITY, Access, Authority, warn_of_public_reads
from web.cameras import analytics, current, dashboard, history, lanes, maps
from web.cameras import predictions as camera_predictions
from web.city import places, replay
from web.city.realtime import Realtime
from web.city.views import CityViews
from web.dashboard import pages
from web.dashboard import places as registered_places
from web.dashboard import settings as dashboard_settings
from web.documents import views as documents
from web.feeds import quality as feed_quality
from web.feeds.socket import DocumentFeed
from web.feeds.views import FeedViews, views_of
from web.fleet import driven, trajectories
from web.fleet.locations import FleetViews
from web.incidents import actions as incident_actions
from web.incidents import suspected as suspected_incidents
from web.incidents.on_roads import IncidentsOnRoads
from web.incidents.reports import Reports
from web.incidents.views import IncidentViews
from web.roads import bottlenecks, comparisons, feed_roads, prediction_accuracy, reliability, routes, simulated_spans
from web.roads import current as roads
from web.roads import exports as road_exports
from web.roads import predictions as predictions_roads
from web.roads import trends as road_trends
from web.roads.congestion import CongestionViews
from web.roads.notifications import NotificationViews
from web.roads.route_cache import RouteCache
from web.roads.route_planning import RoutePlanning
from web.serving import middleware
from web.serving.context import CONTEXT, WebContext
from web.serving.health import HealthCheck
from web.serving.limits import LIMITER
from web.serving.operations import Operation, Tag, mount
from web.sockets.event_feed import EventFeed
from web.sockets.events import EventSockets
from web.sockets.notification_feed import NotificationFeed
from web.sockets.subscription import Tasks
from web.sockets.window_feed import LiveFeed
from web.sockets.windows import MetricsSockets
from web.still_cameras import snapshot as still_snapshots
from web.transit import vehicles as transit_vehicles
from web.transit.boards import BoardViews
from web.transit.gtfs_realtime import RealtimeViews
from web.transit.timetable import Transit
from web.weather import history as weather_history


def setup(web_app: web.Application, context: WebContext, connect_feed: Callable[[], Redis]) -> None:
    """Make an application serve everything; call it before the application starts.

    Args:
        web_app: the application.
        context: what the views work with; its clients are closed when the application is cleaned up.
        connect_feed: makes a client for the subscription, one that does not connect again by itself.
    """
    settings, telemetry = context.settings, context.telemetry
    transit = Transit(settings)
    feed = LiveFeed(connect_feed)
    events = EventFeed(connect_feed, context.redis, context.registry.cameras_in, settings.events.heartbeat_seconds)
    sockets = MetricsSockets(feed, events, settings, telemetry)
    event_sockets = EventSockets(events, settings, telemetry)
    road_notices = NotificationFeed(connect_feed)
    notification_views = NotificationViews(road_notices, settings, telemetry)
    incidents = IncidentsOnRoads(INCIDENT_STEPS, settings, connect_feed)
    slows_ahead = timedelta(minutes=settings.incidents.slows_ahead_minutes)
    planning = RoutePlanning(
        settings.roads,
        telemetry,
        context.redis,
        connect_feed,
        settings.weather,
        incidents.effects,
        slows_ahead,
    )
    route_cache = RouteCache(context.redis, settings.roads.route_cache_seconds)
    feed_views = views_of(context.feeds, settings, telemetry, connect_feed)
    heard_feeds = [views.heard for views in feed_views if views.heard is not None]
    heard_by_name = {views.feed.name: views.heard for views in feed_views if views.heard is not None}
    realtime = Realtime(settings, telemetry, connect_feed, context.feeds, heard_by_name)
    ingest = AreaIngest(settings, telemetry, context.publisher.outbox, _vehicles(feed_views, live_vehicles(settings)))
    socket_clients = (
        *(*sockets.clients.values(), event_sockets.clients, notification_views.clients, ingest.clients),
        realtime.clients,
        *(views.clients for views in feed_views),
    )
    pings = Tasks()
    presence = Presence(
        settings, telemetry, context.redis, context.is_ready, lambda: sum(clients.count for clients in socket_clients)
    )
    health = HealthCheck(
        {"kafka": context.kafka_up, "postgres": context.reserved.is_up, "redis": _redis_up(context.redis)}, telemetry
    )

    async def exposition(request: web.Request) -> web.Response:
        """Counters for Prometheus."""
        return web.Response(body=telemetry.exposition(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def start(_: web.Application) -> None:
        warn_of_public_reads(settings)
        feed.start()
        events.start()
        road_notices.start()
        incidents.start()
        planning.start()
        for heard in heard_feeds:
            heard.start()
        ingest.start()
        realtime.start()
        pings.start(*(clients.keep_awake() for clients in socket_clients))
        context.registry.start()
        presence.start()

    async def close_sockets(_: web.Application) -> None:
        await asyncio.gather(feed.stop(), events.stop(), road_notices.stop(), planning.stop(), incidents.stop())
        await asyncio.gather(pings.stop(), realtime.stop())
        await asyncio.gather(*(heard.stop() for heard in heard_feeds))
        await asyncio.gather(*(clients.close_all() for clients in socket_clients))
        await ingest.stop()

    async def close_clients(_: web.Application) -> None:
        # Faust cleans up twice
        await presence.stop()
        await context.registry.stop()
        await route_cache.stop()
        await health.stop()
        await context.close()

    web_app[CONTEXT] = context
    middleware.install(web_app, settings)
    web_app[AUTHORITY] = Authority(settings, telemetry.failed_logins, web_app[LIMITER].address)
    web_app.on_startup.append(start)
    web_app.on_shutdown.append(close_sockets)
    web_app.on_cleanup.append(close_clients)
    operations = [
        *current.operations(),
        *history.operations(),
        *alert_export.operations(),  # before alerts: its path looks like an id there
        *alerts.operations(),
        *alert_actions.operations(),
        *alert_comments.operations(),
        *outages.operations(),
        *feed_quality.operations(),
        *alarms.operations(),
        *administration.operations(),
        *dashboard.operations(),
        *dashboard_settings.operations(),
        *registered_places.operations(),
        *maps.operations(),
        *roads.operations(),
        *feed_roads.operations(),
        *routes.operations(planning, route_cache),
        *road_exports.operations(planning),
        *CongestionViews(planning).operations(),
        *Reports(settings).operations(),
        *incident_actions.operations(),
        *suspected_incidents.operations(),
        *IncidentViews(planning, settings, context.feeds).operations(),
        *analytics.operations(),
        *lanes.operations(),
        *road_trends.operations(),
        *reliability.operations(),
        *bottlenecks.operations(),
        *comparisons.operations(),
        *areas.operations(),
        *simulated_spans.operations(),
        *predictions_roads.operations(),
        *prediction_accuracy.operations(),
        *camera_predictions.operations(settings),
        *FleetViews().operations(),
        *trajectories.operations(),
        *driven.operations(),
        *weather_history.operations(),
        *transit_vehicles.operations(),
        *BoardViews(transit).operations(),
        *RealtimeViews(transit).operations(),
        *CityViews(lambda: sum(clients.count for clients in socket_clients)).operations(),
        *replay.operations(),
        *places.operations(),
        *still_snapshots.operations(),
        *health.operations(),
        Operation("GET /metrics", exposition, Tag.OPERATION, access=Access.OPEN, content_type="text/plain"),
        *sockets.operations(),
        *event_sockets.operations(),
        *notification_views.operations(),
        *ingest.operations(),
        *realtime.operations(),
        *(operation for views in feed_views for operation in views.operations()),
    ]
    mount(web_app, [*operations, *documents.operations()])
    documents.prepare(web_app)
    web_app.add_routes([*pages.routes(settings.dashboard.tiles_url), *documents.routes()])


def _vehicles(feed_views: Iterable[FeedViews], topic: str) -> DocumentFeed | None:
    """What is told of the newest state of each vehicle, where a feed tells it."""
    return next((views.heard for views in feed_views if views.topic == topic), None)


def _redis_up(client: Redis) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return bool(await client.ping())

    return probe
