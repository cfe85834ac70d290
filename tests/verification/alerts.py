"""Waves of congestion while workers are killed: ``python -m tests.verification.alerts --seed N``.

Cameras with waves, with a level that changes every window, with gaps, and one that falls silent; in the middle
the thresholds change. The alerts worker is killed with SIGKILL twice and a windows worker once. Every step on
``traffic.alerts`` must be the oracle's, and what was sent again the same, byte for byte.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Producer

from models.timestamps import epoch_us, rfc3339
from tests.verification.alerts_oracle import TRAFFIC, WINDOW_US, Boundaries, Step, Window, right_steps
from tests.verification.deployment import Deployment, deployed, until
from tests.verification.log import TICK_HEADER, end_offsets, read_log
from trafficapp.sources.delivery import Delivery
from trafficapp.topics import ALERTS, EVENTS_RAW, METRICS

WINDOWS = 80
SECONDS_A_WINDOW = 0.6
CHANGED_AT = 50
USUAL: Boundaries = (0.30, 0.55, 0.80)
CHANGED: Boundaries = (0.20, 0.35, 0.60)
SILENT, SILENT_AFTER = "silent", 20
SETTINGS = {
    "TRAFFICAPP_WINDOWS__IDLE_TIMEOUT_SECONDS": "5",
    "TRAFFICAPP_WINDOWS__TICK_SECONDS": "0.5",
    "TRAFFICAPP_ALERTS__SILENT_SECONDS": "10",
}


@dataclass
class Found:
    """What stands on ``traffic.alerts``: first copies in order, repeats, and repeats that differ."""

    steps: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    told_ms: dict[tuple[str, int], int] = field(default_factory=dict)
    raw: dict[tuple[str, int], bytes] = field(default_factory=dict)
    repeats: int = 0
    differing: list[str] = field(default_factory=list)

    def of(self, *types: str) -> list[dict[str, Any]]:
        """Steps of alerts of these types."""
        return [step for step in self.steps.values() if step["alert_type"] in types]


def plan(seed: int) -> dict[str, str]:
    """A letter for each window of each camera; a blank for none."""
    chance = random.Random(seed)
    cameras = {}
    for number in range(6):
        letters = ""
        while len(letters) < WINDOWS - 10:
            letters += "L" * chance.randint(2, 6) + "M" * chance.randint(0, 2) + "H" * chance.randint(2, 4)
            letters += (
                "S" * chance.choice([0, 1, 3, 8, 14, 18]) + "H" * chance.randint(0, 3) + "M" * chance.randint(0, 3)
            )
            letters += "L" * chance.randint(6, 9)
        cameras[f"wave-{number}"] = letters[:WINDOWS].ljust(WINDOWS, "L")
    cameras |= {f"flapping-{pair}": (pair * WINDOWS)[:WINDOWS] for pair in ("HL", "SL", "SM", "HM", "LS")}
    cameras["gaps"] = ("LH       HL     S     LLL H    H         LLLL  " * 2)[:WINDOWS]
    cameras[SILENT] = "L" * SILENT_AFTER
    return cameras


def windows_of(letters: str, base_us: int) -> list[Window]:
    """The windows of a camera."""
    return [
        Window(base_us + number * WINDOW_US, letter, CHANGED if number >= CHANGED_AT else USUAL)
        for number, letter in enumerate(letters)
        if letter != " "
    ]


def send(delivery: Delivery, camera_id: str, letter: str, number: int, base_us: int) -> None:
    """Send a window's two pictures."""
    count, speed_kmh = TRAFFIC[letter]
    for picture, offset_us in enumerate((1_000_000, 3_500_000)):
        detections = [
            {
                "vehicle_id": f"v{vehicle}",
                "class": "car",
                "confidence": 0.9,
                "bbox": {"x": 1, "y": 2, "w": 3, "h": 4},
                "speed_estimate": speed_kmh,
            }
            for vehicle in range(count)
        ]
        head = {"camera_id": camera_id, "frame_id": number * 2 + picture}
        time_ms = (base_us + number * WINDOW_US + offset_us) // 1000
        delivery.send(camera_id.encode(), json.dumps({**head, "timestamp": time_ms, "detections": detections}).encode())


