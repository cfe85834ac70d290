"""Whatever arrives, in whatever order: rows, dead letters and counters are the oracle's."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from models.alerts import AlertEvent
from models.dead_letters import DeadLetter
from models.window_rows import WindowRow, encode_window_row
from tests.windows.entries import Entry, Picture, Tick, fresh, records
from tests.windows.logs import logs, shuffled_within_lateness, silence
from tests.windows.oracle import Oracle, assert_rows_equal

#: A busy machine is no fault of the test.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def one_by_one(log: list[Entry]) -> tuple[list[WindowRow], list[DeadLetter], Oracle]:
    windows, rows, letters = fresh(), list[WindowRow](), list[DeadLetter]()
    for record in records(log):
        outcome = windows.apply([record])
        rows += outcome.rows
        letters += outcome.dead_letters
    return rows, letters, Oracle.of(log)


@given(shuffled_within_lateness())
@settings(PATIENT, max_examples=80)
def test_any_order_within_the_lateness_gives_the_rows_of_the_sorted_order(arrived: list[Picture]) -> None:
    end = silence(max(picture.record_ms for picture in arrived))
    rows, letters, _ = one_by_one([*arrived, *end])
    in_order = Oracle.of([*sorted(arrived, key=lambda picture: picture.time_us), *end])
    assert letters == []
    assert_rows_equal(rows, in_order.rows())
    assert sum(row.detections for row in rows if row.lane_id is None) == len(arrived)


@given(logs())
@settings(PATIENT, max_examples=80)
def test_any_log_gives_the_rows_dead_letters_and_counters_of_the_oracle(log: list[Entry]) -> None:
    last_ms = max(entry.record_ms for entry in log)
    rows, letters, oracle = one_by_one([*log, *silence(last_ms)])
    assert_rows_equal(rows, oracle.rows())
    assert sorted((letter.offset, letter.reason) for letter in letters) == sorted(oracle.dead_letters)


@given(logs(), logs(max_size=8))
@settings(PATIENT, max_examples=80)
def test_cameras_are_missed_and_seen_again_when_the_oracle_says_so(log: list[Entry], more: list[Entry]) -> None:
    everything = [*log, *silence(max(entry.record_ms for entry in log)), *more]
    windows, told = fresh(), list[tuple[int, AlertEvent]]()
    for record in records(everything):
        told += [(record.offset, alert) for alert in windows.apply([record]).alerts]
    found = [(offset, alert.action, alert.camera_id) for offset, alert in told]
    assert sorted(found) == sorted(Oracle.of(everything).silences)
    raised = [alert.id for _, alert in told if alert.action == "opened"]
    ended = [alert.id for _, alert in told if alert.action == "resolved"]
    assert len(set(raised)) == len(raised)
    assert set(ended) <= set(raised)


@given(logs())
@settings(PATIENT, max_examples=80)
def test_counters_add_up_to_what_was_sent(log: list[Entry]) -> None:
    windows, oracle = fresh(), Oracle.of(log)
    outcome = windows.apply(records(log))
    late = sum(camera.late for camera in windows.cameras.states.values())
    assert outcome.counted == sum(camera.counted for camera in windows.cameras.states.values())
    assert outcome.repeated == sum(camera.repeated for camera in windows.cameras.states.values())
    assert windows.state.rejected == dict(oracle.rejected)
    assert outcome.counted + outcome.repeated + sum(outcome.rejected.values()) == oracle.sent
    assert outcome.rejected.get("late", 0) == late == sum(camera.late for camera in oracle.cameras.values())


@given(logs(), logs())
@settings(PATIENT, max_examples=80)
def test_nothing_that_comes_later_changes_a_final_row(log: list[Entry], more: list[Entry]) -> None:
    windows = fresh()
    everything = records([*log, *silence(max(entry.record_ms for entry in log)), *more])
    final: dict[tuple[str, str, int | None], bytes] = {}
    for record in everything:
        for row in windows.apply([record]).rows:
            key = (row.camera_id, row.window_start, row.lane_id)
            assert key not in final, f"{key} was final"
            final[key] = encode_window_row(row)


def test_ticks_alone_close_nothing_that_is_not_there() -> None:
    assert fresh().apply(records([Tick(1000 * second) for second in range(1, 100)])).rows == []
