"""What a run over the city's feeds left, read back, and compared by value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from redis import Redis

from tests.verification.city_plan import Meant, Plan
from tests.verification.compare import Comparison
from tests.verification.deployment import Deployment
from tests.verification.letters import compare_dead_letters
from tests.verification.log import LogRecord, read_log
from trafficapp.topics import DEAD_LETTERS


@dataclass
class Found:
    """Reads what is there now: topics that producers wrote once, others once a look."""

    deployment: Deployment
    plan: Plan
    sent: dict[str, list[LogRecord]] = field(default_factory=dict)
    looked_at: dict[str, list[LogRecord]] = field(default_factory=dict)

    def look_again(self) -> None:
        """Forget what topics of ours held."""
        self.looked_at.clear()

    def raw(self, topic: str) -> list[LogRecord]:
        """What producers wrote."""
        if topic not in self.sent:
            self.sent[topic] = self.topic(topic)
        return self.sent[topic]

    def accepted(self, topic: str) -> list[tuple[LogRecord, Meant]]:
        """What of it must be accepted, in the order of each partition."""
        both = ((record, self.plan.what_of(topic, record)) for record in self.raw(topic))
        return [(record, meant) for record, meant in both if meant.reason is None]

    def topic(self, name: str) -> list[LogRecord]:
        """All records of a topic, without ticks."""
        if name not in self.looked_at:
            self.looked_at[name] = list(read_log(self.deployment.bootstrap_servers, name))
        return self.looked_at[name]

    def documents(self, name: str) -> list[dict[str, Any]]:
        """All records of a topic that are JSON objects."""
        return [json.loads(record.value) for record in self.topic(name) if record.value]

    def rows(self, text: str) -> list[dict[str, Any]]:
        """Ask the database."""
        with psycopg.connect(self.deployment.database_url, connect_timeout=5, row_factory=dict_row) as connection:
            connection.execute("SET TIME ZONE 'UTC'")
            return connection.execute(text).fetchall()  # type: ignore[arg-type] # texts of these modules

    def redis_documents(self, keys: Iterable[str]) -> dict[str, Any]:
        """Documents by key, those that are there."""
        found: dict[str, Any] = {}
        with Redis.from_url(self.deployment.settings.redis.url.get_secret_value()) as redis:
            for key in keys:
                value = redis.get(key)
                if isinstance(value, bytes):
                    found[key] = json.loads(value)
        return found

    def letters(self, *topics: str, leave_out: str = "") -> list[Comparison]:
        """Dead letters of topics against what had to be refused, but for a reason that follows from more than them."""
        letters = self.topic(DEAD_LETTERS)
        if leave_out:
            letters = [letter for letter in letters if json.loads(letter.value or b"")["reason"] != leave_out]
        found = []
        for topic in topics:
            log = self.raw(topic)
            refused = {}
            for record in log:
                if (reason := self.plan.what_of(topic, record).reason) is not None:
                    refused[record.partition, record.offset] = {reason: 1}
            result = compare_dead_letters(refused, log, letters, topic)
            result.name = f"dead letters of {topic}"
            found.append(result)
        return found


def compare_near(
    name: str,
    right: Mapping[Any, Mapping[str, Any]],
    found: Mapping[Any, Mapping[str, Any]],
    tolerances: Mapping[str, float] | None = None,
    directions: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare the fields that are right by key.

    Numbers may differ by their tolerance, also as a share of them; directions by theirs in degrees, the short way
    round.
    """
    result = Comparison(name)
    for key, fields in right.items():
        if key not in found:
            result.missing += 1
            result.example(f"missing {key}: {dict(fields)}")
            continue
        result.compared += 1
        faults = [
            f"{one} {found[key].get(one)!r} instead of {value!r}"
            for one, value in fields.items()
            if not _is_near(value, found[key].get(one), (tolerances or {}).get(one, 0.0))
            and not _points_alike(value, found[key].get(one), (directions or {}).get(one, 0.0))
        ]
        if faults:
            result.different += 1
            result.example(f"different {key}: {', '.join(faults)}")
    for key in found.keys() - right.keys():
        result.extra += 1
        result.example(f"extra {key}: {dict(found[key])}")
    return result


def compare_counted(name: str, right: Iterable[Hashable], found: Iterable[Hashable]) -> Comparison:
    """Compare things that may be there several times."""
    wanted, there = Counter(right), Counter(found)
    result = Comparison(name, compared=sum((wanted & there).values()))
    for thing, count in (wanted - there).items():
        result.missing += count
        result.example(f"missing {thing}")
    for thing, count in (there - wanted).items():
        result.extra += count
        result.example(f"extra {thing}")
    return result


def _points_alike(right: Any, found: Any, tolerance_degrees: float) -> bool:
    if not isinstance(right, int | float) or not isinstance(found, int | float):
        return False
    return abs((right - found + 180.0) % 360.0 - 180.0) < tolerance_degrees


def _is_near(right: Any, found: Any, tolerance: float) -> bool:
    if tolerance and isinstance(right, int | float) and isinstance(found, int | float):
        return abs(right - found) <= tolerance * max(1.0, abs(right))
    return bool(right == found)


def us_of(at: str | datetime) -> int:
    """Microseconds since the epoch of a time, aware or RFC 3339."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return round(moment.timestamp() * 1e6)
