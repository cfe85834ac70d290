"""A day of 1,000 vehicles while processes are killed: ``python -m tests.verification.fleet --seed N``.

Fixes of simulated vehicles on the roads of Bologna, some of which jump about, go to ``vehicle_data`` and ``gps_data``
by a plain librdkafka client, a day of theirs in some two minutes, while two workers of role feeds and one of history
are killed with SIGKILL at moments chosen by the seed. Trips, events at zones, harsh braking and speeding on the topics
and in the tables must be those of `tests.fleet.drive_oracle`, each once. What still goes on at the end is over by
silence.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg
from confluent_kafka import Producer

from models.administration.changes import Zone as StoredZone
from models.fleet.fixes import Fix
from models.timestamps import epoch_us
from tests.fleet import drive_oracle
from tests.fleet.lives import SECOND, Life, Zone, zones
from tests.verification.compare import Comparison, report
from tests.verification.deployment import Deployment, VerificationError, deployed, until
from tests.verification.log import read_log
from tests.verification.riders import kill_some, query
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.limits import SpeedLimits
from trafficapp.settings import load_settings
from trafficapp.stack import workers
from trafficapp.stores.administration import zone_queries
from trafficapp.stores.postgres.publications import record

_BATCH = 500
_SILENCE_SECONDS = 45
_PATIENCE_SECONDS = 150.0
_DAY_SECONDS = 86_400
_KILLED = ("feeds", "feeds-2", "feeds", "feeds-2", "feeds", "history")
_SETTINGS = {"TRAFFICAPP_FLEET__TRIP_SILENCE_SECONDS": str(_SILENCE_SECONDS)}
_TOPICS = ("vehicle-trips", "geofence-events", "driving-events")
_TABLES = ("vehicle_trips", "geofence_events", "driving_events")


def day(seed: int, vehicles: int, begin_us: int) -> list[Fix]:
    """All fixes of a day, in the order in which they are sent."""
    graph = city_graph(load_settings().roads)
    found: list[tuple[int, int, Fix]] = []
    for number in range(vehicles):
        dice = random.Random(f"{seed}-{number}")
        life = Life(dice, graph, f"car-{number}", begin_us, _DAY_SECONDS, 60, jumps=number % 50 == 7, restless=0.25,
                    pauses=(580, 1500))  # fmt: skip
        sent_us = 0
        for fix in life.fixes():
            sent_us = max(sent_us, fix.time_us)
            found.append((sent_us, len(found), fix))
    return [fix for _, _, fix in sorted(found)]


async def fence(deployment: Deployment, fences: Sequence[Zone]) -> None:
    """Make zones, and wait until all partitions were told."""
    connection = await asyncpg.connect(deployment.database_url)
    async with connection.transaction():
        for zone in fences:
            stored = await zone_queries.insert_zone(connection, zone.name, None, zone.ring)
            if not isinstance(stored, StoredZone) or stored.id != zone.zone_id:
                raise VerificationError(f"zone {zone} was stored as {stored}")
            await record(connection, [await zone_queries.fence_record(connection, stored, deployment.settings)])
    await connection.close()
    wanted = len(fences) * deployment.settings.city.partitions

    def told() -> bool:
        values = [one.value or b"" for one in read_log(deployment.bootstrap_servers, inner_topic(deployment))]
        return sum(value.startswith(b"{") for value in values) >= wanted

    if await until(told, 60) is None:
        raise VerificationError("zones were not told to the rules")


def inner_topic(deployment: Deployment) -> str:
    """What the rules read."""
    return f"{deployment.settings.app_id}-fleet-inner"


def produce(deployment: Deployment, fixes: Sequence[Fix], seconds: float) -> None:
    """Send all fixes, as evenly as that goes.

    Raises:
        VerificationError: one was not acknowledged.
    """
    failed: list[str] = []
    producer = Producer({"bootstrap.servers": deployment.bootstrap_servers, "enable.idempotence": True})
    began = time.monotonic()
    for first in range(0, len(fixes), _BATCH):
        for fix in fixes[first : first + _BATCH]:
            value = {
                "device_id": fix.device_id,
                "timestamp": fix.time_us // 1000,
                "location": [fix.latitude, fix.longitude],
                "speed": fix.speed_kmh,
                "direction": fix.heading,
            }
            producer.produce(
                fix.feed,
                json.dumps(value).encode(),
                fix.device_id.encode(),
                on_delivery=lambda error, _: failed.append(str(error)) if error else None,
            )
        if producer.flush(120) or failed:
            raise VerificationError(f"fixes were not acknowledged: {failed[:3]}")
        time.sleep(max(began + seconds * (first + _BATCH) / len(fixes) - time.monotonic(), 0))


def went_on(deployment: Deployment) -> list[Fix]:
    """Fixes in the order in which the rules read them."""
    read = (json.loads(one.value or b"") for one in read_log(deployment.bootstrap_servers, inner_topic(deployment)))
    return [Fix(*values) for values in read if isinstance(values, list)]


def right_events(heard: Sequence[Fix], fences: Sequence[Zone]) -> dict[Any, dict[str, Any]]:
    """Everything that must be told, by its key."""
    limits = SpeedLimits(city_graph(load_settings().roads))
    rings = [drive_oracle.Zone(zone.zone_id, zone.ring) for zone in fences]
    by_device: dict[str, list[Fix]] = {}
    for fix in heard:
        by_device.setdefault(fix.device_id, []).append(fix)
    found: dict[Any, dict[str, Any]] = {}
    for device, fixes in by_device.items():
        for one in drive_oracle.happened(fixes, rings, limits.limit_at, {len(fixes) - 1}):
            found[device, one["event"], one.get("zone"), one.get("at", one.get("ended"))] = one
    return found


def plain(one: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Key and fields of a message or a row, as the oracle names them."""
    began, ended = (None if one.get(name) is None else epoch_us(one[name]) for name in ("began_at", "ended_at"))
    fields: dict[str, Any] = {"event": one.get("event", "trip")}
    at = one.get("timestamp", one.get("observed_at"))
    if "ended_by" in one:
        fields |= {"began": began, "ended": ended, "metres": one["distance_m"], "moving": one["moving_seconds"]}
        fields |= {"standing": one["standing_seconds"], "ended_by": one["ended_by"]}
    elif "zone_id" in one:
        fields |= {"zone": one["zone_id"], "at": epoch_us(at), "since": epoch_us(one["entered_at"])}
    elif one["event"] == "speeding":
        fields |= {"began": began, "ended": ended, "speed": one["speed_kmh"], "limit": one["limit_kmh"]}
    else:
        fields |= {"began": began, "ended": ended, "from": one["speed_kmh"], "to": one["to_speed_kmh"]}
        fields |= {"mps2": one["deceleration_mps2"]}
    return (one["vehicle_id"], fields["event"], fields.get("zone"), fields.get("at", ended)), fields


