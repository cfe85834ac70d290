"""All feeds of a city at once while processes are killed: ``python -m tests.verification.city --seed N``.

Plain librdkafka clients (crc32) send a seeded plan with every codec, with random or missing keys, and with dirt. The
roles feeds, history and live, Kafka, Postgres and Redis are killed with SIGKILL at moments chosen by the seed. Then
tables, Redis keys, dead letters and told alerts must be what the plan and the order of the log say; each part says in
its docstring what is compared exactly and what in bounds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tests.verification import city_riders, city_transit
from tests.verification.city_alerts import AlertsPart
from tests.verification.city_areas import AreasPart
from tests.verification.city_compare import Found
from tests.verification.city_fleet import FleetPart
from tests.verification.city_incidents import IncidentsPart
from tests.verification.city_plan import BOUNDS, ZONE, Plan, Senders, Sent
from tests.verification.city_riders import RidersPart
from tests.verification.city_still_cameras import StillCamerasPart
from tests.verification.city_transit import TransitPart
from tests.verification.city_weather import WeatherPart
from tests.verification.compare import Comparison, report
from tests.verification.deployment import Deployment, VerificationError, deployed, until

ROLES = ("feeds", "history", "live")
#: The one process of a site.
SITE = "worker-1"
KILLED = ("feeds", "feeds", "history", "live", "kafka", "postgres", "redis")
SETTINGS = {
    "TRAFFICAPP_CITY__BOUNDS": str(list(BOUNDS)),
    **{
        f"TRAFFICAPP_{one}__TIME_ZONE": ZONE
        for one in ("FLEET", "AREAS", "WEATHER", "TRANSIT", "RIDERS", "INCIDENTS", "STILL_CAMERAS")
    },
    "TRAFFICAPP_TRANSIT__DELAY_SECONDS": str(city_transit.DELAY_SECONDS),
    "TRAFFICAPP_RIDERS__WINDOW_SECONDS": str(city_riders.WINDOW_SECONDS),
    "TRAFFICAPP_RIDERS__ALLOWED_LATENESS_SECONDS": str(city_riders.LATENESS_SECONDS),
    "TRAFFICAPP_RIDERS__IDLE_TIMEOUT_SECONDS": str(city_riders.IDLE_SECONDS),
    "TRAFFICAPP_RIDERS__SURGE_TAPS": str(city_riders.SURGE_TAPS),
}
_BACK_SECONDS = 120.0
_SETTLED_SECONDS = 240.0


class Part(Protocol):
    """The feeds of one subject."""

    topics: tuple[str, ...]

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """What is sent in second `number`."""
        ...

    def compare(self, found: Found) -> list[Comparison]:
        """What is there against what must be."""
        ...


PARTS: dict[str, Callable[[Plan, int], Part]] = {
    "fleet": FleetPart,
    "areas": AreasPart,
    "weather": WeatherPart,
    "transit": TransitPart,
    "riders": RidersPart,
    "incidents": IncidentsPart,
    "still_cameras": StillCamerasPart,
    "alerts": AlertsPart,
}


async def send(deployment: Deployment, plan: Plan, parts: Sequence[Part], seconds: int) -> Senders:
    """Send a batch of every part each second, in one order of chance."""
    senders = Senders(deployment.bootstrap_servers, plan.chance)
    for number in range(seconds):
        due = time.monotonic() + 1
        now_us = time.time_ns() // 1000
        batch = [sent for part in parts for sent in part.batch(number, now_us)]
        plan.chance.shuffle(batch)
        for sent in batch:
            senders.send(sent)
        await asyncio.sleep(max(due - time.monotonic(), 0))
    left = await asyncio.to_thread(senders.flush, _BACK_SECONDS)
    if left or senders.failed:
        raise VerificationError(f"{left + senders.failed:,} messages were not acknowledged")
    return senders


async def kill_some(deployment: Deployment, seed: int, run_seconds: float, is_site: bool) -> None:
    """Kill every process of the list once it is there, at moments of chance."""
    killed = [SITE if is_site and name in ROLES else name for name in KILLED]
    chance, began = random.Random(seed), time.monotonic()
    for at, name in sorted((chance.uniform(0.1, 0.95) * run_seconds, name) for name in killed):
        await asyncio.sleep(max(began + at - time.monotonic(), 0))
        await until(lambda name=name: deployment.supervisor.pid(name) is not None, _BACK_SECONDS, 0.05)  # type: ignore[misc]
        await deployment.supervisor.kill(name)
        print(f"  {time.monotonic() - began:6.1f} s  {name} killed", flush=True)


async def settled(found: Found, parts: Sequence[Part]) -> list[Comparison]:
    """Compare until all is equal, and then once more for what nobody expects; the last comparison if time is up."""

    def compare() -> list[Comparison]:
        found.look_again()
        return [one for part in parts for one in part.compare(found)]

    began = time.monotonic()
    result: list[Comparison] = []
    while time.monotonic() - began < _SETTLED_SECONDS:
        await asyncio.sleep(5)
        result = await asyncio.to_thread(compare)
        if all(one.equal for one in result):
            print(f"everything was there {time.monotonic() - began:.0f} s after the last message", flush=True)
            await asyncio.sleep(8)
            return await asyncio.to_thread(compare)
    return result


async def run(seed: int, seconds: int, kills: bool, names: Sequence[str], is_site: bool = False) -> bool:
    """Make the check; True when everything is right."""
    plan = Plan(seed)
    parts: list[Part] = [PARTS[name](plan, seconds) for name in names]
    roles = ("site",) if is_site else ROLES
    async with deployed(int(is_site), own_servers=True, settings=SETTINGS, roles=roles, is_site=is_site) as deployment:
        killing = kill_some(deployment, seed, seconds, is_site) if kills else asyncio.sleep(0)
        senders, _ = await asyncio.gather(send(deployment, plan, parts, seconds), killing)
        print(f"seed {seed}: {senders.acknowledged:,} messages acknowledged", flush=True)
        result = await settled(Found(deployment, plan), parts)
        equal = report(result)
        if not equal:
            print(f"the lines of the processes are in {deployment.logs}")
        return equal


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("--no-kills", action="store_true", help="leave all processes alone")
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS), help="these subjects alone")
    parser.add_argument("--site", action="store_true", help="one process of the role site instead of three")
    arguments = parser.parse_args()
    kills = not arguments.no_kills
    equal = asyncio.run(run(arguments.seed, arguments.seconds, kills, arguments.only, arguments.site))
    print(f"seed {arguments.seed}: " + ("exact" if equal else "NOT exact"), flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
