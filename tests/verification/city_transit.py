"""Public transport in the run over all feeds: what fleets and schedules send, and what must follow.

Compared exactly: letters; that each accepted position and route went on once; every row of ``transit_positions``; the
newest row of each vehicle in ``LIVE_VEHICLE_TABLE`` and its document; routes; the steps of alerts about breakdowns and
about vehicles that jump about, by `tests.transit.oracle` and the order in which positions went on, without the seconds
of silence. In bounds: delays follow from the broker's clock, so only the end is compared: a vehicle that was in service
last has one that is open, once everybody is silent, the others have none.
"""

from __future__ import annotations

import json
from typing import Any

from tests.transit import oracle
from tests.verification.city_compare import Found, compare_counted, compare_near, us_of
from tests.verification.city_plan import BOUNDS, Plan, Sent, with_, without
from tests.verification.compare import Comparison

_PLACES, _ROUTES = "vehicle_locations", "vehicle_routes"
_VEHICLES = 20
_FIELDS = ("type", "latitude", "longitude", "passenger_count", "status")
_SPOILT = (
    without("vehicle_id"),
    without("status"),
    without("latitude"),
    with_("status", "lost"),
    with_("latitude", "north"),
    with_("passenger_count", -1),
    with_("timestamp", "late", "invalid_timestamp"),
    with_("timestamp", "2090-01-01T00:00:00Z", "future"),
    with_("latitude", 11.35, "outside_city"),
    with_("longitude", 211.0, "invalid_place"),
)
_SPOILT_ROUTES = (
    without("path"),
    with_("path", [[44.5, 11.35]]),
    with_("path", [[44.5, 11.35], [44.5, 11.35]]),
    with_("path", [[11.35, 44.5], [11.36, 44.5]], "outside_city"),
    with_("expected_travel_time_minutes", "long"),
)

#: Of settings: after so long somebody is missed; short, so that it is seen at the end.
DELAY_SECONDS = 20