def compare(name: str, right: dict[Any, dict[str, Any]], found: Sequence[dict[str, Any]]) -> Comparison:
    """Compare events, each of which must be there once; numbers may differ by what decimals and the flat map do."""
    result, seen = Comparison(name), set[Any]()
    for one in found:
        key, fields = plain(one)
        expected = right.get(key)
        if expected is None or key in seen:
            result.extra += 1
            result.example(f"extra {key}: {fields}")
            continue
        seen.add(key)
        result.compared += 1
        if not all(is_near(fields[field], value) for field, value in expected.items()):
            result.different += 1
            result.example(f"different {key}: {fields} instead of {expected}")
    for key in right.keys() - seen:
        result.missing += 1
        result.example(f"missing {key}: {right[key]}")
    return result


def is_near(found: Any, right: Any) -> bool:
    """Whether a value is as right as it can be."""
    return abs(found - right) <= max(0.06, 1e-4 * abs(right)) if isinstance(right, float) else bool(found == right)


async def run(seed: int, vehicles: int, seconds: float, *, kills: bool) -> bool:
    """Make the check; True when everything is right."""
    async with deployed(1, own_servers=True, settings=_SETTINGS, roles={"feeds", "history"}) as deployment:
        second = workers.Worker("feeds-2", "feeds", max(worker.web_port for worker in deployment.workers) + 1)
        deployment.supervisor.add_group([workers.worker_spec(second, deployment.folder, deployment.environment)])
        await deployment.supervisor.start_all()
        fences = zones(city_graph(load_settings().roads))
        await fence(deployment, fences)
        begin_us = time.time_ns() // 1_000_000_000 * SECOND - _DAY_SECONDS * SECOND
        fixes = await asyncio.to_thread(day, seed, vehicles, begin_us)
        print(f"seed {seed}: {len(fixes):,} fixes of {vehicles:,} vehicles", flush=True)
        killing = kill_some(deployment, seed, seconds, _KILLED) if kills else asyncio.sleep(0)
        await asyncio.gather(asyncio.to_thread(produce, deployment, fixes, seconds), killing)
        print("all were acknowledged", flush=True)
        if await until(lambda: len(went_on(deployment)) >= len(fixes), _PATIENCE_SECONDS, 8) is None:
            print(f"not every fix went on within {_PATIENCE_SECONDS:g} s")
        heard = await asyncio.to_thread(went_on, deployment)
        right = await asyncio.to_thread(right_events, heard, fences)

        def stored() -> bool:
            counts = [query(deployment, f"SELECT count(*) FROM {table}")[0]["count"] for table in _TABLES]  # noqa: S608
            return sum(counts) >= len(right)

        if await until(stored, _PATIENCE_SECONDS, 2) is None:
            print(f"not everything was stored within {_PATIENCE_SECONDS:g} s")
        await asyncio.sleep(8)
        return await asyncio.to_thread(compare_all, deployment, fixes, heard, right)


