"""Batches of a road-speed feed with jams and dirt, and what must become of them, said without the product's code."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tests.verification.log import LogRecord
from trafficapp.roads.graph.road_graph import RoadGraph

#: Reasons that a message can be given, each with its share of the messages.
DIRT = {
    "not_json": 0.004,
    "empty": 0.004,
    "missing_field": 0.004,
    "invalid_field": 0.004,
    "invalid_timestamp": 0.004,
    "impossible_speed": 0.006,
    "swapped_coordinates": 0.006,
    "unknown_road": 0.006,
    "future": 0.006,
    "late": 0.006,
    "key_mismatch": 0.004,
}
_TWICE, _OLDER = 0.01, 0.01
#: Of the default settings: a jam factor above raises when it is told so often in a row, one at most so large is calm,
#: so many in a row end it.
_SEVERE, _RAISE_OBSERVATIONS, _CALM, _CALM_OBSERVATIONS = 8.0, 2, 6.4, 3
#: Jams: slow below a share of free flow, for so many observations in a row that span so long; calm from another share
#: on, for so many in a row. What was measured longer before its record than this makes none.
_JAM, _CALM_SHARE, _JAM_OBSERVATIONS, JAM_SECONDS, _CLEAR_OBSERVATIONS = 0.4, 0.5, 2, 4.0, 2
_OLD_SECONDS = 900.0


@dataclass(frozen=True)
class Sent:
    """A record to be sent."""

    key: bytes
    value: bytes | None


@dataclass
class RoadFeed:
    """Makes batches of all roads of a graph and remembers which messages must be refused, and why."""

    graph: RoadGraph
    seed: int
    reasons: dict[tuple[bytes, bytes | None], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin the sequence of chance, and choose roads that jam now and then."""
        self._chance = random.Random(self.seed)
        self._roads: list[str] = self.graph.edge_ids.tolist()
        self._jamming = set(self._chance.sample(self._roads, 30))
        self._jammed_until = dict.fromkeys(self._jamming, -1)

    def batch(self, number: int, at: datetime) -> list[Sent]:
        """All roads at a time."""
        records: list[Sent] = []
        for place, road in enumerate(self._roads):
            fields = self._fields(place, road, number, at)
            draw = self._chance.random()
            for reason, share in DIRT.items():
                if draw < share:
                    records.append(self._spoiled(reason, fields))
                    break
                draw -= share
            else:
                if road not in self._jamming and draw < _OLDER:
                    fields["timestamp"] = (at - timedelta(seconds=self._chance.randrange(60, 1200))).isoformat()
                record = Sent(road.encode(), orjson.dumps(fields))
                records += [record] * (2 if _OLDER < draw < _OLDER + _TWICE else 1)
        return records

    def _fields(self, place: int, road: str, number: int, at: datetime) -> dict[str, Any]:
        if road in self._jamming and number > self._jammed_until[road] and self._chance.random() < 0.15:
            self._jammed_until[road] = number + self._chance.randrange(6)
        jammed = number <= self._jammed_until.get(road, -1)
        free = float(self.graph.free_flow_kmh[place])
        points = slice(self.graph.shape_offsets[place], self.graph.shape_offsets[place + 1])
        return {
            "event_id": f"{road}-{number}",
            "timestamp": at.isoformat(),
            "road_id": road,
            "road_name": f"Road {road}",
            "current_speed": round(free * self._chance.uniform(0.02, 0.1 if jammed else 1.0), 2),
            "free_flow_speed": round(free, 2),
            "jam_factor": self._chance.choice((8.5, 9.9) if jammed else (1.0, 5.0, 7.5)),
            "coordinates": list(
                zip(self.graph.shape_lon[points].tolist(), self.graph.shape_lat[points].tolist(), strict=True)
            ),
        }

    def _spoiled(self, reason: str, fields: dict[str, Any]) -> Sent:
        key, at = fields["road_id"].encode(), datetime.fromisoformat(fields["timestamp"])
        match reason:
            case "missing_field":
                del fields[self._chance.choice(["timestamp", "current_speed", "jam_factor", "coordinates"])]
            case "invalid_field":
                fields["jam_factor"] = self._chance.choice([-0.5, 10.5, "much", None])
            case "invalid_timestamp":
                fields["timestamp"] = "yesterday"
            case "impossible_speed":
                fields |= self._chance.choice([{"current_speed": -3}, {"current_speed": 900}, {"free_flow_speed": 0}])
            case "swapped_coordinates":
                fields["coordinates"] = [(lat, lon) for lon, lat in fields["coordinates"]]
            case "unknown_road":
                fields |= {"road_id": f"nowhere-{key.decode()}", "coordinates": [[2.35, 48.85], [2.36, 48.86]]}
                key = fields["road_id"].encode()
            case "future":
                fields["timestamp"] = (at + timedelta(minutes=10)).isoformat()
            case "late":
                fields["timestamp"] = (at - timedelta(hours=2)).isoformat()
            case "key_mismatch":
                key = b"somebody else"
        value = {"empty": None, "not_json": orjson.dumps(fields)[:-3]}.get(reason, orjson.dumps(fields))
        # none of them is the same as another one, but the empty ones, which are all refused
        self.reasons[key, value] = reason
        return Sent(key, value)


