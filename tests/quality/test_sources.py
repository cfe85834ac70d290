"""When a camera or lane is not to be trusted, on plain windows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
import pytest

from models.city_alerts import CityAlert
from models.quality.sources import ObservedWindow, SourceHealth
from trafficapp.feeds.rules import Told, When
from trafficapp.movement.plausibility import QUALITY_ALERTS
from trafficapp.quality.partition import SOURCE_HEALTH, PartitionSources
from trafficapp.settings.quality import QualitySettings

SECOND = 1_000_000
WINDOW = 10 * SECOND
T0 = 1_768_392_000 * SECOND
SETTINGS = QualitySettings()


def window(
    number: int,
    lane_id: int | None = 1,
    vehicles: int = 3,
    detections: int = 60,
    speed_kmh: float | None = 30.0,
    stopped: float = 0.0,
    camera_id: str = "c",
) -> ObservedWindow:
    start_us = T0 + number * WINDOW
    # a speed is never the same twice, unless it is told so
    speed = None if speed_kmh is None else round(speed_kmh + number % 97 / 1000, 3)
    return ObservedWindow(camera_id, lane_id, start_us, start_us + WINDOW, vehicles, detections, speed, stopped)


def told(sources: PartitionSources, windows: Iterable[ObservedWindow], lag_s: float = 5.0) -> list[Told]:
    found = list[Told]()
    for one in windows:
        record_us = one.end_us + round(lag_s * SECOND)
        found += sources.apply(one, When(record_us, record_us))
    return found


def health(records: Iterable[Told]) -> list[SourceHealth]:
    decode = msgspec.json.Decoder(SourceHealth).decode
    return [decode(record.value or b"") for record in records if record.topic == SOURCE_HEALTH]


def alerts(records: Iterable[Told]) -> list[CityAlert]:
    decode = msgspec.json.Decoder(CityAlert).decode
    return [decode(record.value or b"") for record in records if record.topic == QUALITY_ALERTS]


def turns(records: Iterable[Told], source_id: str = "c/1") -> list[tuple[str | None, int]]:
    """Reasons and the number of the window at which each was told first, one after the other."""
    found: list[tuple[str | None, int]] = []
    for one in health(records):
        if one.source_id == source_id and (not found or found[-1][0] != one.reason):
            at = msgspec.convert(one.timestamp, type=datetime)
            found.append((one.reason, round((at.timestamp() * SECOND - T0) / WINDOW) - 1))
    return found


def test_two_full_bins_running_are_chatter_and_one_is_not() -> None:
    once = [window(n, vehicles=13 if 30 <= n < 33 else 3) for n in range(60)]
    assert turns(told(PartitionSources(SETTINGS, {}), once)) == [(None, 0)]
    twice = [window(n, vehicles=13 if 30 <= n < 36 else 3) for n in range(60)]
    assert turns(told(PartitionSources(SETTINGS, {}), twice)) == [(None, 0), ("chatter", 36)]
    queue = [window(n, vehicles=13, speed_kmh=4.0, stopped=0.8) for n in range(60)]
    assert turns(told(PartitionSources(SETTINGS, {}), queue)) == [(None, 0)]


def test_what_stands_for_half_an_hour_in_the_same_number_is_locked_on() -> None:
    def standing(n: int, vehicles: int) -> ObservedWindow:
        return msgspec.structs.replace(window(n, vehicles=vehicles, stopped=1.0), speed_kmh=0.0)

    red_light = [standing(n, 2 + n // 12 % 3) for n in range(400)]
    assert turns(told(PartitionSources(SETTINGS, {}), red_light)) == [(None, 0)]
    locked = [standing(n, 2) for n in range(200)]
    assert turns(told(PartitionSources(SETTINGS, {}), locked)) == [(None, 0), ("locked_on", 179)]
    with_a_hole = [standing(n, 2) for n in range(200) if n != 100]
    assert turns(told(PartitionSources(SETTINGS, {}), with_a_hole)) == [(None, 0)]


def test_a_lane_that_never_changes_is_frozen_until_it_changes() -> None:
    same = [msgspec.structs.replace(window(n), speed_kmh=31.234) for n in range(80)]
    assert turns(told(PartitionSources(SETTINGS, {}), [*same, window(80)])) == [
        (None, 0),
        ("no_change", 59),
        (None, 80),
    ]


def test_spikes_again_and_again() -> None:
    def jumping(n: int) -> ObservedWindow:
        return window(n, vehicles=20 if n // 3 % 2 else 2, speed_kmh=10.0)

    records = told(
        PartitionSources(SETTINGS, {}), [jumping(n) for n in range(30)] + [window(n) for n in range(30, 420)]
    )
    assert turns(records) == [(None, 0), ("spike", 12), (None, 414)]
    one_jump = [window(n, vehicles=20 if n > 30 else 2, speed_kmh=10.0) for n in range(60)]
    assert turns(told(PartitionSources(SETTINGS, {}), one_jump)) == [(None, 0)]


def test_ids_that_are_not_kept_make_no_spikes() -> None:
    """How many vehicles there are is not known then."""
    jumping = [window(n, vehicles=90 if n // 3 % 2 else 2, detections=92, speed_kmh=10.0) for n in range(60)]
    assert turns(told(PartitionSources(SETTINGS, {}), jumping)) == [(None, 0)]


def test_a_lane_without_vehicles_while_its_camera_counts() -> None:
    hours = 4 * 360
    records = told(PartitionSources(SETTINGS, {}), [window(0), *(window(n, None) for n in range(1, hours + 20))])
    assert turns(records) == [(None, 0), ("no_hits", hours)]
    assert [(one.state, one.subject) for one in alerts(records)] == [("opened", "c")]
    assert "lane 1 no_hits: no vehicle for 4.0 h" in alerts(records)[0].message
    exit_lane = QualitySettings(lane_classes={"c/1": "exit", "c/2": "main"})
    windows = [window(0), *(window(n, None) for n in range(1, hours + 20))]
    records = told(PartitionSources(exit_lane, {}), windows)
    assert turns(records) == [(None, 0)]
    # it is named in the settings and never counted
    assert turns(records, "c/2") == [("no_hits", hours - 1)]


def test_it_is_over_with_the_first_vehicle_and_so_is_the_alert() -> None:
    sources, hours = PartitionSources(SETTINGS, {}), 4 * 360
    told(sources, [window(0), *(window(n, None) for n in range(1, hours + 2))])
    again = told(sources, [window(hours + 2, None), window(hours + 2)])
    assert [one.reason for one in health(again) if one.lane_id == 1][-1] is None
    assert [one.state for one in alerts(again)] == ["resolved"]


def test_speeds_that_cannot_be() -> None:
    fast = [window(n, speed_kmh=240.0 if n in (5, 6, 20, 21, 22) else 50.0) for n in range(100)]
    assert turns(told(PartitionSources(SETTINGS, {}), fast)) == [(None, 0), ("impossible_speed", 22), (None, 82)]


def test_ids_that_are_not_kept() -> None:
    kept = [window(n, None, vehicles=5, detections=60) for n in range(130)]
    assert turns(told(PartitionSources(SETTINGS, {}), kept), "c") == [(None, 0)]
    churn = [window(n, None, vehicles=50, detections=55) for n in range(130)]
    assert turns(told(PartitionSources(SETTINGS, {}), churn), "c") == [(None, 0), ("id_churn", 60)]


def test_one_id_everywhere() -> None:
    def pictures(vehicles: int) -> list[ObservedWindow]:
        lanes = [(None, vehicles), (1, 1), (2, 1), (3, 1)]
        return [window(n, lane_id, vehicles=count) for n in range(60) for lane_id, count in lanes]

    assert turns(told(PartitionSources(SETTINGS, {}), pictures(3)), "c") == [(None, 0)]
    assert turns(told(PartitionSources(SETTINGS, {}), pictures(1)), "c") == [(None, 0), ("one_id", 31)]


@pytest.mark.parametrize(("drift_s", "word"), [(45, "behind"), (-40, "ahead"), (20, None)])
def test_a_clock_that_is_wrong_shows_beside_those_of_others(drift_s: int, word: str | None) -> None:
    sources, found = PartitionSources(SETTINGS, {}), list[Told]()
    for n in range(130):
        for number in range(7):
            # an outage of ours: all of them come late, and nobody's clock is wrong
            lag_s = 600.0 + (drift_s if number == 3 else 0)
            found += told(sources, [window(n, None, camera_id=f"c{number}")], lag_s)
    assert {one.camera_id for one in health(found) if one.reason == "clock_drift"} == ({"c3"} if word else set())
    assert all(word is None or f"{word} those of 7" in one.evidence for one in health(found) if one.reason)


def test_repeats_change_nothing_and_what_was_remembered_goes_on() -> None:
    windows = [window(n, vehicles=13 if 30 <= n < 36 else 3) for n in range(60)]
    whole = told(PartitionSources(SETTINGS, {}), windows)
    first = PartitionSources(SETTINGS, {})
    records = told(first, [*windows[:34], *windows[20:34]])
    rows = {key: row for key, row in first.changed_rows() if row is not None}
    records += told(PartitionSources(SETTINGS, rows), windows[34:])
    assert records == whole
    assert len(alerts(whole)) == 1


def test_a_camera_that_is_gone_is_forgotten_and_its_alert_is_over() -> None:
    sources = PartitionSources(SETTINGS, {})
    told(sources, [window(n, vehicles=13) for n in range(60)])
    list(sources.changed_rows())
    later = list(sources.tick(T0 + 49 * 3600 * SECOND))
    assert [one.state for one in alerts(later)] == ["resolved"]
    assert list(sources.changed_rows()) == [(b"c", None)]


def test_figures_of_a_source() -> None:
    """Half of the windows of an hour, all in time, a third of them behind a sign of chatter."""
    windows = [window(n, vehicles=13 if n >= 240 else 3) for n in range(0, 359, 1) if n % 60 < 30 or n >= 240]
    last = health(told(PartitionSources(QualitySettings(told_seconds=1), {}), windows))[-1]
    assert (last.state, last.reason) == ("unhealthy", "chatter")
    assert last.completeness == pytest.approx(239 / 359, abs=0.01)
    assert last.validity == pytest.approx(126 / 239, abs=0.01)
    assert last.timeliness == 1.0
