"""Connected cars and trackers in the run over all feeds: what they send, and what must follow.

Compared exactly: letters; that each accepted fix went on once; for each device the sequence of records that the oracle
of `tests.fleet.oracle` says of the fixes in the order in which they went on; table and documents. Speeds and directions
that follow from places are compared within 0.5 %, as the oracle has the exact great circle. Steps of quality alerts
likewise exactly: jumps are far beyond the limit, or none.
"""

from __future__ import annotations

import json
from typing import Any

from models.fleet.fixes import Fix
from tests.fleet import oracle
from tests.verification.city_compare import Found, compare_counted, compare_near, us_of
from tests.verification.city_plan import BOUNDS, Plan, Sent, with_, without
from tests.verification.compare import Comparison

CARS, TRACKERS = "vehicle_data", "gps_data"
_DEVICES = 40
_WORDS = {"North": 0.0, "NE": 45.0, "south-west": 225.0, "WNW": 292.5, "eastbound": 90.0, "135": 135.0}
_SPOILT = (
    without("device_id"),
    without("location"),
    without("timestamp"),
    with_("device_id", [1]),
    with_("location", "here"),
    with_("location", [44.5]),
    with_("location", [11.35, 44.5], "outside_city"),
    with_("location", [45.4, 11.35], "outside_city"),
    with_("location", [144.5, 11.35], "invalid_place"),
    with_("speed", 999, "impossible_speed"),
    with_("speed", "fast"),
    with_("direction", "nowhere"),
    with_("timestamp", "yesterday", "invalid_timestamp"),
)
_TOLERANCES = {"speed": 0.005, "computed_speed": 0.005}
#: Told to a tenth, by the middle of the way; right is where its great circle begins.
_DIRECTIONS = {"direction": 0.5}


