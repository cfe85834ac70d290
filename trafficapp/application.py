"""Puts the application together: it alone knows settings, agents and web."""

from __future__ import annotations

from importlib import import_module

from trafficapp.commands import inspection, roles
from trafficapp.engine.app import TrafficApp
from trafficapp.settings import Settings, load_settings

_WATCH_SECONDS = 2.0

#: How often a worker looks whether its topics are still the ones that it took over.
_LOOK_AT_TOPICS_SECONDS = 10.0

#: What each role runs; a module's ``register(app)`` puts its agent on the application.
_ROLES: dict[str, tuple[str, ...]] = {
    "streams": ("agents.cameras.windows", "agents.cameras.finished_windows"),
    "alerts": ("agents.alerts",),
    "roads": ("agents.roads.feed", "agents.roads.forecasts"),
    "history": (
        "agents.history",
        "agents.publications",
        "agents.roads.history_roads",
        "agents.roads.history_predictions",
        "agents.roads.prediction_scores",
        "agents.upkeep",
        "agents.roads.history_notifications",
    ),
    "live": (
        "agents.live",
        "agents.roads.live_roads",
        "agents.roads.live_predictions",
        "agents.roads.live_notifications",
    ),
}


def create_app(settings: Settings | None = None) -> TrafficApp:
    """Build the application of this process.

    Raises:
        SettingsError: a setting is wrong.
    """
    app = _with_agents(settings or load_settings())
    inspection.register(app)
    roles.register(app, tuple(_ROLES), lambda role: _in_role(app.settings, role))

    import_module("web").register(
        app,
        app.settings,
        app.telemetry,
        local_current=app.local_current,
        outbox=app.outbox,
        is_ready=lambda: app.loaded,
    )

    @app.timer(interval=_WATCH_SECONDS)
    async def watch() -> None:
        app.watch()

    @app.timer(interval=_LOOK_AT_TOPICS_SECONDS)
    async def look_at_topics() -> None:
        await app.look_at_topics()

    return app


def _with_agents(settings: Settings) -> TrafficApp:
    app = TrafficApp(settings)
    for module in _ROLES[settings.worker.role]:
        import_module(module).register(app)
    return app


def _in_role(settings: Settings, role: str) -> TrafficApp:
    """The application as a worker of another role has it; it is to be looked at, not to be run."""
    worker = settings.worker.model_copy(update={"role": role})
    return _with_agents(settings.model_copy(update={"worker": worker}))
