"""Which windows raise, change and end an alert, case by case."""

from __future__ import annotations

import pytest

from models.cameras.window_rows import WindowRow
from models.timestamps import rfc3339
from tests.alerts.windows import PlainRecord, end_us, fresh, records, spelled, standing, steps, told, window
from trafficapp.alerts.partition import PartitionAlerts
from trafficapp.engine.state_rows import UNTOLD, PartitionsChanged, SourceLog, TopicMadeAnew


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ("LLLMMMLL", []),
        ("LSL", ["1 opened CRITICAL S", "2 updated CRITICAL L"]),
        ("HLHLHLHL", []),
        ("HH", ["1 opened WARNING H"]),
        ("HHHH", ["1 opened WARNING H"]),
        ("HHMLLL", ["1 opened WARNING H", "2 updated WARNING M", "3 updated WARNING L", "5 resolved WARNING L"]),
        # it rises and never falls
        ("HHSH", ["1 opened WARNING H", "2 updated CRITICAL S", "3 updated CRITICAL H"]),
        # any window that is not calm begins the count to the end anew
        ("SLLMLLL", ["0 opened CRITICAL S", "1 updated CRITICAL L", "3 updated CRITICAL M", "4 updated CRITICAL L",
                     "6 resolved CRITICAL L"]),
        # a window of unknown level neither counts nor interrupts
        ("H?H", ["2 opened WARNING H"]),
        ("SL?L?L", ["0 opened CRITICAL S", "1 updated CRITICAL L", "5 resolved CRITICAL L"]),
        # 30 s apart are in a row, further apart not; to the end a gap does not matter
        ("H     H", ["6 opened WARNING H"]),
        ("H      H", []),
        ("H????????H", []),
        ("SL         LL", ["0 opened CRITICAL S", "1 updated CRITICAL L", "12 resolved CRITICAL L"]),
        # after its end the next one is another alert
        ("SLLLS", ["0 opened CRITICAL S", "1 updated CRITICAL L", "3 resolved CRITICAL L", "4 opened CRITICAL S"]),
    ],
)  # fmt: skip
def test_congestion(levels: str, expected: list[str]) -> None:
    assert told(spelled(levels), resolve_windows=3) == expected


@pytest.mark.parametrize(
    ("levels", "alarm_at"),
    [
        # 20 s at HIGH or above without a break: the end of the fourth window
        ("HHHH", 3),
        ("HHHHLLLLLL", 3),
        ("HHHLLLLLL", None),
        # the level of a red light that comes again: each break begins the count anew
        ("HHHLHHHLHHHL", None),
        ("HHHMHHHH", 7),
        # 30 s apart are in a row, and time without windows counts, since it is an on-delay of time
        ("HH     H", 7),
        ("HH      H", None),
        # SEVERE is told at once
        ("HHS", 2),
        ("S", 0),
    ],
)
def test_people_are_told_of_a_level_that_holds(levels: str, alarm_at: int | None) -> None:
    found = steps(spelled(levels), on_delay_seconds=20)

    times = [step.alarm_at for step in found]
    told_at = None if alarm_at is None else rfc3339(end_us(alarm_at))
    assert times[-1] == told_at
    # it becomes an alarm once, with a step of that moment, and stays one
    before = [None, *times[:-1]]
    became = [step.updated_at for step, earlier in zip(found, before, strict=True) if step.alarm_at and earlier is None]
    assert became == ([] if told_at is None else [told_at])


def test_people_are_told_of_standing_traffic_at_once() -> None:
    found = steps([standing(number) for number in range(3)], on_delay_seconds=3600, stopped_windows=3)

    assert [(one.alert_type, one.alarm_at) for one in found] == [("stopped_traffic", rfc3339(end_us(2)))]


