"""What follows from messages of vehicles, once more: simple, slow, and sharing no rule with the application.

It looks at the whole list of what happened to one vehicle, again for each step; nothing is carried along but the list.
Progress along routes is not in it: `tests.transit.test_progress` knows where vehicles truly are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from typing import Literal, NamedTuple, TypeAlias

S = 1_000_000


@dataclass(frozen=True)
class Said:
    """A message of a vehicle: its own time, and the partition's clock when it came."""

    vehicle: str
    at_us: int
    clock_us: int
    latitude: float
    longitude: float
    status: str
    passengers: int | None = None
    type: str = "bus"

    @property
    def content(self) -> tuple[object, ...]:
        return (self.at_us, self.latitude, self.longitude, self.status, self.passengers, self.type)


@dataclass(frozen=True)
class Tick:
    clock_us: int


Event: TypeAlias = Said | Tick


class Step(NamedTuple):
    """A step of an alert: number of the event that led to it, rule, what it says, how bad, seconds since the last."""

    event: int
    rule: Literal["delay", "breakdown", "implausible_movement"]
    state: str
    severity: str
    seconds: int | None


@dataclass(frozen=True)
class Limits:
    delay_s: int = 120
    update_s: int = 600
    critical_s: int = 600
    stands_s: int = 300
    moved_m: float = 50
    forget_s: int = 6 * 3600
    speed_kmh: float = 250
    slack_m: float = 200
    judged: int = 10
    jumps: int = 3
    calm: int = 20


def metres(a: Said, b: Said) -> float:
    p, q = radians(a.latitude), radians(b.latitude)
    h = sin((q - p) / 2) ** 2 + cos(p) * cos(q) * sin(radians(b.longitude - a.longitude) / 2) ** 2
    return 2 * 6_371_008.8 * asin(sqrt(min(1, h)))


def lives(events: Sequence[Event], vehicle: str, limits: Limits) -> list[tuple[list[tuple[int, Said]], int | None]]:
    """The times that a vehicle was known: its messages with their numbers, and the tick that forgot it."""
    found: list[tuple[list[tuple[int, Said]], int | None]] = []
    said: list[tuple[int, Said]] = []
    for number, event in enumerate(events):
        if isinstance(event, Said):
            if event.vehicle == vehicle:
                said.append((number, event))
        elif said and event.clock_us - said[-1][1].clock_us >= limits.forget_s * S:
            found.append((said, number))
            said = []
    return [*found, (said, None)] if said else found


def news(said: Sequence[tuple[int, Said]]) -> list[tuple[int, Said]]:
    """Those that were the newest when they came, and said something."""
    found: list[tuple[int, Said]] = []
    for number, one in said:
        if not found or (one.at_us >= found[-1][1].at_us and one.content != found[-1][1].content):
            found.append((number, one))
    return found


def newest(events: Sequence[Event], vehicle: str, limits: Limits) -> Said | None:
    """What the live table has in the end."""
    known = lives(events, vehicle, limits)
    if not known or known[-1][1] is not None:
        return None
    said = known[-1][0]
    latest = max(one.at_us for _, one in said)
    return [one for _, one in said if one.at_us == latest][-1]


def steps(events: Sequence[Event], vehicle: str, limits: Limits) -> list[Step]:
    """All steps of all alerts about a vehicle, in order."""
    found = []
    for said, forgotten in lives(events, vehicle, limits):
        found += delays(events, said, forgotten, limits)
        found += breakdowns(events, said, forgotten, limits)
        found += jumps(said, forgotten, limits)
    order = {"delay": 0, "breakdown": 1, "implausible_movement": 2}
    return sorted(found, key=lambda step: (step.event, order[step.rule]))