def change_thresholds(deployment: Deployment, base_us: int) -> None:
    """Send a control record, and one that is none, to every partition; and the good one again."""
    names = dict(zip(("moderate", "high", "severe"), CHANGED, strict=True))
    thresholds = {"version": 1, "effective_from_us": base_us + CHANGED_AT * WINDOW_US, **names}
    producer = Producer({"bootstrap.servers": deployment.bootstrap_servers})
    for value in ({"thresholds": thresholds}, {"thresholds": {**thresholds, "high": 2}}, {"thresholds": thresholds}):
        for partition in end_offsets(deployment.bootstrap_servers, EVENTS_RAW):
            producer.produce(EVENTS_RAW, value=json.dumps(value), partition=partition, headers=[(TICK_HEADER, b"")])
    producer.flush(30)


def read_alerts(bootstrap_servers: str) -> Found:
    """Read the whole topic."""
    found = Found()
    for record in read_log(bootstrap_servers, ALERTS):
        value = record.value or b""
        step = json.loads(value)
        place = (step["id"], step["revision"])
        if place not in found.steps:
            found.steps[place], found.raw[place], found.told_ms[place] = step, value, record.timestamp_ms
            continue
        found.repeats += 1
        if found.raw[place] != value:
            found.differing.append(f"{found.raw[place]!r}\n      {value!r}")
    return found


def as_right(step: dict[str, Any]) -> Step:
    """A found step in the oracle's form."""
    values, resolved = step["values"], step["action"] == "resolved"
    return Step(
        camera_id=step["camera_id"],
        alert_type=step["alert_type"],
        action=step["action"] if step["resolved_at"] == (step["updated_at"] if resolved else None) else "ill-timed",
        revision=step["revision"],
        severity=step["severity"],
        level=step["congestion_level"],
        score=step["congestion_score"],
        since_us=epoch_us(step["since"]),
        triggered_us=epoch_us(step["triggered_at"]),
        at_us=epoch_us(step["updated_at"]),
        vehicle_count=values["vehicle_count"],
        avg_speed_kmh=values["avg_speed_kmh"],
        queue_length=values["queue_length"],
        peak_score=values["peak_congestion_score"],
    )


async def drive(deployment: Deployment, cameras: dict[str, str], base_us: int) -> None:
    """Send everything at its pace; the silent camera comes back once it is missed.

    What is sent beyond the plan is put into it: nobody else may fall silent meanwhile.
    """
    delivery = Delivery(deployment.settings, EVENTS_RAW, linger_ms=1)

    def is_missed() -> bool:
        return bool(read_alerts(deployment.bootstrap_servers).of("camera_silent"))

    began, number, windows_left = time.monotonic(), 0, WINDOWS
    missed = asyncio.create_task(until(is_missed, 120))
    while windows_left > 0 or not missed.done():
        await asyncio.sleep(max(began + number * SECONDS_A_WINDOW - time.monotonic(), 0))
        if number == CHANGED_AT - 2:
            await asyncio.to_thread(change_thresholds, deployment, base_us)
        for camera_id, letters in cameras.items():
            if number >= len(letters):
                cameras[camera_id] += " " if camera_id == SILENT and not missed.done() else "L"
            letter = cameras[camera_id][number]
            if letter != " ":
                send(delivery, camera_id, letter, number, base_us)
        await asyncio.to_thread(delivery.flush, 30)
        number, windows_left = number + 1, windows_left - 1


async def kill(deployment: Deployment, moments: Sequence[tuple[float, str]]) -> None:
    """Kill processes at their moments."""
    began = time.monotonic()
    for at_seconds, name in moments:
        await asyncio.sleep(max(began + at_seconds - time.monotonic(), 0))
        await until(lambda name=name: deployment.supervisor.pid(name) is not None, 60, 0.05)  # type: ignore[misc]
        await deployment.supervisor.kill(name)
        print(f"  {at_seconds:5.1f} s  {name} killed", flush=True)