def test_alerts_that_were_open_before_there_was_a_delay_are_alarms() -> None:
    states = fresh(on_delay_seconds=20)
    states.apply(records(spelled("HH")))
    opened = states.cameras[b"cam"].causes["congestion"].open
    assert opened is not None
    # as a row is read that was written without it
    opened.alarm_us = None

    found = states.apply(records(spelled("HHLLLLLL")))

    assert found[-1].action == "resolved"
    assert {one.alarm_at for one in found} == {rfc3339(end_us(1))}


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        # 20 s from the end of the newest window of known level; what comes then begins afresh
        ("SL    L", ["0 opened CRITICAL S", "1 updated CRITICAL L", "5 resolved CRITICAL L"]),
        ("SL   L", ["0 opened CRITICAL S", "1 updated CRITICAL L"]),
        ("SL????", ["0 opened CRITICAL S", "1 updated CRITICAL L"]),
        ("SL????????", ["0 opened CRITICAL S", "1 updated CRITICAL L", "5 resolved CRITICAL L"]),
        ("S?      ?", ["0 opened CRITICAL S", "4 resolved CRITICAL S"]),
        ("S            S", ["0 opened CRITICAL S", "4 resolved CRITICAL S", "13 opened CRITICAL S"]),
        ("H    H", []),
        ("H   H", ["4 opened WARNING H"]),
    ],
)
def test_what_is_not_seen_for_long_is_over(levels: str, expected: list[str]) -> None:
    assert told(spelled(levels), forget_seconds=20, max_gap_seconds=3600) == expected


def test_the_end_of_what_is_not_seen_does_not_depend_on_when_it_is_told() -> None:
    ends = [steps(spelled("HHM" + " " * blanks + last))[-1] for blanks, last in ((48, "?"), (900, "L"))]
    assert ends[0] == ends[1]
    assert ends[0].message == "Over: no vehicle with a known speed was seen for 4 min; it lasted 15 s"
    assert (ends[0].resolved_at, ends[0].updated_at) == ("2023-11-14T22:17:35Z", "2023-11-14T22:17:35Z")
    assert ends[0].revision == 3


def test_how_many_windows_is_a_setting() -> None:
    assert told(spelled("SSS"), severe_windows=3, high_windows=2) == ["1 opened WARNING S", "2 updated CRITICAL S"]
    assert told(spelled("SHH"), resolve_windows=2, calm_below="HIGH") == ["0 opened CRITICAL S", "1 updated CRITICAL H"]
    assert told(spelled("SMM"), resolve_windows=2, calm_below="HIGH")[-1] == "2 resolved CRITICAL M"


def test_a_level_that_goes_up_and_down_is_told_now_and_then_but_a_higher_severity_at_once() -> None:
    assert told(spelled("HHMHMHMHMS"), update_seconds=30) == [
        "1 opened WARNING H",
        "8 updated WARNING M",
        "9 updated CRITICAL S",
    ]


def test_lanes_do_not_count() -> None:
    assert told([window(0, "S", lane_id=1), window(0, "L")]) == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([standing(n) for n in range(12)], ["11 opened WARNING L"]),
        ([standing(n) for n in range(11)], []),
        ([standing(n) for n in range(11)] + [standing(11, ratio=0.79)] + [standing(n) for n in range(12, 23)], []),
        ([standing(n, queue=4) for n in range(20)], []),
        ([standing(n, queue=5, ratio=0.8) for n in range(12)], ["11 opened WARNING L"]),
        # between standing and flowing it goes on
        ([standing(n) for n in range(12)] + [standing(n, ratio=0.5) for n in range(12, 30)], ["11 opened WARNING L"]),
        ([standing(n) for n in range(12)] + [standing(n, ratio=0.7) for n in range(12, 30)], ["11 opened WARNING L"]),
        (
            [standing(n) for n in range(12)] + [standing(n, ratio=0.49) for n in range(12, 18)],
            ["11 opened WARNING L", "17 resolved WARNING L"],
        ),
    ],
)
def test_stopped_traffic(rows: list[WindowRow], expected: list[str]) -> None:
    assert told(rows) == expected


def test_stopped_traffic_in_severe_congestion_is_critical() -> None:
    alerts = steps([standing(n, "H") for n in range(12)] + [standing(12, "S")], severe_windows=99, high_windows=99)
    assert [(s.alert_type, s.action, s.severity) for s in alerts] == [
        ("stopped_traffic", "opened", "WARNING"),
        ("stopped_traffic", "updated", "CRITICAL"),
    ]


