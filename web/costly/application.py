"""What the process for costly questions serves: the views of a worker that are declared for it."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import Settings
from trafficapp.stores.redis.connection import connect
from web.alarms import performance
from web.alerts import export as alert_export
from web.alerts import views as alerts
from web.auth.access import AUTHORITY, Authority
from web.auth.callers import CALLER, Caller
from web.cameras import analytics, history, lanes
from web.city import replay
from web.costly import asked_by
from web.costly.answering import Answering
from web.fleet import driven
from web.guards.memory import give_memory_back
from web.roads import bottlenecks, comparisons, reliability
from web.roads import trends as road_trends
from web.serving.context import CONTEXT, WebContext
from web.serving.database import Database
from web.serving.limits import LIMITER, RateLimiter
from web.serving.operations import Operation
from web.serving.problems import problems

_ASKED_BY = web.RequestKey("asked_by", asked_by.AskedBy)


class _Known(RateLimiter):
    """Knows clients by what the worker says."""

    def client(self, request: web.Request, caller: Caller) -> str:
        """As whom the worker counts a request."""
        return request[_ASKED_BY].client


def operations() -> list[Operation]:
    """What is answered here."""
    declared = [
        *alert_export.operations(),  # before alerts: its path looks like an id there
        *alerts.operations(),
        *performance.operations(),
        *history.operations(),
        *analytics.operations(),
        *lanes.operations(),
        *road_trends.operations(),
        *reliability.operations(),
        *bottlenecks.operations(),
        *comparisons.operations(),
        *driven.operations(),
        *replay.operations(),
    ]
    return [operation for operation in declared if operation.apart]


def make_application(settings: Settings, answering: Answering) -> web.Application:
    """An application that answers for a worker.

    Args:
        settings: of the worker.
        answering: learns of each question.
    """
    url, telemetry = settings.redis.url.get_secret_value(), Telemetry(settings.worker.role, settings.app_id)
    # whoever asks here asks for much
    connections = settings.limits.costly_at_once + 1
    context = WebContext(
        settings=settings,
        telemetry=telemetry,
        redis=connect(url),
        database=Database(settings.postgres, connections, on_one_core=True, is_behind=True),
        kafka_up=_nobody_asks,
    )
    context.costly = context.database

    @web.middleware
    async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
        who = asked_by.heard(request.headers[asked_by.HEADER])
        request[_ASKED_BY], request[CALLER] = who, who.caller
        with answering.question():
            try:
                return await handler(request)
            finally:
                await give_memory_back()

    async def start(_: web.Application) -> None:
        context.registry.start()

    async def stop(_: web.Application) -> None:
        await context.registry.stop()
        await context.close()

    application = web.Application(middlewares=[known, problems])
    application[CONTEXT] = context
    application[LIMITER] = limiter = _Known(settings.limits)
    application[AUTHORITY] = Authority(settings, telemetry.failed_logins, limiter.address)
    application.on_startup.append(start)
    application.on_cleanup.append(stop)
    for operation in operations():
        application.router.add_get(operation.path, operation.respond, allow_head=True)
    return application


async def _nobody_asks() -> bool:
    return False
