"""Cameras that were told to be quiet: the log says it, and what is heard of it earlier only tells the same early."""

from __future__ import annotations

import pytest

from models.alerts import encode_alert_event
from models.cameras.quiet_cameras import QuietCamera
from models.cameras.window_rows import WindowRow
from tests.alerts.windows import PlainRecord, end_us, fresh, in_short, record, records, spelled, window
from trafficapp.alerts.partition import PartitionAlerts

#: 20 s, four windows: what is open after window 0 is over when window 5 begins.
SOON = {"forget_seconds": 20.0}


def after_quiet(levels: str, **settings: object) -> list[str]:
    """Steps when the camera was told to be quiet before the last letter of the first word."""
    first, rest = levels.split("|")
    log = records(spelled(first), after_quiet=len(first) - 2)
    log += [record(window(len(first) + number, level), len(log) + number) for number, level in enumerate(rest)]
    return in_short(fresh(**settings).apply(log))  # type: ignore[arg-type]


def heard(alerts: PartitionAlerts, number: int) -> list[bytes]:
    """What is told once it was heard that a window is the camera's newest."""
    alerts.hear([QuietCamera("cam", end_us(number))])
    return list(map(encode_alert_event, alerts.early_ends()))


@pytest.mark.parametrize("last", ["S", "L", "?", " " * 60 + "L"])
def test_the_window_after_it_ends_the_alert_with_the_bytes_that_were_told_early(last: str) -> None:
    log = records(spelled("SL" + last), after_quiet=1)
    hearing, deaf = fresh(), fresh()
    for alerts in (hearing, deaf):
        alerts.apply(log[:-1])
    rows = hearing.all_rows()
    early = heard(hearing, 1)
    assert len(early) == 1
    assert hearing.all_rows() == rows
    assert heard(hearing, 1) == early
    successor = fresh(dict(rows))
    for alerts in (hearing, deaf, successor):
        assert list(map(encode_alert_event, alerts.apply(log[-1:]))) == early
    assert heard(hearing, 1) == []
    assert heard(hearing, len(last) + 1) == []


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        # what begins before the end raises nothing; what comes then begins afresh
        ("SS|SSSS", ["0 opened CRITICAL S", "4 resolved CRITICAL S", "5 opened CRITICAL S"]),
        ("SH|HHHHHH", ["0 opened CRITICAL S", "4 resolved CRITICAL S", "6 opened WARNING H"]),
        ("SL|LLL", ["0 opened CRITICAL S", "4 resolved CRITICAL S"]),
        # the end follows from the newest window of known level
        ("S??|???S", ["0 opened CRITICAL S", "4 resolved CRITICAL S", "6 opened CRITICAL S"]),
        # nothing was open: nothing is over, and what is in a row stays so
        ("HH|", ["1 opened WARNING H"]),
        ("LS|", ["1 opened CRITICAL S"]),
    ],
)
def test_nothing_begins_before_what_was_open_is_over(levels: str, expected: list[str]) -> None:
    assert after_quiet(levels, **SOON) == expected


