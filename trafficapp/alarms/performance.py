"""How bearable the alarms of a span were: a pure function of what is stored about them.

Definitions, with their sources, are those of ANSI/ISA-18.2 and EEMUA 191 as docs/alarms.md has them:

* load and floods: `trafficapp.alarms.load`.
* chattering: three or more transitions (raised, cleared) of a rule and source within a minute.
* stale: standing for more than 24 hours.
* the ten most frequent: rule and source, at most 5 % of the load together.
* priorities: about 80 / 15 / 5 % of WARNING, CRITICAL and EMERGENCY.

What operators were not told of is counted beside, and is in no other figure than chattering, which no shelf cures; an
on-delay does, so what was too short to be told is not there either.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import get_args

from models.alarms import (
    AlarmLoad,
    AlarmPerformance,
    ChatteringAlarm,
    FrequentAlarm,
    OperatorLoad,
    Priority,
    PriorityShare,
    StaleAlarm,
    Stream,
    TimeToAcknowledge,
)
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.alarms.alarm import Alarm
from trafficapp.alarms.load import MINUTE_US, WINDOW_US, load_of

CHATTERING_TRANSITIONS, CHATTERING_WITHIN_US = 3, MINUTE_US
STALE_US = 24 * 60 * MINUTE_US
MOST_FREQUENT = 10
#: Of chattering and stale alarms so many are listed.
_LISTED = 100
_HOUR_US = 60 * MINUTE_US


def performance(alarms: Iterable[Alarm], since_us: int, until_us: int) -> AlarmPerformance:
    """The performance of a span.

    Args:
        alarms: those raised in ``[since, until)``, and those raised before that still stood at ``until``; others are
            left out. In any order.
        since_us: microseconds since the epoch.
        until_us: likewise, ten minutes later at least.

    Raises:
        ValueError: the span is shorter.
    """
    known = sorted((one for one in alarms if one.raised_us < until_us), key=lambda one: (one.raised_us, one.alarm_id))
    raised = [one for one in known if one.raised_us >= since_us]
    told = [one for one in raised if one.withheld is None]
    withheld = Counter(one.withheld for one in raised)
    operators = _operators(told, until_us - since_us)
    frequent = Counter((one.stream, one.rule, one.source) for one in told)
    ten = sorted(frequent.items(), key=lambda one: (-one[1], one[0]))[:MOST_FREQUENT]
    chattering = _chattering([one for one in raised if one.withheld != "short"], until_us)
    stale = _stale(known, until_us)
    by_stream = Counter(one.stream for one in told)
    return AlarmPerformance(
        since=rfc3339(since_us),
        until=rfc3339(until_us),
        raised=len(raised),
        told=len(told),
        told_by_stream={stream: by_stream[stream] for stream in get_args(Stream)},
        shelved=withheld["shelved"],
        suppressed=withheld["suppressed"],
        folded=withheld["folded"],
        short=withheld["short"],
        held=withheld["held"],
        load=_load(told, len(operators), since_us, until_us),
        operators=operators,
        priorities=_priorities(told),
        most_frequent=[
            FrequentAlarm(stream=stream, rule=rule, source=source, alarms=count, share=round(count / len(told), 4))
            for (stream, rule, source), count in ten
        ],
        most_frequent_share=round(sum(count for _, count in ten) / len(told), 4) if told else None,
        chattering=chattering[:_LISTED],
        chattering_count=len(chattering),
        stale=stale[:_LISTED],
        stale_count=len(stale),
        time_to_acknowledge=_time_to_acknowledge(told),
    )


def _load(told: Sequence[Alarm], operators: int, since_us: int, until_us: int) -> AlarmLoad:
    found = load_of([one.raised_us for one in told], since_us, until_us)
    return AlarmLoad(
        mean_per_ten_minutes=round(found.mean, 3),
        peak_per_ten_minutes=found.peak,
        share_in_flood=round(found.share_in_flood, 4),
        in_flood=found.flood_since_us is not None,
        flood_since=None if found.flood_since_us is None else rfc3339(found.flood_since_us),
        newest_ten_minutes=found.newest,
        per_operator_mean=round(found.mean / operators, 3) if operators else None,
    )


def _seconds_of(alarm: Alarm) -> float:
    """From being raised to being taken on; clocks of windows and of people may differ, so never less than none."""
    return max((alarm.acknowledged_us or 0) - alarm.raised_us, 0) / MICROSECONDS_PER_SECOND


def _operators(told: Sequence[Alarm], span_us: int) -> list[OperatorLoad]:
    seconds: dict[str, list[float]] = defaultdict(list)
    for one in told:
        if one.acknowledged_us is not None and one.acknowledged_by is not None:
            seconds[one.acknowledged_by].append(_seconds_of(one))
    found = [
        OperatorLoad(
            name=name,
            acknowledged=len(times),
            per_ten_minutes=round(len(times) * WINDOW_US / span_us, 3),
            median_seconds=round(statistics.median(times), 1),
        )
        for name, times in seconds.items()
    ]
    return sorted(found, key=lambda one: (-one.acknowledged, one.name))


def _priorities(told: Sequence[Alarm]) -> list[PriorityShare]:
    counts = Counter(one.priority for one in told)
    return [
        PriorityShare(
            priority=priority,
            alarms=counts[priority],
            share=round(counts[priority] / len(told), 4) if told else None,
        )
        for priority in get_args(Priority)
    ]


def _chattering(raised: Sequence[Alarm], until_us: int) -> list[ChatteringAlarm]:
    transitions: dict[tuple[Stream, str, str], list[int]] = defaultdict(list)
    for one in raised:
        times = transitions[one.stream, one.rule, one.source]
        times.append(one.raised_us)
        if one.cleared_us is not None and one.cleared_us < until_us:
            times.append(one.cleared_us)
    found = []
    for (stream, rule, source), times in transitions.items():
        most, at_us = _fullest(sorted(times))
        if most >= CHATTERING_TRANSITIONS:
            found.append(ChatteringAlarm(stream=stream, rule=rule, source=source, transitions=most, at=rfc3339(at_us)))
    return sorted(found, key=lambda one: (-one.transitions, one.stream, one.rule, one.source))


def _fullest(times: Sequence[int]) -> tuple[int, int]:
    """How many of ascending times lie within a minute at most, and where that begins."""
    most, at_us, begin = 0, 0, 0
    for end, time_us in enumerate(times):
        while time_us - times[begin] >= CHATTERING_WITHIN_US:
            begin += 1
        if end + 1 - begin > most:
            most, at_us = end + 1 - begin, times[begin]
    return most, at_us


def _stale(known: Sequence[Alarm], until_us: int) -> list[StaleAlarm]:
    return [
        StaleAlarm(
            stream=one.stream,
            alarm_id=one.alarm_id,
            rule=one.rule,
            source=one.source,
            priority=one.priority,
            raised_at=rfc3339(one.raised_us),
            hours=round((until_us - one.raised_us) / _HOUR_US, 1),
        )
        for one in known
        if one.stands and (one.cleared_us is None or one.cleared_us >= until_us) and until_us - one.raised_us > STALE_US
    ]


def _time_to_acknowledge(told: Sequence[Alarm]) -> TimeToAcknowledge:
    alerts = [one for one in told if one.stream == "alert"]
    times = sorted(_seconds_of(one) for one in alerts if one.acknowledged_us is not None)
    return TimeToAcknowledge(
        acknowledged=len(times),
        unacknowledged=len(alerts) - len(times),
        median_seconds=round(statistics.median(times), 1) if times else None,
        # nearest rank: the smallest of which 90 % are not larger
        p90_seconds=round(times[math.ceil(0.9 * len(times)) - 1], 1) if times else None,
        max_seconds=round(times[-1], 1) if times else None,
    )
