"""Puts the application together: it alone knows settings, agents and web."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

from trafficapp.commands import faust_inspection, roles
from trafficapp.engine.app import TrafficApp
from trafficapp.settings import Role, Settings, load_settings

if TYPE_CHECKING:
    from trafficapp.feeds.declaration import Feed

_WATCH_SECONDS = 2.0

#: How often a worker looks whether its topics are still the ones that it took over.
_LOOK_AT_TOPICS_SECONDS = 10.0

#: What each role runs, but for ``site``, which is several of them; a module's ``register(app)`` puts its agent on the
#: application.
_ROLES: dict[str, tuple[str, ...]] = {
    "streams": ("agents.cameras.windows", "agents.cameras.finished_windows"),
    "alerts": ("agents.alerts",),
    "roads": ("agents.roads.feed", "agents.roads.forecasts"),
    "feeds": (),
    "history": (
        "agents.history",
        "agents.publications",
        "agents.roads.prediction_scores",
        "agents.geocoding",
        "agents.upkeep",
        "agents.alarms",
        "agents.feed_minutes",
    ),
    "live": ("agents.alarms", "agents.live", "agents.city"),
    "clickhouse": (),
    "lake": ("agents.lake",),
}


def create_app(settings: Settings | None = None, feeds: Sequence[Feed[Any]] | None = None) -> TrafficApp:
    """Build the application of this process, with all that is on it.

    Args:
        settings: of the process.
        feeds: those that are switched on; without it all that are declared.

    Raises:
        SettingsError: a setting is wrong.
    """
    app = app_for_commands(settings, feeds)
    app.declare()
    return app


def app_for_commands(settings: Settings | None = None, feeds: Sequence[Feed[Any]] | None = None) -> TrafficApp:
    """The same application, whose agents, tables and views come onto it when it starts or is asked for them.

    Faust makes the application for each of its commands, and most of them look at Kafka alone.
    """
    app = TrafficApp(settings or load_settings(), declare=lambda app: _declare(app, _switched_on(feeds)))
    faust_inspection.register(app)
    roles.register(app, get_args(Role), lambda role: _in_role(app.settings, role, _switched_on(feeds)))
    return app


def _switched_on(feeds: Sequence[Feed[Any]] | None) -> Sequence[Feed[Any]]:
    if feeds is None:
        # they bring the rules of all subjects along
        from trafficapp.feeds.declared import FEEDS

        return FEEDS
    return feeds


def _declare(app: TrafficApp, feeds: Sequence[Feed[Any]]) -> None:
    _put_agents_on(app, feeds)

    # only a worker serves, whatever else is asked of the application
    app.serve_with(
        lambda: import_module("web").register(
            app,
            app.settings,
            app.telemetry,
            local_current=app.local_current,
            outbox=app.outbox,
            is_ready=lambda: app.loaded,
            feeds=feeds,
        )
    )

    @app.timer(interval=_WATCH_SECONDS)
    async def watch() -> None:
        app.watch()

    @app.timer(interval=_LOOK_AT_TOPICS_SECONDS)
    async def look_at_topics() -> None:
        await app.look_at_topics()


def _put_agents_on(app: TrafficApp, feeds: Sequence[Feed[Any]]) -> None:
    app.feeds = feeds
    # a module that several of its roles have registers what each of them does
    for module in dict.fromkeys(module for role in app.roles for module in _ROLES[role]):
        import_module(module).register(app)
    import_module("agents.feeds").register(app)
    if "feeds" in app.roles:
        import_module("agents.rules").register(app, import_module("agents.feeds").check(app))


def _in_role(settings: Settings, role: str, feeds: Sequence[Feed[Any]]) -> TrafficApp:
    """The application as a worker of another role has it; it is to be looked at, not to be run."""
    worker = settings.worker.model_copy(update={"role": role})
    app = TrafficApp(settings.model_copy(update={"worker": worker}))
    _put_agents_on(app, feeds)
    return app
