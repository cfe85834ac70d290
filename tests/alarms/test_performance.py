from __future__ import annotations

from random import Random

from models.alarms import FrequentAlarm
from models.timestamps import rfc3339
from trafficapp.alarms.alarm import Alarm
from trafficapp.alarms.load import MINUTE_US
from trafficapp.alarms.performance import performance

_SECOND_US = MINUTE_US // 60
_HOUR_US = 60 * MINUTE_US
_DAY_US = 24 * _HOUR_US
_SINCE_US = 100 * _DAY_US


def alarm(minute: float, rule: str = "congestion", source: str = "camera-1", **fields: object) -> Alarm:
    raised_us = _SINCE_US + round(minute * MINUTE_US)
    known = {"alarm_id": f"{rule} {source} {minute}", "priority": "WARNING", "stream": "alert", **fields}
    return Alarm(rule=rule, source=source, raised_us=raised_us, **known)  # type: ignore[arg-type]


def test_what_was_withheld_is_no_load_but_is_counted() -> None:
    alarms = [
        alarm(1),
        alarm(2, withheld="shelved"),
        alarm(3, withheld="suppressed"),
        alarm(4, withheld="folded"),
        alarm(6, withheld="short"),
        alarm(7, withheld="held"),
        alarm(5, "heavy_congestion", "road-1", stream="notification", stands=False),
    ]

    found = performance(alarms, _SINCE_US, _SINCE_US + _HOUR_US)

    assert (found.raised, found.told, found.shelved, found.suppressed, found.folded) == (7, 2, 1, 1, 1)
    assert (found.short, found.held) == (1, 1)
    assert found.told_by_stream == {"alert": 1, "notification": 1, "city_alert": 0}
    assert found.load.mean_per_ten_minutes == 0.333
    assert found.load.peak_per_ten_minutes == 2


def test_operators_are_those_who_acknowledge() -> None:
    def taken(minute: float, seconds: float, by: str) -> Alarm:
        one = alarm(minute)
        return one._replace(acknowledged_us=one.raised_us + round(seconds * _SECOND_US), acknowledged_by=by)

    alarms = [taken(1, 30, "Ada"), taken(2, 90, "Ada"), taken(3, 60, "Bo"), alarm(4)]

    found = performance(alarms, _SINCE_US, _SINCE_US + 20 * MINUTE_US)

    assert [(one.name, one.acknowledged, one.median_seconds) for one in found.operators] == [
        ("Ada", 2, 60.0),
        ("Bo", 1, 60.0),
    ]
    assert found.load.per_operator_mean == 1.0
    took = found.time_to_acknowledge
    assert (took.acknowledged, took.unacknowledged, took.median_seconds) == (3, 1, 60.0)
    assert (took.p90_seconds, took.max_seconds) == (90.0, 90.0)


def test_three_transitions_within_a_minute_are_chatter() -> None:
    second = 1 / 60

    def short(minute: float, seconds: float, source: str) -> Alarm:
        one = alarm(minute, source=source)
        return one._replace(cleared_us=one.raised_us + round(seconds * _SECOND_US))

    alarms = [
        *(short(1, 20, "flaps"), short(1 + 40 * second, 300, "flaps")),
        # beginning, end, and the next beginning a whole minute later
        *(short(1, 20, "calm"), short(2, 20, "calm")),
    ]

    found = performance(alarms, _SINCE_US, _SINCE_US + _HOUR_US)

    assert [(one.source, one.transitions, one.at) for one in found.chattering] == [
        ("flaps", 3, rfc3339(_SINCE_US + MINUTE_US))
    ]


def test_what_has_stood_for_more_than_a_day_is_stale() -> None:
    before = -24 * 60
    alarms = [
        alarm(before - 1, source="stale"),
        alarm(before - 1, source="cleared")._replace(cleared_us=_SINCE_US + MINUTE_US),
        alarm(before + 61, source="not yet"),
        alarm(before - 1, source="told once", stands=False),
    ]

    found = performance(alarms, _SINCE_US, _SINCE_US + _HOUR_US)

    assert [(one.source, one.hours) for one in found.stale] == [("stale", 25.0)]
    assert found.raised == 0


def test_the_ten_most_frequent_have_their_share() -> None:
    alarms = [alarm(number / 100, source=f"camera-{number % 12:02}") for number in range(36)]
    alarms += [alarm(30, "stopped_traffic", "camera-00", priority="CRITICAL") for _ in range(4)]
    Random(1).shuffle(alarms)

    found = performance(alarms, _SINCE_US, _SINCE_US + _HOUR_US)

    assert found.most_frequent[0] == FrequentAlarm(
        stream="alert", rule="stopped_traffic", source="camera-00", alarms=4, share=0.1
    )
    assert found.most_frequent_share == (4 + 9 * 3) / 40
    assert [(one.priority, one.alarms, one.share) for one in found.priorities] == [
        ("WARNING", 36, 0.9),
        ("CRITICAL", 4, 0.1),
        ("EMERGENCY", 0, 0.0),
    ]


def test_a_span_without_alarms_has_no_shares() -> None:
    found = performance([], _SINCE_US, _SINCE_US + _HOUR_US)

    assert (found.most_frequent_share, found.load.per_operator_mean) == (None, None)
    assert found.time_to_acknowledge.median_seconds is None
    assert {one.share for one in found.priorities} == {None}