def delays(
    events: Sequence[Event], said: Sequence[tuple[int, Said]], forgotten: int | None, limits: Limits
) -> list[Step]:
    found = []
    ends = [number for number, _ in said[1:]] + [len(events) if forgotten is None else forgotten]
    for index, ((begin, one), end) in enumerate(zip(said, ends, strict=True)):
        if news(said[: index + 1])[-1][1].status != "in_service":
            continue
        told: list[tuple[int, int]] = []  # event, clock
        for number in range(begin + 1, end):
            event = events[number]
            if isinstance(event, Tick):
                silent_s = (event.clock_us - one.clock_us) // S
                if silent_s > limits.delay_s and (not told or event.clock_us - told[-1][1] >= limits.update_s * S):
                    severity = "CRITICAL" if event.clock_us - one.clock_us >= limits.critical_s * S else "WARNING"
                    state = "updated" if told else "opened"
                    found.append(Step(number, "delay", state, severity, silent_s))
                    told.append((number, event.clock_us))
        if told and end < len(events):
            silent_s = (events[end].clock_us - one.clock_us) // S
            found.append(Step(end, "delay", "resolved", found[-1].severity, silent_s))
    return found


def stands_for(seen: Sequence[tuple[int, Said]], limits: Limits) -> int:
    """How long a vehicle has been in service at one place, of all that it said by now."""
    there = None
    for _, one in seen:
        if one.status != "in_service":
            there = None
        elif there is None or metres(there, one) > limits.moved_m:
            there = one
    return 0 if there is None else seen[-1][1].at_us - there.at_us


def breakdowns(
    events: Sequence[Event], said: Sequence[tuple[int, Said]], forgotten: int | None, limits: Limits
) -> list[Step]:
    found: list[Step] = []
    seen = news(said)
    clock_before = {number: before.clock_us for (_, before), (number, _) in pairwise(said)}
    is_open: str | None = None
    for index, (number, one) in enumerate(seen):
        seconds = (one.clock_us - clock_before.get(number, one.clock_us)) // S
        says_so = one.status == "broken_down"
        stands = one.status == "in_service" and stands_for(seen[: index + 1], limits) >= limits.stands_s * S
        state = None
        if is_open is None and (says_so or stands):
            state, is_open = "opened", "CRITICAL" if says_so else "WARNING"
        elif is_open == "WARNING" and says_so:
            state, is_open = "updated", "CRITICAL"
        elif is_open is not None and not says_so and (is_open == "CRITICAL" or not stands):
            found.append(Step(number, "breakdown", "resolved", is_open, seconds))
            is_open = None
        if state is not None and is_open is not None:
            found.append(Step(number, "breakdown", state, is_open, seconds))
    if is_open is not None and forgotten is not None:
        seconds = (events[forgotten].clock_us - said[-1][1].clock_us) // S
        found.append(Step(forgotten, "breakdown", "resolved", is_open, seconds))
    return found


def jumps(said: Sequence[tuple[int, Said]], forgotten: int | None, limits: Limits) -> list[Step]:
    found: list[Step] = []
    seen = [one for index, one in enumerate(said) if all(one[1].at_us > before.at_us for _, before in said[:index])]
    moves = []
    for (_, one), (number, other) in pairwise(seen):
        can_m = limits.slack_m + limits.speed_kmh / 3.6 * (other.at_us - one.at_us) / S
        moves.append((number, metres(one, other) > can_m))
    since, is_open = 0, False
    for index, (number, _) in enumerate(moves):
        last = [is_jump for _, is_jump in moves[since : index + 1]]
        if not is_open and sum(last[-limits.judged :]) >= limits.jumps:
            found.append(Step(number, "implausible_movement", "opened", "WARNING", None))
            is_open, since = True, index + 1
        elif is_open and len(last) >= limits.calm and not any(last[-limits.calm :]):
            found.append(Step(number, "implausible_movement", "resolved", "WARNING", None))
            is_open, since = False, index + 1
    if is_open and forgotten is not None:
        found.append(Step(forgotten, "implausible_movement", "resolved", "WARNING", None))
    return found