class FleetPart:
    """Devices that drive a line, and some that jump about; a third are heard by both feeds."""

    topics = (CARS, TRACKERS)

    def __init__(self, plan: Plan, seconds: int) -> None:
        self._plan = plan
        self._ahead = [plan.chance.uniform(0, 600) for _ in range(_DEVICES)]

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """What is sent in one second."""
        found: list[Sent] = []
        chance = self._plan.chance
        for device in chance.sample(range(_DEVICES), _DEVICES // 2):
            # the clock of the device gains on ours, and now and then something old comes late
            ahead = self._ahead[device] + number * 2 - (40 if chance.random() < 0.05 else 0)
            time_us = (now_us + round(ahead * 1e6)) // 1000 * 1000
            topics = (CARS, TRACKERS) if device % 3 == 0 else (chance.choice((CARS, TRACKERS)),)
            for topic in topics:
                found += self._fix(topic, device, time_us)
        return found

    def _fix(self, topic: str, device: int, time_us: int) -> list[Sent]:
        chance, name = self._plan.chance, f"car-{device}"
        south, west, north, east = BOUNDS
        if _jumps(name):
            place = chance.uniform(south, north), chance.uniform(west, east)
        else:  # 36 km/h along a line that is long enough, by the time it tells
            along = (time_us / 1e6 % 1400) * 9e-5
            place = 44.41 + along, 11.25 + device * 1e-3
        place = round(place[0], 6), round(place[1], 6)
        speed = chance.choice((None, round(chance.uniform(0, 90), 1)))
        word = chance.choice((None, *_WORDS))
        message: dict[str, Any] = {
            "id": self._plan.new_id(),
            "device_id": name,
            "timestamp": self._plan.time(time_us),
            "location": chance.choice((list(place), f"{place[0]},{place[1]}", [str(place[0]), str(place[1])])),
            "speed": chance.choice((speed, None if speed is None else str(speed))),
            "direction": word,
            "unknown": True,
        }
        if self._plan.is_dirty():
            return self._plan.dirty(topic, name, message, _SPOILT)
        heading = None if word is None else _WORDS[word]
        says = {"fix": (topic, name, time_us, place[0], place[1], speed, heading)}
        return self._plan.clean(topic, name, message, says)

    def compare(self, found: Found) -> list[Comparison]:
        """Everything that follows."""
        app = found.deployment.settings.app_id
        right = [meant.says["fix"] for topic in self.topics for _, meant in found.accepted(topic)]
        inner = [tuple(json.loads(record.value or b"")[:7]) for record in found.topic(f"{app}-fleet-inner")]
        heard: dict[str, list[Fix]] = {}
        for values in inner:
            heard.setdefault(values[1], []).append(Fix(*values))
        records = {device: oracle.records(fixes) for device, fixes in heard.items()}
        told: dict[str, list[dict[str, Any]]] = {}
        for one in found.documents("vehicle-positions"):
            told.setdefault(one["vehicle_id"], []).append(_plain(one))
        return [
            *found.letters(*self.topics),
            compare_counted("fixes that went on", right, inner),
            compare_near("records of vehicle-positions", _numbered(records), _numbered(told), _TOLERANCES, _DIRECTIONS),
            self._table(found, records),
            self._documents(found, records),
            self._alerts(found, heard),
        ]

    def _table(self, found: Found, records: dict[str, list[dict[str, Any]]]) -> Comparison:
        right: dict[Any, dict[str, Any]] = {}
        for device, told in records.items():
            for one in told:
                fields = {name: one[f"fix_{name}"] for name in ("latitude", "longitude", "speed", "direction")}
                fields["computed_speed"] = one["computed_speed"]
                right.setdefault((device, one["time_us"], one["feed"]), fields)
        rows = found.rows(
            "SELECT vehicle_id, observed_at, feed, latitude, longitude, speed_kmh AS speed, direction, "
            "computed_speed_kmh AS computed_speed FROM vehicle_positions"
        )
        table = {(row["vehicle_id"], us_of(row["observed_at"]), row["feed"]): row for row in rows}
        return compare_near("table vehicle_positions", right, table, _TOLERANCES, _DIRECTIONS)

    def _documents(self, found: Found, records: dict[str, list[dict[str, Any]]]) -> Comparison:
        right = {}
        for device, told in records.items():
            newest = max(one["time_us"] for one in told)
            right[f"vehicle:location:{device}"] = [one for one in told if one["time_us"] == newest][-1]
        there = found.redis_documents(right)
        return compare_near(
            "documents vehicle:location",
            right,
            {key: _plain(one) for key, one in there.items()},
            _TOLERANCES,
            _DIRECTIONS,
        )

    def _alerts(self, found: Found, heard: dict[str, list[Fix]]) -> Comparison:
        alerts = [one for one in found.documents("quality_alerts") if one["subject"].startswith("car-")]
        right = [(device, state) for device, fixes in heard.items() for state in _judged(fixes)]
        return compare_counted("quality alerts of cars", right, [(one["subject"], one["state"]) for one in alerts])


def _judged(heard: list[Fix]) -> list[str]:
    """Steps about a device: three jumps in its last ten moves, until twenty without one (docs/fleet.md)."""
    steps, moves, place = list[str](), list[bool](), heard[0]
    for fix in heard[1:]:
        if fix.time_us > place.time_us:
            metres = 200 + 250 / 3.6 * (fix.time_us - place.time_us) / 1e6
            moves.append(oracle.distance(place, fix) > metres)
            place = fix
            is_open = steps[-1:] == ["opened"]
            if not is_open and sum(moves[-10:]) >= 3:
                steps.append("opened")
                moves.clear()
            elif is_open and len(moves) >= 20 and not any(moves[-20:]):
                steps.append("resolved")
                moves.clear()
        elif fix.time_us == place.time_us and (fix.feed, place.feed) == (CARS, TRACKERS):
            place = fix  # of one time the car counts
    return steps


def _jumps(name: str) -> bool:
    return int(name.partition("-")[2]) % 10 == 7


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "time_us": us_of(record["timestamp"])}


def _numbered(records: dict[str, list[dict[str, Any]]]) -> dict[Any, dict[str, Any]]:
    return {(device, number): one for device, told in records.items() for number, one in enumerate(told)}
