"""What the check of alerts takes as heard rightly, on steps that are written down here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.verification.alerts_hops import Passed, finished
from tests.verification.alerts_sockets import EVENT_OF_ACTION, EventsClient, Heard, socket_faults
from tests.verification.alerts_topic import place_of
from tests.verification.log import LogRecord


def step(action: str, revision: int, **changes: Any) -> dict[str, Any]:
    score = {1: 0.6, 2: 0.7, 3: 0.1}[revision]
    base = {"id": "a", "action": action, "revision": revision, "congestion_score": score, "values": {}}
    return {**base, "alarm_at": None, "acknowledged_by": None, "acknowledged_at": None, **changes}


BY = {"acknowledged_by": "ada", "acknowledged_at": "noon"}
OPENED = step("opened", 1)
ALARM = step("updated", 2, alarm_at="now")
ENDED = step("resolved", 3, alarm_at="now")
#: Given before the alert became an alarm, and written after.
GIVEN = step("acknowledged", 1, **BY)
TOLD = {**ALARM, "action": "acknowledged", **BY}


def faults(topic: list[dict[str, Any]], told: list[dict[str, Any]]) -> list[str]:
    client = EventsClient("it", [])
    client.heard = [Heard(0.0, EVENT_OF_ACTION[one["action"]], one) for one in told]
    return socket_faults([client], {place_of(one): one for one in topic})


def test_an_acknowledgement_is_told_of_the_alert_as_the_client_knows_it() -> None:
    assert faults([OPENED, ALARM, GIVEN, ENDED], [OPENED, ALARM, TOLD, {**ENDED, **BY}]) == []
    assert faults([OPENED, GIVEN, ALARM], [OPENED, GIVEN, {**ALARM, **BY}]) == []


def test_one_behind_the_end_is_not_told() -> None:
    assert faults([OPENED, ALARM, ENDED, GIVEN], [OPENED, ALARM, ENDED]) == []


@pytest.mark.parametrize(
    "told",
    [
        pytest.param([OPENED, ALARM, GIVEN, {**ENDED, **BY}], id="falls back to what it was given at"),
        pytest.param([OPENED, ALARM, {**ENDED, **BY}], id="not told"),
        pytest.param([OPENED, ALARM, TOLD, TOLD, {**ENDED, **BY}], id="told twice"),
        pytest.param([OPENED, ALARM, {**TOLD, "acknowledged_by": "eve"}, {**ENDED, **BY}], id="somebody else"),
        pytest.param([OPENED, ALARM, {**TOLD, "congestion_score": 0.9}, {**ENDED, **BY}], id="another figure"),
        pytest.param([OPENED, TOLD, {**ALARM, **BY}, {**ENDED, **BY}], id="ahead of what was told"),
        pytest.param([OPENED, ALARM, ENDED, {**ENDED, "action": "acknowledged", **BY}], id="behind the end"),
        pytest.param([OPENED, ALARM, TOLD, ENDED], id="forgotten at the end"),
        pytest.param([OPENED, TOLD, {**ENDED, **BY}], id="a step is missing"),
    ],
)
def test_what_is_a_fault(told: list[dict[str, Any]]) -> None:
    assert faults([OPENED, ALARM, GIVEN, ENDED], told)


def test_hops_of_a_new_alert() -> None:
    way = Passed(sent=10.0, window=10.05, step=10.07, event=10.1, heard=[10.5, 10.102, 10.103])
    assert way.hops_ms() == pytest.approx((50, 20, 30, 3))


def test_a_window_counts_as_first_handed_over() -> None:
    rows = [
        {"camera_id": "c", "lane_id": lane, "window_end": f"1970-01-01T00:00:{end:02}Z"}
        for lane, end in ((None, 5), (1, 10), (None, 5))
    ]
    log = [LogRecord(0, at, 1000 * (at + 1), b"c", json.dumps(row).encode()) for at, row in enumerate(rows)]
    assert finished(log) == {("c", 5_000_000): 1.0}