def test_a_person_reads_what_where_and_since_when() -> None:
    rows = [window(n, "H", vehicle_count=12, avg_speed_kmh=4.249, queue_length=9) for n in range(2)]
    opened, updated, *_, resolved = steps(
        [*rows, window(2, "S", vehicle_count=1, queue_length=0), *spelled("   LLLLLL")]
    )
    assert (opened.title, opened.message) == (
        "Heavy congestion at cam",
        "12 vehicles, 4.2 km/h on average, 9 stopped, level HIGH, for 10 s",
    )
    assert opened.rule == "congestion_level >= HIGH for 2 windows"
    assert (opened.since, opened.triggered_at) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:30Z")
    assert opened.values == {
        "vehicle_count": 12,
        "avg_speed_kmh": 4.249,
        "stopped_ratio": 0.25,
        "queue_length": 9,
        "duration_seconds": 10.0,
        "peak_congestion_score": 0.6,
        "windows_in_a_row": 2,
    }
    assert (updated.title, updated.message) == (
        "Severe congestion at cam",
        "Risen from WARNING to CRITICAL. 1 vehicle, 14.2 km/h on average, now level SEVERE, 15 s after it began",
    )
    assert (updated.values["risen_from"], updated.rises, opened.rises, resolved.rises) == (
        "WARNING",
        True,
        False,
        False,
    )
    assert updated.rule == "congestion_level >= SEVERE for 1 window"
    assert resolved.message == "Over: 6 windows in a row below MODERATE; it lasted 15 s"
    assert resolved.values["duration_seconds"] == 15.0
    assert (resolved.resolved_at, resolved.triggered_at) == ("2023-11-14T22:14:05Z", opened.triggered_at)
    assert resolved.values["peak_congestion_score"] == 0.9
    assert len({opened.id, updated.id, resolved.id}) == 1
    assert (opened.revision, updated.revision) == (1, 2)


def test_an_open_alert_says_how_it_rose_and_where_it_is_now() -> None:
    told_ = steps(spelled("HHSHLLLM"), update_seconds=10, resolve_windows=4)
    assert [(step.title, step.message) for step in told_ if step.action == "updated"] == [
        (
            "Severe congestion at cam",
            "Risen from WARNING to CRITICAL. 12 vehicles, 14.2 km/h on average, 3 stopped, now level SEVERE, "
            "15 s after it began",
        ),
        (
            "Severe congestion at cam, now level LOW",
            "Risen from WARNING to CRITICAL, at worst level SEVERE. 12 vehicles, 14.2 km/h on average, 3 stopped, "
            "now level LOW, 25 s after it began",
        ),
        (
            "Severe congestion at cam, now level MODERATE",
            "Risen from WARNING to CRITICAL, at worst level SEVERE. 12 vehicles, 14.2 km/h on average, 3 stopped, "
            "now level MODERATE, 40 s after it began",
        ),
    ]
    eased = steps(spelled("HHL"), update_seconds=5)[-1]
    assert (eased.title, eased.message) == (
        "Heavy congestion at cam, now level LOW",
        "At worst level HIGH. 12 vehicles, 14.2 km/h on average, 3 stopped, now level LOW, 15 s after it began",
    )
    ended = steps(spelled("HHLLL"), update_seconds=5, resolve_windows=3)[-1]
    assert (ended.action, ended.title) == ("resolved", "Heavy congestion at cam")


def test_what_is_no_window_is_skipped() -> None:
    first, second = records(spelled("HH"))
    alerts = fresh()
    told_ = alerts.apply([first, PlainRecord(1, b"{"), PlainRecord(2, None), PlainRecord(3, second.value)])
    assert [step.action for step in told_] == ["opened"]
    assert alerts.applied == 3


def test_the_row_of_a_partition_says_which_topic_it_is_of() -> None:
    def of(log: SourceLog, rows: dict[bytes, bytes] | None = None) -> PartitionAlerts:
        return PartitionAlerts(0, (), 1, 1, rows or {}, log)

    # rows that do not tell agree with any
    rows = dict(of(SourceLog("one", 8), dict(of(UNTOLD).all_rows())).all_rows())
    for log in (UNTOLD, SourceLog("one", 8), SourceLog("one")):
        assert dict(of(log, rows).all_rows()) == rows
    with pytest.raises(PartitionsChanged):
        of(SourceLog("one", 9), rows)
    with pytest.raises(TopicMadeAnew):
        of(SourceLog("two", 8), rows)
