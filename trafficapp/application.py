"""Puts the application together: it alone knows settings, agents and web."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, get_args

from trafficapp.commands import faust_inspection, roles
from trafficapp.engine.app import TrafficApp
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Role, Settings, load_settings

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


def create_app(settings: Settings | None = None, feeds: Sequence[Feed[Any]] = FEEDS) -> TrafficApp:
    """Build the application of this process.

    Args:
        settings: of the process.
        feeds: those that are switched on.

    Raises:
        SettingsError: a setting is wrong.
    """
    app = _with_agents(settings or load_settings(), feeds)
    faust_inspection.register(app)
    roles.register(app, get_args(Role), lambda role: _in_role(app.settings, role, feeds))

    # only a worker serves; commands need not load what would
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

    return app


def _with_agents(settings: Settings, feeds: Sequence[Feed[Any]]) -> TrafficApp:
    app = TrafficApp(settings, feeds)
    # a module that several of its roles have registers what each of them does
    for module in dict.fromkeys(module for role in app.roles for module in _ROLES[role]):
        import_module(module).register(app)
    import_module("agents.feeds").register(app)
    if "feeds" in app.roles:
        import_module("agents.rules").register(app, import_module("agents.feeds").check(app))
    return app


def _in_role(settings: Settings, role: str, feeds: Sequence[Feed[Any]]) -> TrafficApp:
    """The application as a worker of another role has it; it is to be looked at, not to be run."""
    worker = settings.worker.model_copy(update={"role": role})
    return _with_agents(settings.model_copy(update={"worker": worker}), feeds)
