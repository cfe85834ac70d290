"""A road-speed feed with jams and dirt while processes are killed: ``python -m tests.verification.roads --seed N``.

Two workers of role roads, one each of history and live, and the servers are killed with SIGKILL at moments chosen by
the seed, while batches of all roads of Bologna are sent every two seconds. Observations, dead letters, notifications,
current state and the speeds of the published graph must be what the log says, each once.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from redis import Redis

from tests.verification.compare import Comparison, report
from tests.verification.deployment import Deployment, VerificationError, deployed, until
from tests.verification.letters import compare_dead_letters
from tests.verification.log import LogRecord, end_offsets, read_log
from tests.verification.roads_plan import JAM_SECONDS, RoadFeed, RoadTruth, truth_of_roads
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.routing.published import decode_speeds
from trafficapp.roads.routing.weights import SLOWEST_KMH
from trafficapp.sources.delivery import Delivery
from trafficapp.stack import workers
from trafficapp.topics import (
    DEAD_LETTERS,
    NOTIFICATIONS,
    PREDICTIONS,
    ROADS_RAW,
    ROUTE_UPDATES,
    congestion_events,
    folded_notifications,
    road_observations,
)

_PAUSE_SECONDS = 2.0
_BACK_SECONDS = 120.0
_KILLED = ("roads", "roads-2", "roads", "roads-2", "history", "live", "kafka", "postgres", "redis")
_LEVELS = ((7.0, "high"), (4.0, "medium"), (0.0, "low"))


async def send_batches(deployment: Deployment, feed: RoadFeed, batches: int) -> int:
    """Send a batch every two seconds; return how many messages were acknowledged."""
    delivery = Delivery(deployment.settings, ROADS_RAW)
    for number in range(batches):
        due = time.monotonic() + _PAUSE_SECONDS
        for record in feed.batch(number, datetime.now(UTC)):
            await asyncio.to_thread(delivery.send, record.key, record.value)
        await asyncio.sleep(max(due - time.monotonic(), 0))
    await asyncio.to_thread(delivery.flush)
    if delivery.acknowledged != delivery.sent:
        raise VerificationError(f"{delivery.sent - delivery.acknowledged:,} messages were not acknowledged")
    return delivery.acknowledged


async def kill_some(deployment: Deployment, seed: int, run_seconds: float) -> None:
    """Kill every process of the list once it is there, at moments of chance."""
    chance, began = random.Random(seed), time.monotonic()
    for at, name in sorted((chance.uniform(0.1, 0.9) * run_seconds, name) for name in _KILLED):
        await asyncio.sleep(max(began + at - time.monotonic(), 0))
        await until(lambda name=name: deployment.supervisor.pid(name) is not None, _BACK_SECONDS, 0.05)  # type: ignore[misc]
        await deployment.supervisor.kill(name)
        print(f"  {time.monotonic() - began:6.1f} s  {name} killed", flush=True)


def query(deployment: Deployment, text: str) -> list[dict[str, Any]]:
    """Ask the database."""
    with psycopg.connect(deployment.database_url, connect_timeout=5, row_factory=dict_row) as connection:
        return connection.execute(text).fetchall()  # type: ignore[arg-type] # the texts are those below


async def settle(deployment: Deployment, truth: RoadTruth) -> None:
    """Wait until history holds everything and nothing more comes."""
    observations = road_observations(deployment.settings)

    def stored() -> bool:
        rows = query(deployment, "SELECT topic, partition, next_offset FROM sink_offsets")
        at = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        ours = folded_notifications(deployment.settings), congestion_events(deployment.settings)
        topics = (observations, PREDICTIONS, NOTIFICATIONS, *ours)
        ends = {topic: end_offsets(deployment.bootstrap_servers, topic) for topic in topics}
        behind = sum(max(end - at.get((topic, p), 0), 0) for topic, found in ends.items() for p, end in found.items())
        count = query(deployment, "SELECT count(*) AS rows FROM road_observations")[0]["rows"]
        return behind == 0 and count >= len(truth.observations)

    if await until(stored, _BACK_SECONDS) is None:
        print("not everything was stored within two minutes")
    await asyncio.sleep(8)
    await until(stored, _BACK_SECONDS)


def compare_fields(name: str, right: Mapping[Any, Any], found: Mapping[Any, Any]) -> Comparison:
    """Compare values by their keys."""
    result = Comparison(name)
    for key in right.keys() | found.keys():
        if key not in found:
            result.missing += 1
            result.example(f"missing {key}: {right[key]}")
        elif key not in right:
            result.extra += 1
            result.example(f"extra {key}: {found[key]}")
        else:
            result.compared += 1
            if right[key] != found[key]:
                result.different += 1
                result.example(f"different {key}: {found[key]} instead of {right[key]}")
    return result


def _observation(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    level = next(word for least, word in _LEVELS if fields["jam_factor"] >= least)
    ratio = round(fields["current_speed"] / fields["free_flow_speed"], 4)
    return fields["event_id"], fields["current_speed"], fields["free_flow_speed"], fields["jam_factor"], level, ratio


def _stored(row: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("event_id", "current_speed", "free_flow_speed", "jam_factor", "congestion_level", "speed_ratio")
    return tuple(row[name] for name in names)


def compare_observations(deployment: Deployment, truth: RoadTruth) -> list[Comparison]:
    """The table, the topic behind it, and the current state."""
    right = {key: _observation(fields) for key, fields in truth.observations.items()}
    rows = query(deployment, "SELECT * FROM road_observations")
    table = {(row["road_id"], row["observed_at"].astimezone(UTC)): _stored(row) for row in rows}
    told: dict[tuple[int, int], bytes] = {}
    repeats = Comparison("repeats on the topic of observations, byte for byte")
    for record in read_log(deployment.bootstrap_servers, road_observations(deployment.settings)):
        value = record.value or b""
        fields = json.loads(value)
        repeats.compared += 1
        repeats.different += told.setdefault((fields["source_partition"], fields["source_offset"]), value) != value
    newest = {road: _observation(fields) for road, fields in truth.newest.items()}
    with Redis.from_url(deployment.settings.redis.url.get_secret_value()) as redis:
        found = {road: redis.get(f"road:{road}:current") for road in newest}
    current = {road: _stored(json.loads(value)) for road, value in found.items() if isinstance(value, bytes)}
    return [
        compare_fields("table road_observations", right, table),
        repeats,
        compare_fields("observations on the topic", {"all": len(right)}, {"all": len(told)}),
        compare_fields("current state in Redis", newest, current),
    ]


def compare_notifications(deployment: Deployment, truth: RoadTruth) -> list[Comparison]:
    """severe_traffic as the log says, all others once and the same on the topic and in the table."""
    topic: dict[str, dict[str, Any]] = {}
    repeats = Comparison("repeats on the topic of notifications, byte for byte")
    said: dict[str, bytes] = {}
    for record in read_log(deployment.bootstrap_servers, NOTIFICATIONS):
        fields = json.loads(record.value or b"")
        topic[fields["event_id"]] = fields
        repeats.compared += 1
        repeats.different += said.setdefault(fields["event_id"], record.value or b"") != record.value
    for record in read_log(deployment.bootstrap_servers, folded_notifications(deployment.settings)):
        fields = json.loads(record.value or b"")
        twice = topic.setdefault(fields["event_id"], fields)
        if not twice["folded"]:
            repeats.different += 1
            repeats.example(f"told by itself and folded: {fields}")
    severe = Counter(
        (fields["road_id"], datetime.fromisoformat(fields["timestamp"]))
        for fields in topic.values()
        if fields["alert_type"] == "severe_traffic"
    )
    rows = query(deployment, "SELECT event_id::text AS id, alert_type, road_id FROM notifications")
    table = {row["id"]: (row["alert_type"], row["road_id"]) for row in rows}
    kinds = Counter(fields["alert_type"] for fields in topic.values())
    print("notifications: " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
    return [
        compare_fields("severe_traffic, once each", dict.fromkeys(truth.severe, 1), dict(severe)),
        repeats,
        compare_fields(
            "table notifications", {key: (one["alert_type"], one["road_id"]) for key, one in topic.items()}, table
        ),
    ]


def compare_congestion(deployment: Deployment, truth: RoadTruth) -> list[Comparison]:
    """Jammed roads are each in one event, those that touch in the same; each is told once; the table is the topic."""
    newest: dict[str, dict[str, Any]] = {}
    for record in read_log(deployment.bootstrap_servers, congestion_events(deployment.settings)):
        fields = json.loads(record.value or b"")
        known = newest.get(fields["event_id"])
        if known is None or _at(fields) >= _at(known):
            newest[fields["event_id"]] = fields
    open_ = {name: one for name, one in newest.items() if one["state"] != "ended"}
    event_of = {road["road_id"]: name for name, one in open_.items() for road in one["roads"] if road["jammed"]}
    touching = Comparison("jammed roads that touch are in one event")
    for one, other in itertools.combinations(sorted(truth.jammed), 2):
        if truth.touch(one, other):
            touching.compared += 1
            if event_of.get(one) != event_of.get(other):
                touching.different += 1
                touching.example(f"{one} in {event_of.get(one)}, {other} in {event_of.get(other)}")
    told = {
        fields["event_id"]: (fields["congestion_event_id"], fields["change"])
        for record in read_log(deployment.bootstrap_servers, NOTIFICATIONS)
        if (fields := json.loads(record.value or b""))["alert_type"] == "congestion"
    }
    changes = Counter(told.values())
    print("congestion: " + ", ".join(f"{kind} {n}" for kind, n in sorted(Counter(k for _, k in told.values()).items())))
    print(f"  {len(newest)} events, {len(open_)} go on, {len(truth.jammed)} roads are jammed")
    once = Comparison("events, begun and ended once", compared=len(changes))
    for (name, kind), count in changes.items():
        if (kind != "changed" and count > 1) or (kind != "begun" and (name, "begun") not in changes):
            once.different += 1
            once.example(f"{name} {kind} {count} times")
    rows = query(deployment, "SELECT event_id::text AS id, state, length_m FROM congestion_events")
    return [
        compare_fields("jammed roads", dict.fromkeys(truth.jammed, 1), dict.fromkeys(event_of, 1)),
        touching,
        once,
        compare_fields(
            "table congestion_events",
            {name: (one["state"], one["length_m"]) for name, one in newest.items()},
            {row["id"]: (row["state"], row["length_m"]) for row in rows},
        ),
    ]


def _at(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["updated_at"])


def compare_graph(deployment: Deployment, truth: RoadTruth) -> list[Comparison]:
    """The speeds of the graph now, the order of its versions, and that every road is predicted."""
    graph = city_graph(deployment.settings.roads)
    with Redis.from_url(deployment.settings.redis.url.get_secret_value()) as redis:
        content = redis.get(f"graph:{graph.city}:current")
    speeds = decode_speeds(graph, content if isinstance(content, bytes) else b"").speeds_kmh[0].tolist()
    right = {road: max(fields["current_speed"], SLOWEST_KMH) for road, fields in truth.newest.items()}
    found = {str(road): speed for road, speed in zip(graph.edge_ids.tolist(), speeds, strict=True) if speed == speed}
    versions = [
        json.loads(record.value or b"")["graph_version"]
        for record in read_log(deployment.bootstrap_servers, ROUTE_UPDATES)
    ]
    order = Comparison("versions of the graph, each later than the one before", compared=len(versions))
    order.different = sum(one >= other for one, other in itertools.pairwise(versions))
    predicted = query(deployment, "SELECT DISTINCT road_id FROM predictions")
    return [
        compare_fields(
            "speeds of the graph",
            {road: round(speed, 1) for road, speed in right.items()},
            {road: round(speed, 1) for road, speed in found.items()},
        ),
        order,
        compare_fields("predicted roads", dict.fromkeys(truth.newest, 1), {row["road_id"]: 1 for row in predicted}),
    ]


def compare_all(deployment: Deployment, truth: RoadTruth, log: list[LogRecord]) -> bool:
    """Compare and print everything."""
    reasons = Counter(truth.refused.values())
    print(f"{len(log):,} messages: {len(truth.observations):,} observations, {truth.repeated:,} repeated, refused: ")
    print("  " + ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items())))
    letters = list(read_log(deployment.bootstrap_servers, DEAD_LETTERS))
    return report(
        [
            *compare_observations(deployment, truth),
            compare_dead_letters(
                {place: {reason: 1} for place, reason in truth.refused.items()}, log, letters, ROADS_RAW
            ),
            *compare_notifications(deployment, truth),
            *compare_congestion(deployment, truth),
            *compare_graph(deployment, truth),
        ]
    )


async def run(seed: int, batches: int, kills: bool) -> bool:
    """Make the check; True when everything is right."""
    # jams of the feed last for some batches of two seconds
    settings = {"TRAFFICAPP_JAMS__JAM_SECONDS": f"{JAM_SECONDS:g}"}
    async with deployed(1, own_servers=True, settings=settings) as deployment:
        second = workers.Worker("roads-2", "roads", max(worker.web_port for worker in deployment.workers) + 1)
        deployment.supervisor.add_group([workers.worker_spec(second, deployment.folder, deployment.environment)])
        await deployment.supervisor.start_all()
        feed = RoadFeed(city_graph(deployment.settings.roads), seed)
        killing = kill_some(deployment, seed, batches * _PAUSE_SECONDS) if kills else asyncio.sleep(0)
        acknowledged, _ = await asyncio.gather(send_batches(deployment, feed, batches), killing)
        print(f"seed {seed}: {acknowledged:,} messages acknowledged", flush=True)
        log = await asyncio.to_thread(lambda: list(read_log(deployment.bootstrap_servers, ROADS_RAW)))
        truth = truth_of_roads(log, feed)
        await settle(deployment, truth)
        return await asyncio.to_thread(compare_all, deployment, truth, log)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--batches", type=int, default=45)
    parser.add_argument("--no-kills", action="store_true", help="Leave all processes alone.")
    arguments = parser.parse_args()
    equal = asyncio.run(run(arguments.seed, arguments.batches, not arguments.no_kills))
    print(f"seed {arguments.seed}: " + ("exact" if equal else "NOT exact"), flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