class TransitPart:
    """Vehicles that drive, that stand, that break down, that jump about; their clocks gain ten seconds a second."""

    topics = (_PLACES, _ROUTES)

    def __init__(self, plan: Plan, seconds: int) -> None:
        self._plan = plan

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """What is sent in one second."""
        plan, found = self._plan, list[Sent]()
        if number % 15 == 1:
            found += self._route(number // 15)
        for vehicle in plan.chance.sample(range(_VEHICLES), 8):
            late_us = 15_000_000 if plan.chance.random() < 0.05 else 0
            time_us = (now_us + number * 10_000_000 + plan.chance.randrange(900_000) - late_us) // 1000 * 1000
            found += self._position(vehicle, time_us)
        return found

    def _position(self, vehicle: int, time_us: int) -> list[Sent]:
        plan, name = self._plan, f"bus-{vehicle}"
        south, west, north, east = BOUNDS
        along = time_us / 1e6 % 1500 * 9e-5
        place = 44.42 + along, 11.22 + vehicle * 0.01
        if vehicle % 5 == 1:  # stands, within what satellites are off
            place = 44.5 + plan.chance.uniform(-1e-4, 1e-4), place[1]
        elif vehicle % 5 == 2:
            place = plan.chance.uniform(south, north), plan.chance.uniform(west, east)
        # one that breaks down and is mended, some that are done
        status = "in_service"
        if vehicle % 5 == 3:
            status = "broken_down" if time_us // 120_000_000 % 2 else "in_service"
        elif vehicle % 5 == 4:
            status = "end_of_service"
        fields: dict[str, Any] = {
            "type": "bus",
            "latitude": round(place[0], 6),
            "longitude": round(place[1], 6),
            "passenger_count": plan.chance.choice((None, 0, 17, 90)),
            "status": status,
        }
        message: dict[str, Any] = {"vehicle_id": name, **fields, "timestamp": plan.time(time_us)}
        if plan.is_dirty():
            return plan.dirty(_PLACES, name, message, _SPOILT)
        if plan.chance.random() < 0.1:
            message["latitude"] = str(fields["latitude"])
        return plan.clean(_PLACES, name, message, {"vehicle_id": name, "time_us": time_us, **fields})

    def _route(self, number: int) -> list[Sent]:
        name = f"bus-{number}"
        path = [[44.42, 11.22 + number * 0.01], [44.5, 11.22 + number * 0.01], [44.58, 11.22 + number * 0.01]]
        fields: dict[str, Any] = {"route_id": f"route-{number}", "vehicle_id": name, "path": path}
        fields |= {"vehicle_type": "bus", "expected_travel_time_minutes": 25.5}
        spoilt = self._plan.dirty(_ROUTES, name, {**fields, "route_id": f"spoilt-{number}"}, _SPOILT_ROUTES)
        return [*spoilt, *self._plan.clean(_ROUTES, name, fields, fields)]

    def compare(self, found: Found) -> list[Comparison]:
        """Everything that follows."""
        app = found.deployment.settings.app_id
        says = [meant.says for _, meant in found.accepted(_PLACES)]
        routes = [meant.says for _, meant in found.accepted(_ROUTES)]
        inner = [json.loads(record.value or b"") for record in found.topic(f"{app}-transit-inner")]
        positions = [one[1:] for one in inner if one[0] == "p"]
        heard: dict[str, list[oracle.Said]] = {}
        for name, kind, latitude, longitude, passengers, status, time_us in positions:
            said = oracle.Said(name, time_us, 0, latitude, longitude, status, passengers, kind)
            heard.setdefault(name, []).append(said)
        rows = found.rows("SELECT * FROM transit_positions")
        table = {(row["vehicle_id"], us_of(row["observed_at"])): row for row in rows}
        right = {(one["vehicle_id"], one["time_us"]): {name: one[name] for name in _FIELDS} for one in says}
        newest = {name: _newest(said) for name, said in heard.items()}
        live = {}
        for record in found.topic("LIVE_VEHICLE_TABLE"):
            row = {name.lower(): value for name, value in json.loads(record.value or b"").items()}
            live[(record.key or b"").decode()] = {**row, "time_us": us_of(row["last_updated"])}
        documents = found.redis_documents(f"transit:vehicle:{name}" for name in newest)
        current = {key.split(":")[2]: {**one, "time_us": us_of(one["last_updated"])} for key, one in documents.items()}
        told = found.redis_documents(f"transit:route:{one['route_id']}" for one in routes)
        return [
            *found.letters(*self.topics),
            compare_counted("positions that went on", map(_flat, says), map(tuple, positions)),
            compare_counted(
                "routes that went on", [one["route_id"] for one in routes], [one[2] for one in inner if one[0] == "r"]
            ),
            compare_near("table transit_positions", right, table),
            compare_near("rows of LIVE_VEHICLE_TABLE", newest, live),
            compare_near("documents transit:vehicle:*", newest, current),
            compare_near(
                "documents transit:route:*", {f"transit:route:{one['route_id']}": one for one in routes}, told
            ),
            self._alerts(found, heard),
            self._delays(found, heard),
        ]

    def _alerts(self, found: Found, heard: dict[str, list[oracle.Said]]) -> Comparison:
        right: dict[Any, list[tuple[str, str]]] = {}
        for name, said in heard.items():
            for step in oracle.steps(said, name, oracle.Limits()):
                if step.rule != "delay":
                    right.setdefault((name, step.rule), []).append((step.state, step.severity))
        there: dict[Any, list[tuple[str, str]]] = {}
        for one in [*found.documents("breakdown_alerts"), *found.documents("quality_alerts")]:
            if one["subject"].startswith("bus-"):
                there.setdefault((one["subject"], one["alert_type"]), []).append((one["state"], one["severity"]))
        return compare_near(
            "breakdowns and jumps, step by step",
            {key: {"steps": steps} for key, steps in right.items()},
            {key: {"steps": steps} for key, steps in there.items()},
        )

    def _delays(self, found: Found, heard: dict[str, list[oracle.Said]]) -> Comparison:
        states = {name: "none" for name in heard}
        for one in found.documents("delay_alerts"):
            states[one["subject"]] = "none" if one["state"] == "resolved" else "open"
        last = {name: _newest(said)["status"] for name, said in heard.items()}
        right = {name: {"delay": "open" if status == "in_service" else "none"} for name, status in last.items()}
        return compare_near("delays at the end", right, {name: {"delay": state} for name, state in states.items()})


def _flat(one: Any) -> tuple[Any, ...]:
    return one["vehicle_id"], *(one[name] for name in _FIELDS), one["time_us"]


def _newest(said: list[oracle.Said]) -> dict[str, Any]:
    one = oracle.newest(said, said[0].vehicle, oracle.Limits())
    assert one is not None
    place = {"latitude": one.latitude, "longitude": one.longitude}
    return place | {"type": one.type, "passenger_count": one.passengers, "status": one.status, "time_us": one.at_us}