def check(found: Found, expected: Sequence[Step], cameras: dict[str, str], base_us: int) -> list[str]:
    """The faults."""
    faults = [f"a repeat differs: {one}" for one in found.differing]
    steps = Counter(map(as_right, found.of("congestion", "stopped_traffic")))
    right = Counter(expected)
    faults += [f"missing: {one}" for one in right - steps] + [f"not expected: {one}" for one in steps - right]
    opened = Counter(s["camera_id"] for s in found.of("congestion") if s["action"] == "opened")
    faults += [f"{name}: {opened[name]} alerts" for name in cameras if name.startswith("flapping") and opened[name] > 1]
    silences = found.of("camera_silent")
    told = sorted((s["action"], s["revision"], s["since"]) for s in silences if s["since"] < _last(cameras, s, base_us))
    since = rfc3339(base_us + SILENT_AFTER * WINDOW_US - 1_500_000)
    if told != [("opened", 1, since), ("resolved", 2, since)]:
        faults.append(f"{SILENT} was to be missed since {since}, and nobody else: {told}")
    return faults


def _last(cameras: dict[str, str], step: dict[str, Any], base_us: int) -> str:
    """When a camera's last picture was taken; when everything has been sent, all of them fall silent."""
    windows = len(cameras[step["camera_id"]].rstrip())
    return rfc3339(base_us + windows * WINDOW_US - 1_500_000)


def delays_ms(found: Found, bootstrap_servers: str) -> list[int]:
    """How long after its window stood on ``traffic.metrics`` each step stood on ``traffic.alerts``."""
    finished: dict[tuple[str, str], int] = {}
    for record in read_log(bootstrap_servers, METRICS):
        row = json.loads(record.value or b"")
        if row["lane_id"] is None:
            finished.setdefault((row["camera_id"], row["window_end"]), record.timestamp_ms)
    return [
        found.told_ms[place] - finished[step["camera_id"], step["updated_at"]]
        for place, step in found.steps.items()
        if step["alert_type"] != "camera_silent"
    ]


async def run(seed: int, *, kills: bool) -> bool:
    """Make the check; True when every step is right."""
    chance, cameras = random.Random(seed + 1), plan(seed)
    seconds = WINDOWS * SECONDS_A_WINDOW
    moments = [(chance.uniform(0.1, 0.4) * seconds, "alerts"), (chance.uniform(0.6, 0.9) * seconds, "alerts")]
    moments += [(chance.uniform(0.2, 0.8) * seconds, "worker-1")]
    if not kills:
        moments = []
    async with deployed(2, own_servers=True, settings=SETTINGS) as deployment:
        base_us = int(time.time() * 1e6) // WINDOW_US * WINDOW_US - (WINDOWS + 60) * WINDOW_US
        killing = asyncio.create_task(kill(deployment, sorted(moments)))
        await drive(deployment, cameras, base_us)
        await killing
        right = [step for name, letters in cameras.items() for step in right_steps(name, windows_of(letters, base_us))]
        servers = deployment.bootstrap_servers

        def all_there() -> bool:
            found = Counter(map(as_right, read_alerts(servers).of("congestion", "stopped_traffic")))
            return not Counter(right) - found

        await until(all_there, 60, 1)
        await asyncio.sleep(2)  # for steps that nobody expects
        found = await asyncio.to_thread(read_alerts, servers)
        faults = check(found, right, cameras, base_us)
        delays = sorted(await asyncio.to_thread(delays_ms, found, servers))
    _tell(seed, found, cameras, right, delays, faults)
    return not faults


def _tell(
    seed: int, found: Found, cameras: dict[str, str], right: list[Step], delays: list[int], faults: list[str]
) -> None:
    actions = Counter((step["alert_type"], step["action"]) for step in found.steps.values())
    for (alert_type, action), count in sorted(actions.items()):
        print(f"  {alert_type:16} {action:9} {count}")
    opened = Counter(s["camera_id"] for s in found.of("congestion") if s["action"] == "opened")
    print("  congestion alerts:", ", ".join(f"{name} {opened[name]}" for name in cameras))
    print(f"seed {seed}: {len(right)} steps expected, {len(faults)} faults, {found.repeats} repeats, all the same bytes"
          if not found.differing else f"seed {seed}: {len(found.differing)} repeats differ")  # fmt: skip
    p99 = delays[int(len(delays) * 0.99)]
    print(f"  from window to alert: median {statistics.median(delays):g} ms, p99 {p99} ms")
    for fault in faults[:10]:
        print("   ", fault)


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