def compare_all(
    deployment: Deployment, fixes: Sequence[Fix], heard: Sequence[Fix], right: dict[Any, dict[str, Any]]
) -> bool:
    """Compare and print everything."""
    sent, read = (Counter(tuple(_values(fix)) for fix in some) for some in (fixes, heard))
    once = Comparison("fixes that went on, each as often as it was sent", compared=(sent & read).total())
    once.missing, once.extra = (sent - read).total(), (read - sent).total()
    results = [once]
    for topic, table in zip(_TOPICS, _TABLES, strict=True):
        wanted = {key: one for key, one in right.items() if _topic(key[1]) == topic}
        told = [json.loads(one.value or b"") for one in read_log(deployment.bootstrap_servers, topic)]
        results.append(compare(f"topic {topic}", wanted, told))
        results.append(compare(f"table {table}", wanted, query(deployment, f"SELECT * FROM {table}")))  # noqa: S608
    counts = Counter(str(one.get("ended_by", one["event"])) for one in right.values())
    print(f"{len(right):,} events: " + ", ".join(f"{count:,} {what}" for what, count in counts.most_common()))
    return report(results)


def _topic(event: str) -> str:
    return {"trip": "vehicle-trips", "harsh_braking": "driving-events", "speeding": "driving-events"}.get(
        event, "geofence-events"
    )


def _values(fix: Fix) -> list[Any]:
    return [fix.feed, fix.device_id, fix.time_us, fix.latitude, fix.longitude, fix.speed_kmh, fix.heading]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--vehicles", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=100.0, help="How long sending takes.")
    parser.add_argument("--no-kills", action="store_true", help="Leave all processes alone.")
    arguments = parser.parse_args()
    equal = asyncio.run(run(arguments.seed, arguments.vehicles, arguments.seconds, kills=not arguments.no_kills))
    print(f"seed {arguments.seed}: " + ("exact" if equal else "NOT exact"), flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
