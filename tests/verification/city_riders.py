"""Riders in the run over all feeds: taps, windows of zones, surges.

Compared exactly: letters of what producers sent wrong; that each accepted tap went on once to its station and once to
its cell; that windows have the ids that were tapped in them, each once, but for those of which every copy has a letter
that says that it was late for this zone; that a window is a surge when it has more than ten, and has one alert then,
which ends with the right number. In bounds: which taps are late follows from what partitions were read when, which
nobody can tell afterwards; so of each that is one it is checked that its zone had heard of a tap that was so far ahead
(window's end and lateness). Windows are compared once all are final, which silence sees to.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from tests.verification.city_compare import Found, compare_counted, compare_near, us_of
from tests.verification.city_plan import Plan, Sent, with_, without
from tests.verification.compare import Comparison
from trafficapp.topics import DEAD_LETTERS

_TOPIC = "rider_tapped_on"
_LATE = re.compile(r"the window of (\S+) of (\S+) is final").fullmatch
#: Of settings: windows that are short, so that a run has several.
WINDOW_SECONDS, LATENESS_SECONDS, IDLE_SECONDS, SURGE_TAPS = 15, 10, 30, 10
_WINDOW_US = WINDOW_SECONDS * 1_000_000
#: Places of stations, each with its cell of five characters, as any table of geohashes has them.
_STATIONS = {
    "ST-0": (44.4949, 11.3426, 12),
    "ST-1": (44.5056, 11.3430, 3),
    "ST-2": (44.4690, 11.2700, 2),
    "ST-3": (44.5400, 11.4300, 1),
}
_SPOILT = (
    without("event_id"),
    without("station_id"),
    without("latitude"),
    with_("latitude", "north"),
    with_("event_id", ""),
    with_("station_id", []),
    with_("timestamp", "just now", "invalid_timestamp"),
    with_("timestamp", "2090-01-01T00:00:00Z", "future"),
    with_("latitude", 11.35, "outside_city"),
    with_("longitude", 211.0, "invalid_place"),
)
_BASE32 = "0123456789bcdefghjkmnpqrstuvwxyz"


class RidersPart:
    """Stations with many riders and with few; taps come some seconds late, and twice."""

    topics = (_TOPIC,)

    def __init__(self, plan: Plan, seconds: int) -> None:
        self._plan = plan

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """What is sent in one second; the busiest station is so every other half minute."""
        plan, found = self._plan, list[Sent]()
        for station, (latitude, longitude, most) in _STATIONS.items():
            for _ in range(plan.chance.randrange(most + 1) if number // 30 % 2 == 0 or most < 10 else 0):
                event_id = plan.new_id()
                time_us = (now_us - plan.chance.randrange(4_000_000)) // 1000 * 1000
                place = [round(one + plan.chance.uniform(-1e-3, 1e-3), 6) for one in (latitude, longitude)]
                message: dict[str, Any] = {"event_id": event_id, "rider_id": plan.new_id(), "station_id": station}
                message |= {"latitude": place[0], "longitude": place[1], "timestamp": plan.time(time_us)}
                if plan.is_dirty():
                    found += plan.dirty(_TOPIC, event_id, message, _SPOILT)
                    continue
                says = {"event_id": event_id, "time_us": time_us, "zones": (f"station:{station}", geohash(*place, 5))}
                found += plan.clean(_TOPIC, event_id, message, says)
        return found

    def compare(self, found: Found) -> list[Comparison]:
        """Everything that follows."""
        app = found.deployment.settings.app_id
        accepted = found.accepted(_TOPIC)
        inner = [json.loads(record.value or b"") for record in found.topic(f"{app}-riders-inner")]
        went_on = [
            (zone, meant.says["event_id"], meant.says["time_us"])
            for _, meant in accepted
            for zone in meant.says["zones"]
        ]
        late = self._late(found)
        copies = {(record.partition, record.offset): meant.says for record, meant in accepted}
        refused = Counter(
            (zone, copies[place]["event_id"], copies[place]["time_us"]) for place, zone in late if place in copies
        )
        counted: dict[Any, set[str]] = {}
        for (zone, event_id, time_us), number in Counter(went_on).items():
            if refused[zone, event_id, time_us] < number:
                counted.setdefault((zone, time_us // _WINDOW_US * _WINDOW_US), set()).add(event_id)
        right = {
            key: {"tap_count": len(ids), "is_surge": len(ids) > SURGE_TAPS, "surge_limit": SURGE_TAPS}
            for key, ids in counted.items()
        }
        rows = found.rows("SELECT * FROM rider_windows")
        table = {(row["zone"], us_of(row["window_start"])): row for row in rows}
        told = found.documents("rider-windows")
        windows = {(one["zone"], us_of(one["window_start"])): {**one, "surge_limit": one["limit"]} for one in told}
        topic = compare_near("windows on the topic", right, windows)
        topic.extra += len(told) - len(windows)
        newest = {f"riders:zone:{zone}:window": right[zone, start] for zone, start in sorted(right)}
        documents = found.redis_documents(newest)
        return [
            *self._letters(found),
            compare_counted("taps that went on", went_on, [(one[0], one[1], one[2]) for one in inner]),
            topic,
            compare_near("table rider_windows", right, table),
            compare_near(
                "documents riders:zone:*:window",
                {k: {"tap_count": v["tap_count"]} for k, v in newest.items()},
                documents,
            ),
            self._surges(found, right),
            self._rightly_late(inner, copies, late),
        ]

    def _letters(self, found: Found) -> list[Comparison]:
        return found.letters(_TOPIC, leave_out="late")

    def _late(self, found: Found) -> list[tuple[tuple[int, int], str]]:
        """Places of taps that were late, and the zones for which they were."""
        late = []
        for one in found.documents(DEAD_LETTERS):
            if one["topic"] == _TOPIC and one["reason"] == "late":
                told = _LATE(one["detail"])
                late.append(((one["partition"], one["offset"]), told[2] if told else ""))
        return late

    def _rightly_late(
        self, inner: list[Any], copies: dict[tuple[int, int], Any], late: list[tuple[tuple[int, int], str]]
    ) -> Comparison:
        newest: dict[str, int] = {}
        for one in inner:
            newest[one[0]] = max(one[2], newest.get(one[0], 0))
        result = Comparison("taps that were late: their zone was ahead", compared=1)
        for place, zone in late:
            result.compared += 1
            says = copies.get(place)
            if says is None or zone not in says["zones"]:
                result.extra += 1
                result.example(f"{place} of {zone} is no tap of it")
            elif newest[zone] < says["time_us"] // _WINDOW_US * _WINDOW_US + _WINDOW_US:
                result.different += 1
                result.example(f"{place} of {zone}: nothing newer was heard there")
        return result

    def _surges(self, found: Found, right: dict[Any, dict[str, Any]]) -> Comparison:
        steps = []
        for (zone, start_us), one in right.items():
            if one["is_surge"]:
                steps += [(zone, start_us, "opened", SURGE_TAPS + 1), (zone, start_us, "resolved", one["tap_count"])]
        there = [
            (one["subject"], one["WINDOW_START"] * 1000, one["state"], one["TAP_COUNT"])
            for one in found.documents("surge_alerts")
        ]
        return compare_counted("steps of surges", steps, there)


def geohash(latitude: float, longitude: float, characters: int) -> str:
    """By halves, longitude first (Niemeyer's scheme)."""
    spans = [[-180.0, 180.0], [-90.0, 90.0]]
    bits = ""
    for number in range(characters * 5):
        span, value = spans[number % 2], (longitude, latitude)[number % 2]
        middle = sum(span) / 2
        bits += "1" if value >= middle else "0"
        span[0 if value >= middle else 1] = middle
    return "".join(_BASE32[int(bits[place : place + 5], 2)] for place in range(0, len(bits), 5))
