"""A day of roads, stations and buses with known faults: ``python -m tests.verification.quality_sources [--seed N]``.

Readings are made at the level at which the rules read them, with the broker's clock. Of each rule 5 % of the sources of
its kinds have its fault, no source two. What is told is compared with that: precision and recall by rule, seconds from
the fault to its telling. Exits with 1 below the aims. What makes it hard is in it, too: nights on which feeds tell free
flow, jams that begin within a minute, closed weather, gaps, buses that stand, an outage of the whole feed.
The traffic is ours; how real sources fail may differ.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from math import cos, exp, pi
from statistics import median

import msgspec

from models.quality.sources import Reason, SourceHealth, SourceKind, SourceReading
from trafficapp.feeds.rules import When
from trafficapp.quality.partition import SOURCE_HEALTH
from trafficapp.quality.sources import CitySources
from trafficapp.settings.quality import ReadingSettings

AIM = 0.95
_S = 1_000_000
_MIDNIGHT_US = 1_768_348_800 * _S
_TICK_S = 5
#: Which faults sources of a kind have, and how often they tell, seconds.
_FAULTS: dict[SourceKind, tuple[Reason, ...]] = {
    "road": ("stuck", "jumps", "silent", "out_of_bounds", "clock_drift"),
    "station": ("stuck", "jumps", "silent", "out_of_bounds", "clock_drift"),
    "vehicle": ("stuck", "clock_drift"),
}
_EVERY_S: dict[SourceKind, int] = {"road": 60, "station": 300, "vehicle": 20}
#: Nobody of a kind is heard: no fault of a source.
_OUTAGE_S = (15 * 3600, 15 * 3600 + 1500)


@dataclass
class Plan:
    """A source, and what is wrong with it from when until when; seconds of the day."""

    kind: SourceKind
    source_id: str
    chance: random.Random
    free: float
    jam_s: float
    reason: Reason | None = None
    begins_s: float = 1e9
    ends_s: float = 1e9
    #: of a wrong clock: how far it is off, or how much an hour
    off_s: float = 0.0
    slope_s: float = 0.0
    frozen: tuple[float, ...] | None = None
    at: tuple[float, float] = (44.5, 11.3)
    drift: float = 0.0

    def reading(self, at_s: float) -> SourceReading | None:
        """What it tells at a time; None when nothing."""
        chance, kind = self.chance, self.kind
        is_wrong = self.begins_s <= at_s < self.ends_s
        reason = self.reason if is_wrong else None
        if reason == "silent" or chance.random() < 0.03 or _OUTAGE_S[0] <= at_s < _OUTAGE_S[1]:
            return None
        values, moves = self._values(at_s)
        possible = True
        if reason == "stuck":
            self.frozen = values = self.frozen or values
            moves = True
        elif reason == "jumps":
            low = (5.0, *values[1:]) if kind == "road" else (values[0] - 15, *values[1:])
            values = low if chance.random() < 0.5 else (values[0] + (70.0 if kind == "road" else 15.0), *values[1:])
        elif reason == "out_of_bounds" and chance.random() < 0.8:
            values, possible = (chance.uniform(250, 400) if kind == "road" else -127.0, *values[1:]), False
        lag_s = chance.expovariate(1 / 2.0) + 1
        if reason == "clock_drift":
            lag_s += self.off_s + self.slope_s * (at_s - self.begins_s) / 3600
        time_us = _MIDNIGHT_US + round(at_s * _S)
        return SourceReading(
            kind, self.source_id, time_us - round(lag_s * _S), time_us, values, "x", possible, moves, kind != "vehicle"
        )

    def _values(self, at_s: float) -> tuple[tuple[float, ...], bool]:
        chance, hour = self.chance, at_s / 3600
        if self.kind == "road":
            load = 0.5 * exp(-((hour - 8) ** 2) / 3) + 0.5 * exp(-((hour - 17.5) ** 2) / 4)
            if 0 <= at_s - self.jam_s < 2400:
                return (round(max(chance.gauss(6, 3), 0), 2),), True
            # at night the feed tells free flow
            if hour < 5 or chance.random() < 0.2 * (1 - load):
                return (self.free,), False
            speed = round(min(self.free, max(chance.gauss(self.free * (1 - load), 4), 2)), 2)
            return (speed,), speed < 0.95 * self.free
        if self.kind == "station":
            self.drift = 0.98 * self.drift + chance.gauss(0, 0.15)
            warm = self.free - 6 * cos((hour - 3) * pi / 12) + self.drift
            # a front within a quarter of an hour, and humidity that stays at a hundred
            warm -= 5 * min(max(at_s - self.jam_s, 0) / 900, 1.0)
            return (round(warm, 1), min(round(110 - 2 * warm), 100), float(round(chance.gauss(12, 4)))), True
        if int(at_s // 240) % 4 == 0:
            # it waits at an end: the receiver still sees noise
            pass
        else:
            self.at = self.at[0] + chance.gauss(0, 0.001), self.at[1] + chance.gauss(0, 0.001)
        place = tuple(round(one + chance.gauss(0, 1e-5), 6) for one in self.at)
        return place, not (hour < 5)


def planned(count: int, chance: random.Random) -> list[Plan]:
    """Sources of each kind, a twentieth of which has each fault, from some time in the day for one to six hours."""
    plans = []
    for kind, reasons in _FAULTS.items():
        mine = [
            Plan(
                kind,
                f"{kind}-{number}",
                random.Random(chance.random()),
                round(chance.uniform(30, 90), 2) if kind == "road" else round(chance.uniform(0, 25), 1),
                chance.uniform(6, 20) * 3600 if chance.random() < 0.4 else 1e9,
            )
            for number in range(count)
        ]
        places = iter(chance.sample(range(count), count // 20 * len(reasons)))
        for reason in reasons:
            for _ in range(count // 20):
                one = mine[next(places)]
                one.reason, one.begins_s = reason, chance.uniform(6, 12) * 3600
                one.ends_s = one.begins_s + chance.uniform(4 if kind == "station" else 1.5, 6) * 3600
                if reason == "clock_drift" and chance.random() < 0.5:
                    one.slope_s = chance.choice([1, -1]) * chance.uniform(30, 120)
                elif reason == "clock_drift":
                    one.off_s = chance.choice([1, -1]) * chance.uniform(40, 300)
        plans += mine
    return plans


def told_of(plans: list[Plan]) -> tuple[dict[tuple[str, Reason], float], int, float]:
    """First telling of each source and reason, seconds of the day; readings; CPU seconds."""
    sources, decode = CitySources(ReadingSettings(), {}), msgspec.json.Decoder(SourceHealth).decode
    found: dict[tuple[str, Reason], float] = {}
    readings, cpu_s = 0, 0.0
    due: dict[int, list[Plan]] = defaultdict(list)
    for number, plan in enumerate(plans):
        due[number % _EVERY_S[plan.kind]].append(plan)
    for at_s in range(86_400):
        made = []
        for plan in due.pop(at_s, ()):
            due[at_s + _EVERY_S[plan.kind]].append(plan)
            reading = plan.reading(float(at_s))
            if reading is not None:
                made.append(reading)
        began_s = time.process_time()
        told = [one for reading in made for one in sources.apply(reading, When(reading.record_us, reading.record_us))]
        if at_s % _TICK_S == 0:
            told += sources.tick(_MIDNIGHT_US + at_s * _S)
        cpu_s += time.process_time() - began_s
        readings += len(made)
        for record in told:
            if record.topic == SOURCE_HEALTH:
                health = decode(record.value or b"")
                if health.reason is not None:
                    found.setdefault((health.source_id, health.reason), at_s)
    return found, readings, cpu_s


def main() -> int:
    """Run it; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    plans = planned(given.sources, random.Random(given.seed))
    found, readings, cpu_s = told_of(plans)
    by_name = {f"{plan.kind}:{plan.source_id}": plan for plan in plans}
    wrong = 0
    for kind, reasons in _FAULTS.items():
        for reason in (*reasons, *({"stuck", "jumps", "silent", "out_of_bounds"} - set(reasons))):
            mine = {name: at_s for (name, why), at_s in found.items() if why == reason and name.startswith(f"{kind}:")}
            right: list[float] = []
            false: list[str] = []
            for name, at_s in mine.items():
                plan = by_name[name]
                if plan.reason == reason and plan.begins_s <= at_s:
                    right.append(at_s - plan.begins_s)
                else:
                    false.append(f"{name} at {at_s / 3600:.2f} h, in truth {plan.reason}")
            injected = sum(plan.kind == kind and plan.reason == reason for plan in plans)
            if not injected:
                wrong += bool(false)
                if false:
                    print(f"{kind:8}{reason:14} false alarms: {false[:3]}")
                continue
            precision, recall = len(right) / max(len(mine), 1), len(right) / injected
            wrong += min(precision, recall) < AIM
            seconds = sorted(right)
            told = f"told after {median(seconds):.0f} s, at most {seconds[-1]:.0f} s" if seconds else "never told"
            print(f"{kind:8}{reason:14} precision {precision:.3f} recall {recall:.3f} ({injected} injected; {told})")
            for one in false[:3]:
                print(f"    false: {one}")
    print(f"{readings:,} readings, {cpu_s / readings * 1e6:.1f} µs CPU each")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
