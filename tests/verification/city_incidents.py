"""Incidents and emergencies in the run over all feeds: what both desks send, and what must follow.

Compared exactly: letters; that each accepted report went on once; what each report did and of which incident it is,
and what every incident is in the end, by `tests.incidents.oracle`, the order in which reports went on and the times
that the broker gave them. The end of time is not in it: no run lasts as long as an incident does, and one that is
cleared may be back to normal by then or not.
"""

from __future__ import annotations

import json
from typing import Any

from tests.incidents import oracle
from tests.verification.city_compare import Found, compare_counted, compare_near, us_of
from tests.verification.city_plan import BOUNDS, Plan, Sent, with_, without
from tests.verification.compare import Comparison

_DESK, _EMERGENCIES = "traffic_incidents", "emergency_incident_data"
_KINDS = {"Accident": "accident", "Breakdown": "breakdown", "Theft": "theft", "Vehicle Fire": "fire", "UFO": "other"}
_SPOILT = {
    _DESK: (
        without("incident_id"),
        without("type"),
        with_("type", "ufo"),
        with_("severity", 6),
        with_("severity", "bad"),
        with_("latitude", 11.35, "outside_city"),
        with_("timestamp", "late", "invalid_timestamp"),
    ),
    _EMERGENCIES: (
        without("id"),
        without("incidentId"),
        with_("status", "Unknown"),
        with_("location", [11.35, 44.5], "outside_city"),
        with_("location", [44.5]),
        with_("timestamp", "late", "invalid_timestamp"),
    ),
}


class IncidentsPart:
    """Both desks report around a few places, so that much is merged; a desk says again what changed."""

    topics = (_DESK, _EMERGENCIES)

    def __init__(self, plan: Plan, seconds: int) -> None:
        self._plan = plan
        south, west, north, east = BOUNDS
        chance = plan.chance
        self._places = [(chance.uniform(south, north), chance.uniform(west, east)) for _ in range(15)]

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """What is sent in one second."""
        found = list[Sent]()
        for _ in range(2):
            # times some minutes apart, so that not all is merged that is near
            time_us = (now_us - self._plan.chance.randrange(1_800) * 1_000_000) // 1000 * 1000
            found += self._of_desk(number, time_us)
            found += self._of_emergency_desk(number, time_us)
        return found

    def _place(self) -> tuple[float, float]:
        chance = self._plan.chance
        latitude, longitude = chance.choice(self._places)
        south, west, north, east = BOUNDS
        latitude = min(max(latitude + chance.uniform(-2e-3, 2e-3), south), north)
        return round(latitude, 6), round(min(max(longitude + chance.uniform(-1e-3, 1e-3), west), east), 6)

    def _of_desk(self, number: int, time_us: int) -> list[Sent]:
        plan, place = self._plan, self._place()
        name = f"inc-{plan.chance.randrange(max(number, 1) * 2)}"
        kind, level = plan.chance.choice(("accident", "road_closure", "heavy_traffic")), plan.chance.randrange(1, 6)
        message = {"incident_id": name, "type": kind, "latitude": place[0], "longitude": place[1], "severity": level}
        message |= {"description": f"as of {plan.new_id()}", "timestamp": plan.time(time_us)}
        if plan.is_dirty():
            return plan.dirty(_DESK, name, message, _SPOILT[_DESK])
        says = {"report": ("desk", name, kind, *place, time_us, level, False)}
        return plan.clean(_DESK, name, message, says)

    def _of_emergency_desk(self, number: int, time_us: int) -> list[Sent]:
        plan, place = self._plan, self._place()
        name = f"em-{plan.chance.randrange(max(number, 1) * 2)}"
        word, status = plan.chance.choice(list(_KINDS)), plan.chance.choice(("Active", "Active", "Resolved"))
        message = {"id": plan.new_id(), "device_id": "unit", "incidentId": name, "timestamp": plan.time(time_us)}
        message |= {"location": list(place), "incident_type": word, "status": status, "description": ""}
        if plan.is_dirty():
            return plan.dirty(_EMERGENCIES, name, message, _SPOILT[_EMERGENCIES])
        says = {"report": ("emergency", name, _KINDS[word], *place, time_us, None, status == "Resolved")}
        return plan.clean(_EMERGENCIES, name, message, says)

    def compare(self, found: Found) -> list[Comparison]:
        """Everything that follows."""
        app = found.deployment.settings.app_id
        right = [meant.says["report"] for topic in self.topics for _, meant in found.accepted(topic)]
        records = found.topic(f"{app}-incidents-inner")
        inner = [_inner(json.loads(record.value or b"")) for record in records]
        judge = oracle.Oracle()
        for record, (source, name, kind, latitude, longitude, time_us, level, over) in zip(records, inner, strict=True):
            told = oracle.Told(kind, (latitude, longitude), time_us, level)
            record_us = record.timestamp_ms * 1000
            judge.report(source, name, told, over, record_us, record_us)
        reports = found.documents("incident_reports")
        incidents = found.documents("incidents")
        alerts = {one["incident_id"]: one["state"] != "resolved" for one in found.documents("incident_alerts")}
        # an id that both desks use is told apart by what it begins with, so none is taken twice
        last = {one["incident_id"]: one for one in incidents}
        facts = {name: {"facts": _calm(one)} for name, one in judge.facts().items()}
        there = {name: {"facts": _calm(_facts(one, alerts))} for name, one in last.items()}
        rows = found.rows("SELECT * FROM incidents")
        table = {row["incident_id"]: {**row, "updated_us": us_of(row["updated_at"])} for row in rows}
        names = ("revision", "state", "kind", "severity_level", "closed", "is_emergency", "reports", "reopened")
        wanted = {
            name: {field: one[field] for field in names} | {"updated_us": us_of(one["updated_at"])}
            for name, one in last.items()
        }
        documents = {f"emergency:incident:{name}": one for name, one in last.items()}
        stored = found.rows("SELECT * FROM incident_reports")
        return [
            *found.letters(*self.topics),
            compare_counted("reports that went on", right, inner),
            compare_counted(
                "what reports did", judge.effects, [(one["incident_id"], one["effect"]) for one in reports]
            ),
            compare_near("incidents in the end", facts, there),
            compare_near("table incidents", wanted, table),
            compare_counted(
                "table incident_reports",
                [(one["report_id"], one["incident_id"], one["effect"]) for one in reports],
                [(row["report_id"], row["incident_id"], row["effect"]) for row in stored],
            ),
            compare_near("documents emergency:incident:*", documents, found.redis_documents(documents)),
        ]


def _inner(one: dict[str, Any]) -> tuple[Any, ...]:
    place = one["lat"], one["lon"]
    over = one.get("resolved", False)
    return one["source"], one["source_id"], one["kind"], *place, one["time_us"], one.get("level"), over


def _facts(one: dict[str, Any], alerts: dict[str, bool]) -> tuple[Any, ...]:
    return (
        *(one["incident_id"], one["state"], one["kind"], one["severity_level"], one["closed"], one["is_emergency"]),
        *(one["reports"], (one["latitude"], one["longitude"]), us_of(one["timestamp"]), us_of(one["last_event_at"])),
        *(one["cleared_by"], tuple(one["units"]), alerts.get(one["incident_id"], False)),
    )


def _calm(facts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Facts in which what is over is over, whichever way."""
    name, state, *rest = facts
    return name, "over" if state in ("cleared", "normal") else state, *rest
