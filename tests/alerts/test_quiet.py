"""Ends that are told before the next window comes: the bytes are those of the next window, and it comes to stay so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.alerts import encode_alert_event
from models.quiet_cameras import QuietCamera
from models.window_rows import WindowRow
from tests.alerts.test_any_order_of_runs import PATIENT, SHORT, histories
from tests.alerts.windows import T0_US, WINDOW_US, fresh, records, spelled, steps
from trafficapp.alerts.partition import PartitionAlerts


def heard(alerts: PartitionAlerts, window: int) -> list[bytes]:
    """What is told once it was heard that a window is the camera's newest."""
    alerts.hear([QuietCamera("cam", T0_US + (window + 1) * WINDOW_US)])
    return list(map(encode_alert_event, alerts.early_ends()))


def test_it_is_told_early_and_again_with_the_next_window_the_same() -> None:
    *before, after = records(spelled("SL" + " " * 60 + "L"))
    alerts = fresh()
    alerts.apply(before)
    rows = alerts.all_rows()
    early = heard(alerts, 1)
    assert len(early) == 1
    assert alerts.all_rows() == rows
    assert heard(alerts, 1) == early
    assert list(map(encode_alert_event, alerts.apply([after]))) == early
    assert heard(alerts, 1) == []
    assert heard(alerts, 62) == []


def test_it_waits_for_the_windows_it_speaks_of_and_yields_to_newer_ones() -> None:
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


def test_a_window_of_unknown_level_is_waited_for_as_well() -> None:
    log = records(spelled("S?"))
    alerts = fresh()
    alerts.apply(log)
    assert len(heard(alerts, 1)) == 1


def test_what_was_told_early_is_over_even_if_the_clock_of_the_camera_stood_still() -> None:
    *before, after, later = records(spelled("SSS?"))
    alerts = fresh()
    alerts.apply(before)
    (early,) = heard(alerts, 1)
    resolved, opened = alerts.apply([after])
    assert encode_alert_event(resolved) == early
    assert (opened.action, opened.revision) == ("opened", 1)
    assert opened.id != resolved.id
    assert alerts.apply([after, later]) == []


@given(histories(), st.integers(0, 40), st.booleans())
@PATIENT
def test_telling_early_adds_nothing_but_repeats(rows: list[WindowRow], blanks: int, takes_over: bool) -> None:
    """However long it is until the next window, as long as the end lies before it."""
    newest = max((row.window_start for row in rows if row.camera_id == "cam"), default="")
    shift = len(rows) * 8 + blanks + 5
    sent = [*rows, *spelled(" " * shift + "SL")]
    right = list(map(encode_alert_event, steps(sent, **SHORT)))
    log, alerts = records(sent), fresh(**SHORT)
    told = list(map(encode_alert_event, alerts.apply(log[: len(rows)])))
    if newest:
        camera = alerts.cameras[b"cam"]
        alerts.hear([QuietCamera("cam", camera.seen_end_us)])
        told += map(encode_alert_event, alerts.early_ends())
    if takes_over:
        alerts = fresh(dict(alerts.all_rows()), **SHORT)
    told += map(encode_alert_event, alerts.apply(log[len(rows) :]))
    assert list(dict.fromkeys(told)) == right
