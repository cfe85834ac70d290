"""Weather stations in the run over all feeds: what they send, and what must follow.

Compared exactly: letters; that each accepted reading went on once; every row of the table; for each station the
sequence of what is told of its newest reading, by the order in which readings went on; documents. In bounds: stations
where it is always bad have one alert of bad air and one of heavy rain that stay open, stations where it is always fine
have none; what the others tell must be whole (`tests.verification.city_alerts`).
"""

from __future__ import annotations

from math import floor
from typing import Any

from tests.verification.city_compare import Found, compare_counted, compare_near, us_of
from tests.verification.city_plan import BOUNDS, Plan, Sent, with_, without
from tests.verification.compare import Comparison

_TOPIC = "weather_data"
_STATIONS = 10
_BAD, _FINE = (0, 1, 2), (3, 4, 5)
_MEASURED = ("temperature", "humidity", "wind_speed", "precipitation", "visibility", "pm2_5")
#: EPA, Technical Assistance Document for the Reporting of Daily Air Quality, May 2024: the highest index of each band.
_BANDS = (
    (50, "Good"),
    (100, "Moderate"),
    (150, "Unhealthy for Sensitive Groups"),
    (200, "Unhealthy"),
    (300, "Very Unhealthy"),
    (500, "Hazardous"),
)
_SPOILT = (
    without("device_id"),
    without("location"),
    without("timestamp"),
    with_("location", "here"),
    with_("location", [11.35, 44.5], "outside_city"),
    with_("location", [95.0, 11.35], "invalid_place"),
    with_("temperature", 451),
    with_("humidity", "wet"),
    with_("airQualityIndex", 501),
    with_("wind_speed", -1),
    with_("timestamp", "noon", "invalid_timestamp"),
)


class WeatherPart:
    """Stations whose clocks gain half a minute a second, and that say something old now and then."""

    topics = (_TOPIC,)

    def __init__(self, plan: Plan, seconds: int) -> None:
        self._plan = plan

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """What is sent in one second."""
        plan, found = self._plan, list[Sent]()
        for station in plan.chance.sample(range(_STATIONS), 6):
            late = plan.chance.random() < 0.1
            ahead_us = number * 30_000_000 + plan.chance.randrange(1_000) * 1_000 - (120_000_000 if late else 0)
            time_us = (now_us + ahead_us) // 1000 * 1000
            found += self._reading(station, time_us)
        return found

    def _reading(self, station: int, time_us: int) -> list[Sent]:
        plan, name = self._plan, f"station-{station}"
        south, west, north, east = BOUNDS
        place = [round(south + (north - south) * station / _STATIONS, 6), round((west + east) / 2, 6)]
        if station in _BAD:
            values: dict[str, Any] = {"temperature": 21.5, "precipitation": 20.0, "airQualityIndex": 377.39}
        elif station in _FINE:
            values = {"temperature": 21.5, "precipitation": 0.0, "airQualityIndex": 30.0}
        else:
            values = {
                "temperature": round(plan.chance.uniform(-20, 40), 2),
                "precipitation": round(plan.chance.uniform(0, 60), 2),
                "airQualityIndex": round(plan.chance.uniform(0, 500), 2),
                "visibility": round(plan.chance.uniform(20, 5000)),
                "wind_speed": round(plan.chance.uniform(0, 140), 1),
            }
        values["humidity"] = round(plan.chance.uniform(20, 90), 1)
        message = {"id": plan.new_id(), "device_id": name, "timestamp": plan.time(time_us), "location": place}
        message |= {"weather_condition": "Cloudy", **values}
        if plan.is_dirty():
            return plan.dirty(_TOPIC, name, message, _SPOILT)
        if plan.chance.random() < 0.2:
            message["humidity"] = str(values["humidity"])
        says = {"station": name, "time_us": time_us, "place": place, "condition": "Cloudy", **values}
        return plan.clean(_TOPIC, name, message, says)

    def compare(self, found: Found) -> list[Comparison]:
        """Everything that follows."""
        app = found.deployment.settings.app_id
        says = [meant.says for _, meant in found.accepted(_TOPIC)]
        inner = found.documents(f"{app}-weather-inner")
        table: dict[Any, dict[str, Any]] = {}
        for one in says:
            table.setdefault((one["station"], one["time_us"]), _row(one))
        rows = found.rows("SELECT * FROM weather_observations")
        kept = {(row["station"], us_of(row["observed_at"])): row for row in rows}
        right = {
            station: [_current(one) for one in _newest([one for one in inner if one["station"] == station])]
            for station in {one["station"] for one in inner}
        }
        told: dict[str, list[dict[str, Any]]] = {}
        for one in found.documents("weather-current"):
            told.setdefault(one["station"], []).append(one)
        documents = found.redis_documents(f"weather:{station}" for station in right)
        last = {f"weather:{station}": ones[-1] for station, ones in right.items()}
        return [
            *found.letters(_TOPIC),
            compare_counted("readings that went on", map(_inner_of, says), map(_inner, inner)),
            compare_near("table weather_observations", table, kept),
            compare_near("what is told of newest readings", _numbered(right), _numbered(told)),
            compare_near("documents weather:*", last, documents),
            self._alerts(found, {one["station"] for one in says}),
        ]

    def _alerts(self, found: Found, stations: set[str]) -> Comparison:
        fixed = {f"station-{number}" for number in (*_BAD, *_FINE)} & stations
        bad = {f"station-{number}" for number in _BAD} & stations
        right = [(station, kind, "opened") for station in bad for kind in ("air_quality", "heavy_rain")]
        alerts = [one for one in found.documents("weather_alerts") if one["subject"] in fixed]
        there = [(one["subject"], one["alert_type"], one["state"]) for one in alerts]
        return compare_counted("alerts of weather that stays as it is", right, there)


def _row(one: dict[str, Any]) -> dict[str, Any]:
    fields = {name: one.get(name) for name in _MEASURED}
    index = {"air_quality_index": one["airQualityIndex"], "weather_condition": one["condition"]}
    return fields | index | {"location": one["place"]}


def _inner_of(one: dict[str, Any]) -> tuple[Any, ...]:
    measured = tuple(one.get(name) for name in _MEASURED)
    return one["station"], one["time_us"], *one["place"], one["airQualityIndex"], *measured


def _inner(one: dict[str, Any]) -> tuple[Any, ...]:
    measured = tuple(one.get(name) for name in _MEASURED)
    place = one["latitude"], one["longitude"]
    return one["station"], one["observed_us"], *place, one["air_quality_index"], *measured


def _newest(heard: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Readings that were the newest when they came and said something new."""
    found: list[dict[str, Any]] = []
    for one in heard:
        if not found or (one["observed_us"] >= found[-1]["observed_us"] and one != found[-1]):
            found.append(one)
    return found


def _current(one: dict[str, Any]) -> dict[str, Any]:
    index = floor(one["air_quality_index"] + 0.5)
    return {
        **{name: one.get(name) for name in ("station", "latitude", "longitude", *_MEASURED)},
        "weather_condition": one["condition"],
        "air_quality_index": index,
        "air_quality_band": next(name for highest, name in _BANDS if index <= highest),
        "is_current": True,
    }


def _numbered(records: dict[str, list[dict[str, Any]]]) -> dict[Any, dict[str, Any]]:
    return {(name, number): one for name, told in records.items() for number, one in enumerate(told)}
