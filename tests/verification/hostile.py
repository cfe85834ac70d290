"""Everything hostile at once, while workers are killed: ``python -m tests.verification.hostile --seed N``.

Producers of every codec and both libraries, transactions that are committed or not, records that no client can read,
what compression lets in, floods of made-up cameras, clocks that jump, records that look like ticks, backlogs after a
silence, late, repeated and broken messages; two windows workers and one of every other role, killed with SIGKILL at
moments of the seed. In the end the log is read back, and rows, dead letters, alerts, cameras that are quiet, missed or
forgotten, and the tables must be what the oracles make of it. No worker may end by itself, none may answer ``/health``
later than within 250 ms, and their memory is bounded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import psycopg
from psycopg.rows import dict_row

from agents.alerts import absence_of
from tests.verification.alerts_oracle import Rules as AlertRules
from tests.verification.alerts_stored import TABLE, with_texts
from tests.verification.alerts_topic import read_alerts
from tests.verification.compare import Comparison, compare_all, report
from tests.verification.deployment import Deployment, VerificationError, deployed, until
from tests.verification.dirty import compare_counts
from tests.verification.hostile_judge import (
    States,
    compare_alerts,
    compare_alerts_table,
    compare_cameras,
    compare_quiet,
    compare_sets,
    compare_unreadable,
    cut_at,
)
from tests.verification.hostile_plan import SPECIAL
from tests.verification.hostile_workers import HEALTH_SECONDS, MEMORY_MIB, kill, watched
from tests.verification.letters import compare_dead_letters
from tests.verification.log import LogRecord, end_offsets, read_log
from tests.verification.truth import Rules, Truth, truth_of
from tests.windows.entries import SPECIAL as SPECIAL_SETTINGS
from tests.windows.entries import UNTRACKED
from trafficapp.settings import Settings, load_settings
from trafficapp.stack import children
from trafficapp.topics import DEAD_LETTERS, EVENTS_RAW, METRICS, camera_state_changelog, quiet_cameras

SECONDS = 180.0

#: Everything that takes long is shortened so far that it happens within the run.
SETTINGS: dict[str, dict[str, Any]] = {
    "windows": {
        "idle_timeout_seconds": 5,
        "max_cameras": 60,
        "untracked_ids": [UNTRACKED],
        "forget_made_up_minutes": 1,
    },
    "alerts": {"silent_seconds": 12, "forget_seconds": 10, "stopped_windows": 3},
}

KILLED = ("worker-1", "worker-2", "worker-1", "alerts", "history", "live")
_FIRST_KILL, _LAST_KILL = 0.12, 0.92
_SETTLE_SECONDS = 180.0
#: To read the whole changelog takes a core for a second.
_SETTLE_POLL_SECONDS = 10.0
_STORED_WITHIN_SECONDS = 60.0


def environment() -> dict[str, str]:
    """The settings as variables."""
    named = {
        f"TRAFFICAPP_{section}__{name}".upper(): value if isinstance(value, str) else json.dumps(value)
        for section, values in SETTINGS.items()
        for name, value in values.items()
    }
    return {**named, "TRAFFICAPP_CAMERAS": json.dumps({SPECIAL: SPECIAL_SETTINGS})}


def settings_of(deployment: Deployment) -> Settings:
    """The settings that the workers have."""
    known = deployment.settings
    return load_settings(
        app_id=known.app_id,
        kafka=known.kafka.model_dump(),
        postgres=known.postgres.model_dump(),
        redis=known.redis.model_dump(),
        cameras={SPECIAL: SPECIAL_SETTINGS},
        **SETTINGS,
    )


def alert_rules(settings: Settings) -> AlertRules:
    """The settings that the oracle of alerts knows; what else the settings say must be as it is by default."""
    absence = absence_of(settings)
    return AlertRules(
        stopped_windows=settings.alerts.stopped_windows,
        forget_us=round(settings.alerts.forget_seconds * 1e6),
        few_windows=absence.lasting_windows,
        away_us=absence.few_us,
        on_delay_us=round(settings.alarms.on_delay_seconds * 1e6),
    )


async def load(deployment: Deployment, seed: int, seconds: float) -> dict[str, Any]:
    """Send everything; returns what the sender says of it."""
    arguments = ["--bootstrap-servers", deployment.bootstrap_servers, "--seed", str(seed), "--seconds", str(seconds)]
    process = await children.spawn([sys.executable, "-m", "tests.verification.hostile_load", *arguments])
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise VerificationError(f"the sender ended with {process.returncode}: {output.decode()[-3000:]}")
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return told


async def settle(deployment: Deployment, settings: Settings) -> bool:
    """Wait until everything is applied and no window is open; False when that takes too long."""
    servers, changelog = deployment.bootstrap_servers, camera_state_changelog(settings)
    ends = await asyncio.to_thread(end_offsets, servers, EVENTS_RAW)

    def is_settled() -> bool:
        states = States.of(read_log(servers, changelog))
        return not states.is_open and all(states.applied.get(number, -1) + 1 >= end for number, end in ends.items())

    return await until(is_settled, _SETTLE_SECONDS, _SETTLE_POLL_SECONDS) is not None


async def run(seed: int, seconds: float, *, kills: bool) -> bool:
    """Make the check; True when everything is right."""
    began = time.monotonic()
    chance = random.Random(seed + 1)
    moments = sorted((chance.uniform(_FIRST_KILL, _LAST_KILL) * seconds, name) for name in KILLED if kills)
    async with deployed(2, own_servers=True, settings=environment()) as deployment:
        settings = settings_of(deployment)
        # seven processes that start at once keep each other from the cores; what is asked here is what the load does
        await deployment.until_ready()
        async with watched(deployment, deployment.logs / "health.txt") as found:
            async with asyncio.TaskGroup() as tasks:
                sent = tasks.create_task(load(deployment, seed, seconds))
                tasks.create_task(kill(deployment, found, moments))
            is_settled = await settle(deployment, settings)
        for name in ("worker-1", "worker-2"):
            await deployment.supervisor.stop(name)
        print(f"  {time.monotonic() - began:.0f} s: all sent and {'' if is_settled else 'NOT '}settled", flush=True)
        right = await judge(deployment, settings, sent.result())
    print("\n".join(found.table()))
    faults = found.faults()
    print(
        f"  limits: {HEALTH_SECONDS * 1000:.0f} ms, {MEMORY_MIB:.0f} MiB; "
        f"the process that asked woke up late by {found.late_seconds * 1000:.0f} ms at most"
    )
    for fault in faults:
        print("   ", fault)
    print(f"seed {seed}: {time.monotonic() - began:.0f} s")
    return right and is_settled and not faults


async def judge(deployment: Deployment, settings: Settings, sent: dict[str, Any]) -> bool:
    """Compare everything and print it."""
    servers = deployment.bootstrap_servers
    everything = await asyncio.to_thread(lambda: list(read_log(servers, EVENTS_RAW, with_ticks=True)))
    states = await asyncio.to_thread(lambda: States.of(read_log(servers, camera_state_changelog(settings))))
    log, behind = cut_at(everything, states.applied)
    rules = Rules.from_settings(settings)
    truth = await asyncio.to_thread(lambda: truth_of(log, rules, ends_in_silence=False))
    _tell(sent, log, truth)
    metrics = await asyncio.to_thread(lambda: list(read_log(servers, METRICS)))
    letters = await asyncio.to_thread(lambda: list(read_log(servers, DEAD_LETTERS)))
    quiet = await asyncio.to_thread(lambda: list(read_log(servers, quiet_cameras(settings))))
    print(f"  {await deployment.settle(len(truth.rows), _STORED_WITHIN_SECONDS)}", flush=True)
    comparisons = [
        compare_sets("records that are not applied", Counter(), Counter(behind)),
        compare_unreadable(log, sent["unreadable"]),
        *await asyncio.to_thread(compare_all, truth.rows, servers, deployment.database_url, rules),
        compare_dead_letters(truth.dead_letters, log, letters),
        *compare_quiet(truth, metrics, quiet),
        compare_cameras(truth, states),
        *await _alerts(deployment, settings, truth, metrics),
        compare_counts("table traffic_events", {"rows": _stored(truth)}, {"rows": deployment.stored_events()}),
    ]
    comparisons[0].compared = len(log)
    return report(comparisons)


def _stored(truth: Truth) -> int:
    """Detections that are kept in the table of events: all that do not depend on what came before."""
    return (
        truth.counted + truth.repeated + sum(truth.rejected[why] for why in ("late", "camera_full", "too_many_cameras"))
    )


async def _alerts(
    deployment: Deployment, settings: Settings, truth: Truth, metrics: list[LogRecord]
) -> list[Comparison]:
    """Compare the alerts once they are as they must be, or time is up: whoever raises them may be behind."""
    rules = alert_rules(settings)
    deadline = time.monotonic() + _STORED_WITHIN_SECONDS
    while True:
        found = await asyncio.to_thread(read_alerts, deployment.bootstrap_servers)
        comparisons = compare_alerts(truth, metrics, found, rules)
        comparisons.append(compare_alerts_table(found, await asyncio.to_thread(_table, deployment.database_url)))
        if all(one.equal for one in comparisons) or time.monotonic() > deadline:
            return comparisons
        await asyncio.sleep(2)


def _table(database_url: str) -> dict[str, dict[str, Any]]:
    with psycopg.connect(database_url, connect_timeout=5, row_factory=dict_row) as connection:
        return {row["id"]: with_texts(row) for row in connection.execute(TABLE)}


def _tell(sent: dict[str, Any], log: list[LogRecord], truth: Truth) -> None:
    ticks = sum(record.is_tick for record in log)
    print(f"  {len(log):,} committed records, {ticks:,} of them ticks or like ticks; sent:")
    print("    " + ", ".join(f"{way} {count:,}" for way, count in sorted(sent["sent"].items())))
    print(f"  {truth.counted:,} detections counted, {truth.repeated:,} repeated; refused:")
    print("    " + ", ".join(f"{reason} {count:,}" for reason, count in sorted(truth.rejected.items())), flush=True)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for how long something is sent")
    parser.add_argument("--no-kills", action="store_true", help="leave the workers alone")
    arguments = parser.parse_args()
    right = asyncio.run(run(arguments.seed, arguments.seconds, kills=not arguments.no_kills))
    print(f"seed {arguments.seed}: " + ("exact" if right else "NOT exact"), flush=True)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
