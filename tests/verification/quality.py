"""A day of cameras with known faults: ``python -m tests.verification.quality [--cameras N] [--seed N]``.

Windows are made at the level at which the rules read them. Of each rule 5 % of the cameras have its fault, no camera
two. What is told is compared with that: precision and recall by rule, seconds from the fault to its telling; and the
mean speed of the city at the end with and without the sources that are unhealthy then. Exits with 1 below the aims.
The traffic is ours: peaks, quiet nights, queues at lights, jams of an hour; how real detectors fail may differ.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import exp
from statistics import median

import msgspec

from models.quality.sources import ObservedWindow, Reason, SourceHealth
from trafficapp.feeds.rules import When
from trafficapp.quality.partition import SOURCE_HEALTH, PartitionSources
from trafficapp.settings.quality import QualitySettings

AIM = 0.95
_S = 1_000_000
_MIDNIGHT_US = 1_768_348_800 * _S
_REASONS: tuple[Reason, ...] = (
    *("no_hits", "chatter", "locked_on", "no_change", "spike"),
    *("id_churn", "one_id", "impossible_speed", "clock_drift", "two_partitions"),
)
_LANES = (1, 2)


@dataclass
class Fault:
    """What is wrong with a camera, or its second lane, from when until when; seconds of the day."""

    reason: Reason
    begins_s: float
    ends_s: float
    lag_s: float = 0.0


@dataclass
class Plan:
    """A camera: how much drives by, how fast, and what is wrong with it."""

    camera_id: str
    busy: float
    free_kmh: float
    jam_s: float
    chance: random.Random
    fault: Fault | None = None
    frozen: dict[int, tuple[int, int, float]] = field(default_factory=dict)

    def lane(self, at_s: float, lane_id: int, seconds: float) -> tuple[int, int, float, float] | None:
        """Vehicles, detections, mean speed and share that stands in a window of a lane; None when nobody came."""
        chance, hour = self.chance, at_s / 3600
        flow = self.busy * (0.04 + exp(-((hour - 8) ** 2) / 3) + 0.7 * exp(-((hour - 13) ** 2) / 8))
        flow += self.busy * exp(-((hour - 17.5) ** 2) / 4)
        # no more than the saturation flow of 1,900 an hour (HCM) lets pass
        count = min(poisson(chance, flow * seconds), round(1900 * seconds / 3600))
        is_red = at_s % 90 < 35
        if 0 <= at_s - self.jam_s < 3600:
            count, speed, stopped = chance.randrange(12, 22), chance.uniform(0, 9), chance.uniform(0.4, 1.0)
        else:
            speed = max(chance.gauss(self.free_kmh, 6), 3) * (0.4 if is_red else 1.0)
            stopped = chance.uniform(0.3, 1.0) if is_red else 0.0
        if not count:
            return None
        if is_red and count < 3 and chance.random() < 0.5:
            speed, stopped = 0.0, 1.0
        return count, count * chance.randrange(15, 60), round(speed, 3), round(stopped, 4)

    def windows(self, at_s: float, seconds: float) -> Iterator[ObservedWindow]:
        """What the camera tells of a window: itself, then its lanes."""
        fault = self.fault
        wrong = fault.reason if fault is not None and fault.begins_s <= at_s < fault.ends_s else None
        counted = {lane: found for lane in _LANES if (found := self.lane(at_s, lane, seconds)) is not None}
        if wrong is not None:
            self._spoil(wrong, counted, at_s, seconds)
        if not counted:
            return
        vehicles = sum(count for count, *_ in counted.values())
        detections = sum(count for _, count, *_ in counted.values())
        if wrong == "one_id":
            vehicles = 1
        start_us = _MIDNIGHT_US + round(at_s * _S)
        end_us = start_us + round(seconds * _S)
        speed = sum(one[2] for one in counted.values()) / len(counted)
        # two producers with other partitioners: each window comes from one of them, by chance
        partition = self.chance.randrange(2) if wrong == "two_partitions" else 0
        yield ObservedWindow(self.camera_id, None, start_us, end_us, vehicles, detections, speed, 0.0, partition)
        for lane, (count, seen, speed, stopped) in counted.items():
            yield ObservedWindow(self.camera_id, lane, start_us, end_us, count, seen, speed, stopped)

    def _spoil(
        self, wrong: Reason, counted: dict[int, tuple[int, int, float, float]], at_s: float, seconds: float
    ) -> None:
        chance = self.chance
        count = counted.get(2, (2, 40, 30.0, 0.0))[0]
        if wrong == "no_hits":
            counted.pop(2, None)
        elif wrong == "chatter":
            many = round(chance.uniform(1.4, 2.5) * seconds)
            counted[2] = many, many * 3, round(chance.uniform(30, 70), 3), 0.0
        elif wrong == "locked_on":
            counted[2] = 2, round(seconds * chance.uniform(15, 25)), 0.0, 1.0
        elif wrong == "no_change":
            counted[2] = *self.frozen.setdefault(2, (count, count * 40, round(chance.uniform(10, 60), 3))), 0.0
        elif wrong == "spike":
            many = chance.randrange(24, 40) if int(at_s // max(seconds, 30)) % 2 else chance.randrange(1, 4)
            counted[2] = many, many * 20, round(chance.uniform(5, 18), 3), 0.5
        elif wrong == "impossible_speed":
            counted[2] = count, count * 20, round(chance.uniform(210, 400), 3), 0.0
        elif wrong == "id_churn":
            for lane, (_, seen, speed, stopped) in list(counted.items()):
                counted[lane] = round(seen * chance.uniform(0.85, 1.0)) or 1, seen, speed * 0.3, stopped
        elif wrong == "one_id":
            for lane in _LANES:
                _, seen, speed, stopped = counted.get(lane, (1, 30, round(chance.uniform(20, 60), 3), 0.0))
                counted[lane] = 1, seen, speed, stopped


def poisson(chance: random.Random, mean: float) -> int:
    """Vehicles of a window, by Knuth's product of uniforms."""
    limit, count, product = exp(-mean), 0, chance.random()
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