@dataclass
class RoadTruth:
    """What must have become of a log.

    Attributes:
        observations: fields of the message that counts, by road and time.
        newest: the newest of each road.
        refused: the reason by partition and offset.
        repeated: messages that say again what was said.
        severe: road and time of the observations that raise severe_traffic.
        jammed: roads that are jammed in the end.
        ends: nodes of each road.
    """

    observations: dict[tuple[str, datetime], dict[str, Any]] = field(default_factory=dict)
    newest: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[tuple[int, int], str] = field(default_factory=dict)
    repeated: int = 0
    severe: set[tuple[str, datetime]] = field(default_factory=set)
    jammed: set[str] = field(default_factory=set)
    ends: dict[str, set[int]] = field(default_factory=dict)

    def touch(self, road: str, other: str) -> bool:
        """Whether two roads share a node of the graph."""
        return not self.ends[road].isdisjoint(self.ends[other])


def truth_of_roads(log: Iterable[LogRecord], feed: RoadFeed) -> RoadTruth:
    """Go through a log in the order of its partitions."""
    truth, calm, raised = RoadTruth(), Counter[str](), Counter[str]()
    open_: set[str] = set()
    jams: dict[str, _Jam] = {}
    for record in log:
        reason = feed.reasons.get((record.key or b"", record.value or None))
        if reason is not None:
            truth.refused[record.partition, record.offset] = reason
            continue
        fields = orjson.loads(record.value or b"")
        road, at = fields["road_id"], datetime.fromisoformat(fields["timestamp"]).astimezone(UTC)
        if (road, at) in truth.observations:
            truth.repeated += 1
            continue
        truth.observations[road, at] = fields
        known = truth.newest.get(road)
        if known is not None and datetime.fromisoformat(known["timestamp"]) >= at:
            continue
        truth.newest[road] = fields
        if (record.timestamp_ms - at.timestamp() * 1000) / 1000 <= _OLD_SECONDS:
            jams.setdefault(road, _Jam()).observe(at.timestamp(), fields["current_speed"] / fields["free_flow_speed"])
        if road in open_:
            calm[road] = calm[road] + 1 if fields["jam_factor"] <= _CALM else 0
            if calm[road] == _CALM_OBSERVATIONS:
                open_.discard(road)
            continue
        raised[road] = raised[road] + 1 if fields["jam_factor"] > _SEVERE else 0
        if raised[road] == _RAISE_OBSERVATIONS:
            open_.add(road)
            calm[road] = raised[road] = 0
            truth.severe.add((road, at))
    truth.jammed = {road for road, jam in jams.items() if jam.jammed}
    graph = feed.graph
    for road, begin, end in zip(graph.edge_ids.tolist(), graph.edge_from.tolist(), graph.edge_to.tolist(), strict=True):
        truth.ends[road] = {begin, end}
    return truth


@dataclass
class _Jam:
    """Whether a road is jammed."""

    since: float = 0.0
    slow: int = 0
    calm: int = 0
    jammed: bool = False

    def observe(self, at: float, share: float) -> None:
        if share < _JAM:
            self.since = at if self.slow == 0 and not self.jammed else self.since
            self.slow, self.calm = self.slow + 1, 0
            lasted = at - self.since >= JAM_SECONDS
            self.jammed = self.jammed or (self.slow >= _JAM_OBSERVATIONS and lasted)
            return
        self.slow = 0
        self.calm = self.calm + 1 if share >= _CALM_SHARE else 0
        if not self.jammed or self.calm >= _CLEAR_OBSERVATIONS:
            self.calm, self.jammed = 0, False
