"""Waves of congestion while workers are killed: ``python -m tests.verification.alerts --seed N``.

Cameras with waves, with a level that changes every window, with gaps, and one that falls silent; in the middle
the thresholds change. Clients listen on both windows workers; one alert is acknowledged in peace, another right
before the live worker is killed. In the second half the alerts worker, a windows worker and the live worker are
killed with SIGKILL once each. Every step on ``traffic.alerts`` must be the oracle's, and what was sent again the
same, byte for byte; every client must hear every step once; history, export, open alerts and the table must say
the same. A new alert must reach 99 of 100 clients within 300 ms of the record that made its window final, as long
as nobody is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from tests.verification.alerts_hops import HOPS, Passed, passed, waited_seconds
from tests.verification.alerts_oracle import Step
from tests.verification.alerts_plan import CALM_WINDOWS, ON_DELAY_SECONDS, SECONDS_A_WINDOW, SILENT, WINDOWS, Traffic
from tests.verification.alerts_sockets import (
    EVENT_OF_ACTION,
    Delays,
    EventsClient,
    delays_of,
    listening,
    socket_faults,
)
from tests.verification.alerts_stored import ControlRoom
from tests.verification.alerts_topic import Found, is_complete, opened_by_camera, read_alerts, topic_faults
from tests.verification.deployment import Deployment, deployed, until

CLIENTS_A_WORKER = 20
AIM_MS = 300.0
KILLED = ("alerts", "worker-1", "live")
SETTINGS = {
    "TRAFFICAPP_WINDOWS__IDLE_TIMEOUT_SECONDS": "5",
    "TRAFFICAPP_WINDOWS__TICK_SECONDS": "0.5",
    "TRAFFICAPP_ALERTS__SILENT_SECONDS": "10",
    # a silent camera is told at once, as every other alert
    "TRAFFICAPP_ALARMS__HOLD_SILENT_SECONDS": "0",
    # time goes ten times as fast here: on a busy machine clocks of cameras look as if they drifted
    "TRAFFICAPP_ALARMS__SUPPRESS_UNHEALTHY": "false",
    "TRAFFICAPP_ALARMS__ON_DELAY_SECONDS": str(ON_DELAY_SECONDS),
}
_ALERT_SECONDS = 60.0
_STORED_WITHIN_SECONDS = 30.0


@dataclass
class Check:
    """A run in the making.

    Attributes:
        clients: by worker.
        kills_began: monotonic seconds; infinite as long as nobody was killed.
        waited: the share of the time in which nobody was killed that a worker had work and no core, by its name.
    """

    deployment: Deployment
    traffic: Traffic
    clients: list[list[EventsClient]]
    room: ControlRoom
    kills_began: float = math.inf
    killed: list[str] = field(default_factory=list)
    waited: dict[str, float] = field(default_factory=dict)

    @property
    def ports(self) -> list[int]:
        """Of the workers that the clients listen to, the one that is never killed last."""
        return [worker.web_port for worker in self.deployment.workers if worker.role == "streams"]

    @property
    def everybody(self) -> list[EventsClient]:
        """All clients."""
        return [client for worker in self.clients for client in worker]

    def is_missed(self) -> bool:
        """Whether a client was told that the silent camera is."""
        alerts = self.clients[-1][0].open_alerts()
        return any(alert["alert_type"] == "camera_silent" and alert["camera_id"] == SILENT for alert in alerts)

    async def acknowledge_in_peace(self) -> None:
        """Somebody takes an alert on, which stays his when another one tries at another worker; and so of a WARNING."""
        first, last = self.ports[0], self.ports[-1]
        critical = await self._open_alert("CRITICAL")
        await self.room.acknowledge(last, critical, "ada")
        await self.room.acknowledge(first, critical, "grace")
        await self.room.acknowledge(first, await self._open_alert("WARNING"), "ada")

    async def watch_cores(self) -> None:
        """Look how long workers wait for a core while nobody is killed."""
        supervisor, seconds = self.deployment.supervisor, CALM_WINDOWS * SECONDS_A_WINDOW
        pids = {worker.name: supervisor.pid(worker.name) for worker in self.deployment.workers}
        before = waited_seconds(pids)
        await asyncio.sleep(seconds)
        after = waited_seconds(pids)
        self.waited = {name: (after[name] - before[name]) / seconds for name in before.keys() & after.keys()}

    async def kill(self, moments: Sequence[tuple[float, str]]) -> None:
        """Kill processes at their moments, and acknowledge an alert right before the live worker is killed."""
        supervisor, began = self.deployment.supervisor, time.monotonic()
        for at_seconds, name in moments:
            await asyncio.sleep(max(began + at_seconds - time.monotonic(), 0))
            await until(lambda name=name: supervisor.pid(name) is not None, 60, 0.05)  # type: ignore[misc]
            self.kills_began = min(self.kills_began, time.monotonic())
            if name == "live":
                await self.room.acknowledge(self.ports[-1], await self._open_alert("CRITICAL"), "grace")
            await supervisor.kill(name)
            self.killed.append(name)
            print(f"  {time.monotonic() - began:5.1f} s  {name} killed", flush=True)

    async def _open_alert(self, severity: str) -> dict[str, object]:
        """The newest open alert of a wave that nobody acknowledged."""
        async with asyncio.timeout(_ALERT_SECONDS):
            while True:
                for alert in reversed(self.clients[-1][0].open_alerts()):
                    of_wave = alert["alert_type"] == "congestion" and alert["camera_id"].startswith("wave")
                    if of_wave and alert["severity"] == severity and alert["id"] not in self.room.acknowledged:
                        return alert
                await asyncio.sleep(0.02)


@dataclass
class Result:
    """What was found."""

    found: Found
    right: list[Step]
    faults: list[str]
    calm: Delays
    killing: Delays
    way: list[Passed]


async def run(seed: int, *, kills: bool) -> bool:
    """Make the check; True when everything is right."""
    chance = random.Random(seed + 1)
    begin, end = CALM_WINDOWS * SECONDS_A_WINDOW, WINDOWS * SECONDS_A_WINDOW
    chosen = chance.sample(KILLED, len(KILLED)) if kills else []
    moments = [(chance.uniform(begin + 2, begin + 0.7 * (end - begin)), name) for name in chosen]
    token = secrets.token_hex(16)
    async with (
        deployed(2, own_servers=True, settings={**SETTINGS, "ADMIN_API_KEY": token}) as deployment,
        aiohttp.ClientSession() as session,
    ):
        await deployment.until_ready()
        ports = [worker.web_port for worker in deployment.workers if worker.role == "streams"]
        async with listening(CLIENTS_A_WORKER, ports) as clients:
            check = Check(deployment, Traffic(deployment, seed), clients, ControlRoom(session, token))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(check.traffic.drive(check.is_missed))
                tasks.create_task(check.watch_cores())
                tasks.create_task(check.acknowledge_in_peace())
                tasks.create_task(check.kill(sorted(moments)))
            result = await _judge(check)
    _tell(seed, check, result)
    return not result.faults


async def _judge(check: Check) -> Result:
    """Wait for everything that must come, and hold it against the oracle."""
    deployment, traffic = check.deployment, check.traffic
    servers, right = deployment.bootstrap_servers, traffic.right_steps()
    await until(lambda: is_complete(read_alerts(servers), right, traffic), 60, 1)
    steps = len((await asyncio.to_thread(read_alerts, servers)).steps)
    await until(lambda: all(len(client.heard) >= steps for client in check.everybody), 30)
    await asyncio.sleep(2)  # for what nobody expects
    found = await asyncio.to_thread(read_alerts, servers)
    faults = topic_faults(found, right, traffic) + socket_faults(check.everybody, found.steps)
    faults += _connection_faults(check) + await _stored_faults(check, found, right) + check.room.faults
    acknowledged = [place for place in found.steps if place[1] == "acknowledged"]
    if Counter(place[0] for place in acknowledged) != Counter(check.room.acknowledged.keys()):
        faults.append(f"acknowledged on the topic: {acknowledged}")
    calm, killing = delays_of(check.everybody, traffic, check.kills_began, AIM_MS)
    if _quantile(calm, 0.99) > AIM_MS:
        faults.append(f"p99 is {_quantile(calm, 0.99):.0f} ms and not below {AIM_MS:g} ms although nobody was killed")
        faults += [f"{name}: {delay:.0f} ms" for name, delay in calm.longest.items() if delay > AIM_MS]
    until_killed = check.kills_began - AIM_MS / 1000
    way = await asyncio.to_thread(passed, check.everybody, traffic, servers, found.stepped_ms, until_killed)
    return Result(found, right, faults, calm, killing, way)


async def _stored_faults(check: Check, found: Found, right: Sequence[Step]) -> list[str]:
    """The faults of what is stored, once there are none or time is up: the sinks may be behind for a while."""
    deadline = time.monotonic() + _STORED_WITHIN_SECONDS
    while True:
        faults = await asyncio.to_thread(check.room.table_faults, check.deployment.database_url, found)
        for port in check.ports:
            faults += await check.room.api_faults(port, check.traffic.base_us, found, right)
        if not faults or time.monotonic() > deadline:
            return faults
        await asyncio.sleep(1)


def _connection_faults(check: Check) -> list[str]:
    """Clients of a worker that was killed connect twice, the others once."""
    faults = []
    for number, clients in enumerate(check.clients, 1):
        right = 2 if f"worker-{number}" in check.killed else 1
        faults += [f"{one.name}: {one.connections} connections" for one in clients if one.connections != right]
    return faults


def _quantile(delays: Delays, share: float) -> float:
    ordered = delays.milliseconds
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else math.nan


def _tell(seed: int, check: Check, result: Result) -> None:
    found, everybody = result.found, check.everybody
    counts = Counter((step["alert_type"], step["action"]) for step in found.steps.values())
    print(f"  {'traffic.alerts':16}" + "".join(f"{action:>14}" for action in EVENT_OF_ACTION))
    for alert_type in sorted({alert_type for alert_type, _ in counts}):
        print(f"  {alert_type:16}" + "".join(f"{counts[alert_type, action]:>14}" for action in EVENT_OF_ACTION))
    opened = opened_by_camera(found)
    print("  congestion alerts:", ", ".join(f"{name} {opened[name]}" for name in check.traffic.cameras))
    heard = Counter(one.event for client in everybody for one in client.heard)
    total = Counter(step["action"] for step in found.steps.values())
    print(f"  {'event':20}{'told':>8}{'clients':>10}{'heard':>9}{'must be':>9}")
    for action, event in EVENT_OF_ACTION.items():
        print(f"  {event:20}{total[action]:>8}{len(everybody):>10}{heard[event]:>9}{total[action] * len(everybody):>9}")
    print(f"  {'new_alert after':20}{'alerts':>8}{'heard':>10}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for name, delays in (("nobody killed", result.calm), ("kills", result.killing)):
        if delays.milliseconds:
            figures = "".join(f"{_quantile(delays, share):>9.0f}" for share in (0.5, 0.99, 1))
            print(f"  {name:20}{len(delays.longest):>8}{len(delays.milliseconds):>10}{figures}")
    _tell_way(check, result)
    print(
        f"seed {seed}: {len(result.right)} steps of the oracle, {found.repeats} repeats "
        f"({len(found.differing)} differ), {len(check.room.acknowledged)} acknowledged, {len(result.faults)} faults"
    )
    for fault in result.faults[:10]:
        print("   ", fault)


def _tell_way(check: Check, result: Result) -> None:
    """Where the time of new alerts went, as long as nobody was killed."""
    for number, hop in enumerate(HOPS if result.way else ()):
        ordered = sorted(one.hops_ms()[number] for one in result.way)
        figures = "".join(f"{ordered[min(int(len(ordered) * share), len(ordered) - 1)]:>9.0f}" for share in (0.5, 0.99))
        print(f"  {hop:20}{len(ordered):>8}{'':>10}{figures}{ordered[-1]:>9.0f}")
    if check.waited:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in sorted(check.waited.items()))
        print(f"  had work and no core: {shares}")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--no-kills", action="store_true", help="leave the workers alone, to measure the delay")
    arguments = parser.parse_args()
    right = asyncio.run(run(arguments.seed, kills=not arguments.no_kills))
    print(f"seed {arguments.seed}: " + ("exact" if right else "NOT exact"), flush=True)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