def test_its_alerts_of_all_causes_are_over() -> None:
    settings = {**SOON, "stopped_windows": 2}
    rows = [window(n, "S", stopped_ratio=0.9, queue_length=9) for n in range(12)]
    log = records(rows[:3], after_quiet=1)
    log += [record(row, 3 + number) for number, row in enumerate(rows[3:])]
    steps = fresh(**settings).apply(log)
    told = [(step.alert_type, short) for step, short in zip(steps, in_short(steps), strict=True)]
    assert told == [
        ("congestion", "0 opened CRITICAL S"),
        ("stopped_traffic", "1 opened CRITICAL S"),
        ("congestion", "5 resolved CRITICAL S"),
        ("stopped_traffic", "5 resolved CRITICAL S"),
        ("congestion", "6 opened CRITICAL S"),
        ("stopped_traffic", "7 opened CRITICAL S"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"x",
        b"-5",
        b" 1",
        b"1" * 5000,
        b"\xff",
        b"%d" % end_us(0),
        b"%d" % (end_us(1) + 1),
        b"%d.0" % end_us(1),
    ],
)
def test_a_header_that_says_something_else_says_nothing(value: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    log = records(spelled("SLL"), after_quiet=1)
    log[-1].headers = ((log[-1].headers[0][0], value),)
    assert in_short(fresh().apply(log)) == ["0 opened CRITICAL S", "1 updated CRITICAL L"]
    assert "offset 2" in caplog.text


def test_other_headers_and_those_of_lanes_say_nothing() -> None:
    first, second = records(spelled("SS"), after_quiet=0)
    quiet = second.headers
    lane = PlainRecord(1, record(window(1, "S", lane_id=1)).value, headers=quiet)
    second.offset, second.headers = 2, (("another", b"1"),)
    alerts = fresh()
    assert len(alerts.apply([first, lane, second])) == 1
    third = record(window(2, "S"), 3)
    third.headers = (("another", b"1"), (quiet[0][0], b"%d" % end_us(1)))
    assert in_short(alerts.apply([third])) == ["49 resolved CRITICAL S"]


def test_sent_again_it_is_a_repeat() -> None:
    log = records(spelled("SSS"), after_quiet=1)
    again = [PlainRecord(3 + number, sent.value, headers=sent.headers) for number, sent in enumerate(log)]
    alerts = fresh()
    assert len(alerts.apply(log)) == 2
    rows = dict(alerts.all_rows())
    assert alerts.apply(again) == []
    assert dict(alerts.all_rows())[b"cam"] == rows[b"cam"]


def test_what_is_heard_waits_for_the_windows_it_speaks_of_and_yields_to_newer_ones() -> None:
    first, second, third = records(spelled("SL?"))
    alerts = fresh()
    assert heard(alerts, 1) == []
    alerts.apply([first])
    assert alerts.early_ends() == []
    alerts.apply([second])
    assert len(alerts.early_ends()) == 1
    late = fresh()
    late.apply([first, second, third])
    assert heard(late, 1) == []
    overtaken = fresh()
    assert heard(overtaken, 1) == []
    overtaken.apply([first, second, third])
    assert overtaken.early_ends() == []
    assert not overtaken.is_waiting


def test_a_window_of_unknown_level_is_waited_for_as_well() -> None:
    alerts = fresh()
    alerts.apply(records(spelled("S?")))
    assert len(heard(alerts, 1)) == 1


def test_the_newest_that_was_heard_is_waited_for() -> None:
    first, second = records(spelled("SL"))
    alerts = fresh()
    assert heard(alerts, 1) == heard(alerts, 0) == []
    alerts.apply([first])
    assert alerts.early_ends() == []
    alerts.apply([second])
    assert len(alerts.early_ends()) == 1


def test_what_is_heard_later_is_waited_for_longer() -> None:
    alerts = fresh()
    alerts.hear([QuietCamera("cam", end_us(0))])
    alerts.wait_until(1)
    alerts.hear([QuietCamera("other", end_us(1))])
    alerts.apply(records(spelled("SS")))
    assert len(alerts.early_ends()) == 0
    assert alerts.is_waiting
    alerts.wait_until(2)
    assert not alerts.is_waiting


def test_what_is_heard_of_an_older_window_does_not_hide_what_was_heard_of_a_newer_one() -> None:
    first, second = records(spelled("SL"))
    alerts = fresh()
    alerts.apply([first])
    assert heard(alerts, 1) == []
    assert heard(alerts, 0) == []
    alerts.apply([second])
    assert len(alerts.early_ends()) == 1


def test_cameras_without_open_alerts_are_not_remembered_nor_others_for_ever() -> None:
    alerts = fresh()
    alerts.apply(records(spelled("L")))
    alerts.hear([QuietCamera("cam", end_us(0)), QuietCamera("cam", end_us(0) - 1)])
    assert not alerts.is_waiting
    alerts.hear(QuietCamera(f"once-{number}", end_us(0)) for number in range(1000))
    assert alerts.is_waiting
    # the log ends here: there is nothing to wait for
    alerts.wait_until(1)
    assert not alerts.is_waiting
    alerts.hear([QuietCamera("cam", end_us(1))])
    alerts.wait_until(2)
    alerts.apply([record(window(1, "S"), 1)])
    assert len(alerts.early_ends()) == 1
    assert not alerts.is_waiting


def away(rows: list[WindowRow], seconds: float) -> list[PlainRecord]:
    """A log whose last record was written so long after the one before."""
    log = records(rows)
    log[-1].timestamp = log[-2].timestamp + round(seconds * 1000)
    return log


def test_a_camera_with_few_windows_that_was_away_may_have_been_forgotten_by_those_who_told_it() -> None:
    """Then no header says so, and an hour later its alert must be over all the same."""
    log = away(spelled("SL" + "S"), 3600)
    alerts = fresh()
    alerts.apply(log[:2])
    early = heard(alerts, 1)
    assert list(map(encode_alert_event, alerts.apply(log[2:]))) == early
    assert heard(alerts, 1) == []
    assert in_short(fresh().apply(away(spelled("SS"), 60))) == ["0 opened CRITICAL S"]


def test_any_other_camera_goes_on_after_an_outage() -> None:
    usual = [window(n, "L") for n in range(11)] + [window(11, "S"), window(12, "H")]
    assert in_short(fresh(update_seconds=60).apply(away(usual, 7200))) == ["11 opened CRITICAL S"]
    few = away(usual[1:], 7200)
    assert in_short(fresh(update_seconds=60).apply(few)) == ["11 opened CRITICAL S", "59 resolved CRITICAL S"]


def test_how_long_an_absence_is_follows_from_the_brokers_clock_alone() -> None:
    for seconds, steps in ((1800, 2), (1799.999, 1)):
        assert len(fresh(update_seconds=60).apply(away(spelled("SS"), seconds))) == steps
    log = records([window(0, "L", "other"), window(1, "S"), window(2, "S")])
    log[1].timestamp_type = 0
    assert len(fresh(update_seconds=60).apply(log)) == 1


def test_windows_are_counted_anew_after_each_absence() -> None:
    """Those who finish them count so, too: it was forgotten twice."""
    log = records([window(n, "L") for n in range(11)] + [window(11, "L"), window(12, "S"), window(13, "S")])
    for number in range(11, 13):
        log[number].timestamp = log[10].timestamp + 3_600_000
    log[13].timestamp = log[10].timestamp + 7_200_000
    assert in_short(fresh().apply(log)) == ["12 opened CRITICAL S", "60 resolved CRITICAL S"]


def test_a_camera_that_is_not_known_was_quiet_at_no_later_time(caplog: pytest.LogCaptureFixture) -> None:
    (ahead,) = records([window(0, "S")], after_quiet=3)
    assert in_short(fresh().apply([ahead])) == ["0 opened CRITICAL S"]
    assert "was not told to be quiet" in caplog.text


def test_a_camera_that_is_not_known_any_more_was_quiet_then(caplog: pytest.LogCaptureFixture) -> None:
    log = records([window(3, "S")], after_quiet=0)
    log += [record(window(number, "S"), number) for number in range(4, 6)]
    assert in_short(fresh(**SOON).apply(log)) == ["5 opened CRITICAL S"]
    assert not caplog.records
