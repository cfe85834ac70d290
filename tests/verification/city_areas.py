"""Area counters in the run over all feeds: what they send, and what must follow.

Compared exactly: letters of both topics; that each accepted reading went on once; every row of ``area_readings``; the
row of each stream in ``traffic_data`` and its document, both of its newest second; which one where there are two of
one second is not. Not compared: addresses, which come
when whoever knows them answers, and when a row was created.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from tests.verification.city_compare import Found, compare_counted, compare_near, us_of
from tests.verification.city_plan import BOUNDS, ZONE_OFFSET, Plan, Sent, with_, without
from tests.verification.compare import Comparison

_STREAMS = 25
_ROUNDED = ("location", "longitude", "latitude", "total_in_area", "estimated_max_people", "label", "type")
_SPOILT = (
    without("stream_id"),
    without("timestamp"),
    without("total_in_area"),
    without("latitude", "invalid_field"),  # of a place there is both or none
    with_("latitude", None),
    with_("stream_id", "nobody"),
    with_("total_in_area", -3),
    with_("total_in_area", 2.5),
    with_("estimated_max_people", "many"),
    with_("timestamp", "soon", "invalid_timestamp"),
    with_("timestamp", "2090-01-01T00:00:00Z", "future"),
    with_("latitude", 11.35, "outside_city"),
    with_("longitude", 211.0, "invalid_place"),
)


class AreasPart:
    """Streams that are read every few seconds, a third under the older name of the topic."""

    topics = ("traffic_data", "ws_incoming")

    def __init__(self, plan: Plan, seconds: int) -> None:
        self._plan = plan
        self._streams = [plan.new_id() for _ in range(_STREAMS)]

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """What is sent in one second."""
        plan, found = self._plan, list[Sent]()
        south, west, north, east = BOUNDS
        for stream in plan.chance.sample(range(_STREAMS), 8):
            time_us = (now_us - plan.chance.randrange(30_000_000)) // 1_000_000 * 1_000_000
            written, day = self._time(time_us)
            stream_id = self._streams[stream]
            fields: dict[str, Any] = {
                "location": plan.chance.choice((None, "Piazza Maggiore", "Via Emilia ü")),
                "longitude": round(plan.chance.uniform(west, east), 6),
                "latitude": round(plan.chance.uniform(south, north), 6),
                "total_in_area": plan.chance.randrange(100),
                "estimated_max_people": plan.chance.choice((None, 250)),
                "label": plan.chance.choice(("normal", "rather crowded today")),
                "type": "car",
            }
            message: dict[str, Any] = {"stream_id": stream_id, "timestamp": written, **fields, "version": 3}
            is_dirty = plan.is_dirty()
            if not is_dirty and plan.chance.random() < 0.3:
                message["numbers_of_cars"] = message.pop("total_in_area")
            if not is_dirty and plan.chance.random() < 0.3:
                message |= {"longitude": str(message["longitude"]), "stream_id": stream_id.upper().replace("-", "")}
            topic = self.topics[stream % 3 == 0]
            if is_dirty:
                found += plan.dirty(topic, stream_id, message, _SPOILT)
            else:
                says = {"stream_id": stream_id, "time_us": time_us, "day_month_year": day, **fields}
                found += plan.clean(topic, stream_id, message, says)
        return found

    def _time(self, time_us: int) -> tuple[str | int, str]:
        """A time as counters write it, and the day where they stand."""
        at = datetime.fromtimestamp(time_us / 1e6, UTC)
        zone: timezone = ZONE_OFFSET
        form = self._plan.chance.randrange(5)
        if form == 0:
            written: str | int = at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S%z")
        elif form == 1:
            zone = timezone(timedelta(hours=-9, minutes=-30))
            written = at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S%z")
        elif form == 2:
            written = at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        elif form == 3:
            written = time_us // 1_000_000
        else:
            written = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return written, at.astimezone(zone).strftime("%d_%m_%Y")

    def compare(self, found: Found) -> list[Comparison]:
        """Everything that follows."""
        app = found.deployment.settings.app_id
        says = [meant.says for topic in self.topics for _, meant in found.accepted(topic)]
        inner = found.documents(f"{app}-area-readings")
        right = {_key(one): one for one in says}
        rows = found.rows("SELECT *, stream_id::text FROM area_readings")
        streams = found.rows('SELECT *, stream_id::text, "timestamp" AS read_at FROM traffic_data')
        table = {_key(one): one for one in (_plain_row(row) for row in rows)}
        result = compare_near("table area_readings", right, table)
        result.extra += len(rows) - len(table)
        newest: dict[str, int] = {}
        for one in says:
            newest[one["stream_id"]] = max(one["time_us"], newest.get(one["stream_id"], 0))
        there = {row["stream_id"]: _plain_row(row) for row in streams}
        documents = found.redis_documents(f"area:{stream}:current" for stream in self._streams)
        current = {key.split(":")[1]: _plain(one) for key, one in documents.items()}
        return [
            *found.letters(*self.topics),
            compare_counted("readings that went on", map(_key, says), [_key(_plain(one)) for one in inner]),
            result,
            self._newest("table traffic_data", newest, right, there),
            self._newest("documents area:*:current", newest, right, current),
        ]

    def _newest(
        self, name: str, newest: dict[str, int], right: dict[Any, Any], there: dict[str, dict[str, Any]]
    ) -> Comparison:
        """Of each stream a reading of its newest second, and all that this one says."""
        result = Comparison(name)
        for stream, time_us in newest.items():
            one = there.get(stream)
            if one is None:
                result.missing += 1
                result.example(f"missing {stream}")
                continue
            result.compared += 1
            if one["time_us"] != time_us or _key(one) not in right:
                result.different += 1
                result.example(f"different {stream}: {one} instead of one of {time_us}")
        result.extra = len(there.keys() - newest.keys())
        return result


def _key(one: dict[str, Any]) -> tuple[Any, ...]:
    return one["stream_id"], one["time_us"], one["day_month_year"], *(one[name] for name in _ROUNDED)


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "time_us": us_of(document["timestamp"])}


def _plain_row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "time_us": us_of(row["read_at"])}