def planned(cameras: int, chance: random.Random) -> list[Plan]:
    """Cameras, a twentieth of which has each fault, from some time in the day for two to eight hours."""
    plans = [
        Plan(
            f"camera-{number:03}",
            chance.choice([0.02, 0.1, 0.2, 0.3]),
            chance.uniform(25, 80),
            chance.uniform(6, 20) * 3600 if chance.random() < 0.3 else 1e9,
            random.Random(chance.random()),
        )
        for number in range(cameras)
    ]
    places = iter(chance.sample(range(cameras), cameras // 20 * len(_REASONS)))
    for reason in _REASONS:
        for _ in range(cameras // 20):
            begins_s = chance.uniform(6, 12) * 3600
            hours = chance.uniform(6, 10) if reason == "no_hits" else chance.uniform(1, 6)
            lag_s = chance.choice([1, -1]) * chance.uniform(40, 300) if reason == "clock_drift" else 0.0
            plans[next(places)].fault = Fault(reason, begins_s, begins_s + hours * 3600, lag_s)
    return plans


def told_of(
    plans: list[Plan], seconds: float
) -> tuple[dict[tuple[str, Reason], float], int, float, Mapping[str, float]]:
    """First telling of each camera and reason, seconds of the day; windows, CPU seconds, and mean speeds at noon."""
    sources, decode = PartitionSources(QualitySettings(), {}), msgspec.json.Decoder(SourceHealth).decode
    found: dict[tuple[str, Reason], float] = {}
    windows, cpu_s = 0, 0.0
    speeds: dict[str, list[float]] = {"all": [], "healthy": [], "faultless": []}
    for number in range(int(86_400 / seconds)):
        at_s = number * seconds
        for plan in plans:
            fault = plan.fault
            lag_s = 5.0 + (fault.lag_s if fault is not None and fault.begins_s <= at_s < fault.ends_s else 0.0)
            made = list(plan.windows(at_s, seconds))
            began_s = time.process_time()
            records = [
                told
                for window in made
                for told in sources.apply(window, When(window.end_us + round(lag_s * _S), window.end_us))
            ]
            cpu_s += time.process_time() - began_s
            windows += len(made)
            for record in records:
                if record.topic == SOURCE_HEALTH:
                    health = decode(record.value or b"")
                    if health.reason is not None:
                        found.setdefault((health.camera_id, health.reason), at_s + seconds)
            if made and 43_200 <= at_s < 43_500 and (speed := made[0].speed_kmh) is not None:
                known = sources.cameras[plan.camera_id]
                is_healthy = not known.source.doubts and not any(lane.source.doubts for lane in known.lanes.values())
                speeds["all"].append(speed)
                if is_healthy:
                    speeds["healthy"].append(speed)
                if fault is None or not fault.begins_s <= at_s < fault.ends_s:
                    speeds["faultless"].append(speed)
    return found, windows, cpu_s, {name: sum(of) / len(of) for name, of in speeds.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window-seconds", type=float, default=30.0)
    given = parser.parse_args()
    plans = planned(given.cameras, random.Random(given.seed))
    found, windows, cpu_s, speeds = told_of(plans, given.window_seconds)
    true = {(plan.camera_id, plan.fault.reason): plan.fault for plan in plans if plan.fault is not None}
    by_reason: dict[Reason, list[float]] = defaultdict(list)
    false: dict[Reason, list[str]] = defaultdict(list)
    for (camera_id, reason), at_s in found.items():
        fault = true.get((camera_id, reason))
        if fault is None or at_s < fault.begins_s:
            false[reason].append(f"{camera_id} at {at_s / 3600:.2f} h")
        else:
            by_reason[reason].append(at_s - fault.begins_s)
    wrong = 0
    for reason in _REASONS:
        seconds, injected = sorted(by_reason[reason]), sum(name[1] == reason for name in true)
        precision = len(seconds) / max(len(seconds) + len(false[reason]), 1)
        recall = len(seconds) / injected
        wrong += min(precision, recall) < AIM
        told = f"told after {median(seconds):.0f} s, at most {seconds[-1]:.0f} s" if seconds else "never told"
        print(f"{reason:17} precision {precision:.3f} recall {recall:.3f} ({injected} injected; {told})")
        for one in false[reason][:3]:
            print(f"    false: {one}, in truth {next((p.fault for p in plans if one.startswith(p.camera_id)), None)}")
    means = [speeds[name] for name in ("all", "healthy", "faultless")]
    print("mean speed at noon {:.2f} km/h of all, {:.2f} of healthy, {:.2f} of faultless cameras".format(*means))
    print(f"{windows:,} windows of {given.window_seconds:g} s, {cpu_s / windows * 1e6:.1f} µs CPU each")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
