"""Taps of riders while processes are killed: ``python -m tests.verification.riders --seed N``.

200,000 taps with repeats, disorder, dirt and late ones go to ``rider_tapped_on`` by a plain librdkafka client with its
default partitioner, while two workers of role feeds, one each of history and live, are killed with SIGKILL at moments
chosen by the seed. Windows on the topic and in the table, surges and dead letters must be what the plan says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from confluent_kafka import Producer
from psycopg.rows import dict_row
from redis import Redis

from tests.verification.compare import Comparison, report
from tests.verification.deployment import Deployment, VerificationError, deployed, until
from tests.verification.log import read_log
from tests.verification.riders_plan import SECOND_US, RiderFeed, RiderTruth, Window, Zone
from trafficapp.stack import workers
from trafficapp.topics import DEAD_LETTERS

#: Acknowledged together, so that no tap comes later than so many others.
_BATCH = 500
#: Event time between two taps.
_PACE_US = 72_000
_DISORDER_SECONDS, _LATENESS_SECONDS = 60, 120
#: So that about half of the windows are surges.
_SURGE_TAPS = 40
_BACK_SECONDS = 120.0
_PATIENCE_SECONDS = 180.0
_KILLED = ("feeds", "feeds-2", "feeds", "feeds-2", "feeds", "history", "live")
_SETTINGS = {
    "TRAFFICAPP_RIDERS__ALLOWED_LATENESS_SECONDS": str(_LATENESS_SECONDS),
    "TRAFFICAPP_RIDERS__IDLE_TIMEOUT_SECONDS": "3600",
    "TRAFFICAPP_RIDERS__SURGE_TAPS": str(_SURGE_TAPS),
}
_LATE = re.compile(r"the window of (\S+) of (\S+) is final").fullmatch


def produce(deployment: Deployment, feed: RiderFeed, taps: int, seconds: float) -> None:
    """Send all taps, as evenly as that goes; then those that make all windows final.

    Raises:
        VerificationError: one was not acknowledged.
    """
    failed: list[str] = []
    producer = Producer({"bootstrap.servers": deployment.bootstrap_servers, "enable.idempotence": True})
    began = time.monotonic()
    batches = [min(_BATCH, taps - first) for first in range(0, taps, _BATCH)]
    for number, count in enumerate([*batches, 0]):
        for message in feed.some(count) if count else feed.last():
            producer.produce(
                "rider_tapped_on",
                message.value,
                message.key,
                on_delivery=lambda error, _: failed.append(str(error)) if error else None,
            )
        if producer.flush(120) or failed:
            raise VerificationError(f"taps were not acknowledged: {failed[:3]}")
        time.sleep(max(began + seconds * (number + 1) / len(batches) - time.monotonic(), 0))


async def kill_some(deployment: Deployment, seed: int, run_seconds: float, killed: Sequence[str] = _KILLED) -> None:
    """Kill every process of a list once it is there, at moments of chance."""
    chance, began = random.Random(seed), time.monotonic()
    for at, name in sorted((chance.uniform(0.1, 0.9) * run_seconds, name) for name in killed):
        await asyncio.sleep(max(began + at - time.monotonic(), 0))
        await until(lambda name=name: deployment.supervisor.pid(name) is not None, _BACK_SECONDS, 0.05)  # type: ignore[misc]
        await deployment.supervisor.kill(name)
        print(f"  {time.monotonic() - began:6.1f} s  {name} killed", flush=True)


def query(deployment: Deployment, text: str) -> list[dict[str, Any]]:
    """Ask the database."""
    with psycopg.connect(deployment.database_url, connect_timeout=5, row_factory=dict_row) as connection:
        return connection.execute(text).fetchall()  # type: ignore[arg-type] # the texts are those below


def window_of(fields: Mapping[str, Any], start: datetime) -> Window:
    """Which window a row is of."""
    kind, name = fields["zone_kind"], fields["zone"]
    zone = Zone(kind, name if kind == "geohash" else fields["station_id"])
    return Window(zone, round(start.timestamp()) * SECOND_US)


async def settle(deployment: Deployment, feed: RiderFeed) -> None:
    """Wait until every window of the plan is in the table, and nothing more comes."""

    def stored() -> bool:
        rows = int(query(deployment, "SELECT count(*) AS rows FROM rider_windows")[0]["rows"])
        truth = feed.truth
        # those of taps that came late are stored, too, unless each of them was told as late
        return rows >= len(truth.taps) and rows >= len(right_windows(truth, late_letters(letters_of(deployment))))

    if await until(stored, _PATIENCE_SECONDS, 2.0) is None:
        print(f"not every window was stored within {_PATIENCE_SECONDS:g} s")
    await asyncio.sleep(8)


def letters_of(deployment: Deployment) -> list[dict[str, Any]]:
    """All dead letters."""
    return [json.loads(record.value or b"") for record in read_log(deployment.bootstrap_servers, DEAD_LETTERS)]


def late_letters(letters: Iterable[Mapping[str, Any]]) -> Counter[Window]:
    """How many taps of each window were told as late."""
    late: Counter[Window] = Counter()
    for letter in letters:
        if (found := _LATE(letter["detail"])) is not None:
            kind = "station" if found[2].startswith("station:") else "geohash"
            start = datetime.fromisoformat(found[1]).timestamp() // 60 * 60
            late[Window(Zone(kind, found[2].removeprefix("station:")), round(start) * SECOND_US)] += 1
    return late


def right_windows(truth: RiderTruth, late: Counter[Window]) -> dict[Window, tuple[int, int]]:
    """Taps and repeats of each window, given how many were told as late."""
    right: dict[Window, tuple[int, int]] = {}
    for window in truth.taps.keys() | truth.late.keys():
        taps = len(truth.taps.get(window, ())) + len(truth.late.get(window, ())) - late[window]
        if taps:
            right[window] = taps, truth.repeated[window]
    return right


def compare_all(deployment: Deployment, feed: RiderFeed) -> bool:
    """Compare and print everything."""
    truth, servers = feed.truth, deployment.bootstrap_servers
    letters = letters_of(deployment)
    refused = Counter(letter["reason"] for letter in letters if letter["reason"] != "late")
    late = late_letters(letters)
    right = right_windows(truth, late)
    told = Comparison("windows on the topic, each once")
    topic: dict[Window, dict[str, Any]] = {}
    for record in read_log(servers, "rider-windows"):
        fields = json.loads(record.value or b"")
        window = window_of(fields, datetime.fromisoformat(fields["window_start"]))
        told.extra += window in topic
        topic[window] = fields
    compare_fields(told, right, {window: (row["tap_count"], row["repeated"]) for window, row in topic.items()})
    rows = query(deployment, "SELECT * FROM rider_windows")
    table = {window_of(row, row["window_start"]): (row["tap_count"], row["repeated"]) for row in rows}
    kept = compare_fields(Comparison("table rider_windows"), right, table)

    surged = {window: (_SURGE_TAPS + 1, taps) for window, (taps, _) in right.items() if taps > _SURGE_TAPS}
    steps: dict[Window, list[tuple[str, int]]] = {}
    for record in read_log(servers, "surge_alerts"):
        fields = json.loads(record.value or b"")
        window = window_of(fields, datetime.fromtimestamp(fields["WINDOW_START"] / 1000, UTC))
        if window.start_us + 60 * SECOND_US <= feed.end_us:
            steps.setdefault(window, []).append((fields["state"], fields["TAP_COUNT"]))
    surges = compare_fields(
        Comparison("surges: opened by the first tap too many, resolved with the final count, each once"),
        {window: [("opened", first), ("resolved", final)] for window, (first, final) in surged.items()},
        steps,
    )
    rows = query(deployment, "SELECT opened_at, state, subject FROM city_alerts WHERE alert_type = 'surge'")
    kept_steps = Counter(row["state"] for row in rows if row["opened_at"].timestamp() * 1e6 < feed.end_us)
    counts = compare_fields(
        Comparison("steps in table city_alerts"), dict.fromkeys(("opened", "resolved"), len(surged)), dict(kept_steps)
    )
    newest: dict[Zone, int] = {}
    for window in right:
        newest[window.zone] = max(newest.get(window.zone, 0), window.start_us)
    with Redis.from_url(deployment.settings.redis.url.get_secret_value()) as redis:
        found_now = {zone: redis.get(f"riders:zone:{name_of(zone)}:window") for zone in newest}
    current = compare_fields(
        Comparison("newest window of each zone in Redis"),
        {zone: right[Window(zone, start_us)] for zone, start_us in newest.items()},
        {
            zone: (row["tap_count"], row["repeated"])
            for zone, row in (
                (zone, json.loads(value)) for zone, value in found_now.items() if isinstance(value, bytes)
            )
        },
    )
    dirt = compare_fields(Comparison("taps refused, by reason"), dict(truth.refused), dict(refused))
    possible = sum(map(len, truth.late.values()))
    print(
        f"{len(right):,} windows of {len(newest)} zones, {len(surged):,} of them surges; "
        f"{sum(truth.repeated.values()):,} repeats; of {possible:,} that came late to their zones {late.total():,} "
        "were told, the others counted"
    )
    beyond = Comparison("late letters, no more than late taps", compared=len(late))
    beyond.extra = sum(count > len(truth.late.get(window, ())) for window, count in late.items())
    return report([told, kept, surges, counts, current, beyond, dirt])


def name_of(zone: Zone) -> str:
    """What a zone is called."""
    return zone.name if zone.kind == "geohash" else f"station:{zone.name}"


def compare_fields(result: Comparison, right: Mapping[Any, Any], found: Mapping[Any, Any]) -> Comparison:
    """Compare values by their keys."""
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


async def run(seed: int, taps: int, seconds: float, *, kills: bool) -> bool:
    """Make the check; True when everything is right."""
    async with deployed(1, own_servers=True, settings=_SETTINGS) as deployment:
        second = workers.Worker("feeds-2", "feeds", max(worker.web_port for worker in deployment.workers) + 1)
        deployment.supervisor.add_group([workers.worker_spec(second, deployment.folder, deployment.environment)])
        await deployment.supervisor.start_all()
        # all taps lie before now: no clock of a producer runs ahead
        begin_us = (time.time_ns() // 1000) - taps * _PACE_US - 3600 * SECOND_US
        feed = RiderFeed(seed, begin_us, _PACE_US, _DISORDER_SECONDS * SECOND_US)
        killing = kill_some(deployment, seed, seconds) if kills else asyncio.sleep(0)
        await asyncio.gather(asyncio.to_thread(produce, deployment, feed, taps, seconds), killing)
        print(f"seed {seed}: {taps:,} taps acknowledged", flush=True)
        await settle(deployment, feed)
        return await asyncio.to_thread(compare_all, deployment, feed)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--taps", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=80.0, help="How long sending takes.")
    parser.add_argument("--no-kills", action="store_true", help="Leave all processes alone.")
    arguments = parser.parse_args()
    equal = asyncio.run(run(arguments.seed, arguments.taps, arguments.seconds, kills=not arguments.no_kills))
    print(f"seed {arguments.seed}: " + ("exact" if equal else "NOT exact"), flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
