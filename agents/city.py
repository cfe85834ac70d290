"""Reckons how traffic flows in the whole city, role ``live``."""

from __future__ import annotations

from trafficapp.engine.app import TrafficApp
from trafficapp.stores.city.overview import CityReckoning
from trafficapp.stores.redis.connection import connect


def register(app: TrafficApp) -> None:
    """Put the task on an application."""
    client = connect(app.settings.redis.url.get_secret_value())
    reckoning = CityReckoning(client, app.settings)
    app.close_at_end(client.aclose)

    @app.task
    async def reckon_the_city() -> None:
        await reckoning.run()
