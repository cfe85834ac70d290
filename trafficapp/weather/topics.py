"""Names of the topics about weather."""

from __future__ import annotations

#: What stations send.
WEATHER_DATA = "weather_data"

#: Steps of alerts, by station.
WEATHER_ALERTS = "weather_alerts"

#: The newest reading of each station, and what follows from it.
WEATHER_CURRENT = "weather-current"
