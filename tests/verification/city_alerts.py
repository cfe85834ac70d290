"""The alerts that all feeds of a city tell: each step once, in order, and the same in every store.

Compared exactly: that steps of an alert are numbered from 0 without a gap, the first opens it and none follows its end;
that no step is told twice; the table ``city_alerts``, and the document of each alert, by the topics. Whether the right
alerts were told is for the parts of the subjects.
"""

from __future__ import annotations

from typing import Any

from tests.verification.city_compare import Found, compare_near, us_of
from tests.verification.city_plan import Plan, Sent
from tests.verification.compare import Comparison

_TOPICS = (
    *("surge_alerts", "delay_alerts", "breakdown_alerts", "weather_alerts"),
    *("quality_alerts", "incident_alerts"),
)


class AlertsPart:
    """Sends nothing."""

    topics: tuple[str, ...] = ()

    def __init__(self, plan: Plan, seconds: int) -> None:
        pass

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """Nothing."""
        return []

    def compare(self, found: Found) -> list[Comparison]:
        """Topics, the table of all, and documents."""
        whole = Comparison("steps of alerts, in order and once")
        steps: dict[Any, dict[str, Any]] = {}
        newest: dict[str, dict[str, Any]] = {}
        for topic in _TOPICS:
            of_alert: dict[str, list[dict[str, Any]]] = {}
            for step in found.documents(topic):
                of_alert.setdefault(step["alert_id"], []).append(step)
                steps[step["alert_id"], step["revision"]] = _row(step)
            for alert_id, told in of_alert.items():
                whole.compared += len(told)
                states = [step["state"] for step in told]
                is_whole = [step["revision"] for step in told] == list(range(len(told)))
                if not is_whole or states[0] != "opened" or "resolved" in states[:-1] or "opened" in states[1:]:
                    whole.different += 1
                    whole.example(f"{topic} {alert_id}: {[(step['revision'], step['state']) for step in told]}")
                newest[f"alert:{topic}:{alert_id}"] = told[-1]
        rows = found.rows("SELECT *, alert_id::text FROM city_alerts")
        table = {(row["alert_id"], row["revision"]): {**row, "told_us": us_of(row["told_at"])} for row in rows}
        return [
            whole,
            compare_near("table city_alerts", steps, table),
            compare_near("documents of alerts", newest, found.redis_documents(newest)),
        ]


def _row(step: dict[str, Any]) -> dict[str, Any]:
    names = ("alert_type", "state", "severity", "subject", "title", "message", "latitude", "longitude")
    return {name: step[name] for name in names} | {"told_us": us_of(step["timestamp"])}
