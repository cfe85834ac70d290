"""Cameras that are missed."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from models.alerts import AlertEvent, encode_alert_event
from models.timestamps import rfc3339
from tests.windows.entries import RULES, SECOND_US, T0_US, Entry, Picture, Seen, Tick, fresh, records
from tests.windows.logs import silence
from tests.windows.whole import WholeWindows
from trafficapp.alerts.lifecycle import alert_id
from trafficapp.alerts.silence import Silence, SilenceRule, came_back

T0_MS = T0_US // 1000


def sights(windows: int, camera_id: str = "a") -> list[Entry]:
    """A car in each of so many windows, all within a moment of record time."""
    key, car = camera_id.encode(), (Seen("v1", speed_kmh=30.0),)
    return [
        Picture(camera_id, T0_US + window * 5 * SECOND_US, window, car, "nested", key, T0_MS)
        for window in range(windows)
    ]


def alerts(log: list[Entry], rule: SilenceRule | None = None) -> list[AlertEvent]:
    rules = replace(
        RULES,
        acceptance=replace(RULES.acceptance, future_us=10**12),
        silence=rule or SilenceRule(300 * SECOND_US),
        quiet_us=None,
    )
    return fresh(rules=rules).apply(records(log)).alerts


def test_an_alert_says_since_when_and_how_long_and_ends_with_the_next_record() -> None:
    back = Picture("a", T0_US + 400 * SECOND_US, 99, (Seen("v", speed_kmh=1.0),), "nested", b"a", T0_MS + 400_000)
    opened, resolved = alerts([Tick(T0_MS), *sights(20), *silence(T0_MS, 350), back, Tick(T0_MS + 401_000)])
    newest, raised = rfc3339(T0_US + 95 * SECOND_US), rfc3339(T0_US + 300 * SECOND_US)
    assert (opened.action, opened.revision, opened.severity) == ("opened", 1, "WARNING")
    assert (opened.title, opened.rule) == ("No events from a", "no events for 300 s")
    assert opened.message == f"Nothing for 5 min: no vehicles, or no camera; its newest event is of {newest}"
    assert (opened.since, opened.triggered_at, opened.resolved_at) == (newest, raised, None)
    assert opened.values == {"silent_seconds": 300.0, "newest_event": newest}
    assert (resolved.id, resolved.action, resolved.revision) == (opened.id, "resolved", 2)
    assert resolved.resolved_at == rfc3339(T0_US + 400 * SECOND_US)
    assert resolved.triggered_at == raised


def test_each_silence_has_an_alert_of_its_own_even_when_only_late_records_broke_it() -> None:
    late = Picture("a", T0_US, 0, (Seen("v", speed_kmh=1.0),), "nested", b"a", T0_MS)
    log = [Tick(T0_MS), *sights(20), *silence(T0_MS, 310), late, *silence(T0_MS + 311_000, 310)]
    told = alerts(log)
    assert [step.action for step in told] == ["opened", "resolved", "opened"]
    assert told[0].id == told[1].id != told[2].id


def test_made_up_cameras_are_not_missed() -> None:
    strangers = [entry for number in range(50) for entry in sights(11, f"stranger-{number}")]
    assert alerts([Tick(T0_MS), *strangers, *silence(T0_MS, 400)]) == []


def test_an_outage_is_no_silence() -> None:
    assert alerts([Tick(T0_MS), *sights(20), *silence(T0_MS, 3), *silence(T0_MS + 9_000_000, 250)]) == []


def test_what_does_not_count_for_a_camera_does_not_end_its_silence() -> None:
    ahead = Picture("a", T0_US + 9_000 * SECOND_US, 1, (Seen("v", speed_kmh=1.0),), "nested", b"a", T0_MS)
    windows = fresh()
    told = windows.apply(records([Tick(T0_MS), *sights(12), *silence(T0_MS, 60), ahead, Tick(T0_MS + 61_000)])).alerts
    assert [step.action for step in told] == ["opened"]
    assert windows.state.rejected == {"future": 1}


def test_the_next_owner_ends_the_silence_with_the_same_bytes() -> None:
    back = Picture("a", T0_US + 70 * SECOND_US, 99, (Seen("v", speed_kmh=1.0),), "nested", b"a", T0_MS + 70_000)
    log = records([Tick(T0_MS), *sights(12), *silence(T0_MS, 60), back])
    straight, before = fresh(), fresh()
    before.apply(log[:-1])
    after = fresh(dict(before.all_rows()))
    assert list(map(encode_alert_event, after.apply(log[-1:]).alerts)) == [
        encode_alert_event(straight.apply(log).alerts[-1])
    ]


def test_alerts_that_are_raised_at_the_same_time_by_the_broker_are_two() -> None:
    late = Picture("a", T0_US, 0, (Seen("v", speed_kmh=1.0),), "nested", b"a", T0_MS)
    silent = silence(T0_MS, 310)
    # the broker's clock goes back
    raised = [step for step in alerts([Tick(T0_MS), *sights(20), *silent, late, *silent]) if step.action == "opened"]
    assert raised[0].triggered_at == raised[1].triggered_at
    assert raised[0].id != raised[1].id
    # a camera stands in two partitions
    rules = replace(RULES, acceptance=replace(RULES.acceptance, future_us=10**12), quiet_us=None)
    log = records([Tick(T0_MS), *sights(20), *silent])
    ids = {one.id for number in (0, 1) for one in WholeWindows(number, rules, {}).apply(log).alerts}
    assert len(ids) == 2


def test_the_alert_of_a_silence_in_a_row_of_an_older_version_keeps_its_id() -> None:
    old = msgspec.msgpack.decode(msgspec.msgpack.encode((T0_US, T0_US, 5, 7)), type=Silence)
    assert came_back("a", old, T0_US).id == alert_id("camera_silent", "a", rfc3339(T0_US))
