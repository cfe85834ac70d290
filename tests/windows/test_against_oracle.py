"""Whatever arrives, in whatever order: rows, dead letters, counters and silences are the oracle's."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter

from hypothesis import HealthCheck, given, settings

from models.alerts import AlertEvent
from models.cameras.window_rows import WindowRow, encode_window_row
from models.dead_letters import DeadLetter
from tests.windows.entries import Entry, Limits, Picture, Tick, Unreadable, fresh, records, rules_of
from tests.windows.logs import bounded_logs, logs, shuffled_within_lateness, silence
from tests.windows.oracle import Made, Oracle, RowKey, assert_rows_equal, key_of, refusal_of
from tests.windows.whole import WholeWindows

#: A busy machine is no fault of the test.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: No window stays open for longer: the idle time-out and the longest lead.
EVERYTHING_CLOSED_S = 75


@dataclass
class Applied:
    """What came of a log, record by record, with offsets."""

    windows: WholeWindows
    rows: list[tuple[int, WindowRow]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    alerts: list[tuple[int, AlertEvent]] = field(default_factory=list)
    quiet: list[tuple[int, str, int]] = field(default_factory=list)
    after_quiet: list[tuple[int, RowKey, int]] = field(default_factory=list)
    counted: int = 0
    repeated: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


def one_by_one(log: list[Entry], limits: Limits | None = None) -> Applied:
    """Apply a log record by record."""
    applied = Applied(fresh(rules=rules_of(limits or Limits())))
    for record in records(log):
        outcome = applied.windows.apply([record])
        applied.rows += ((record.offset, row) for row in outcome.rows)
        applied.letters += outcome.dead_letters
        applied.alerts += ((record.offset, alert) for alert in outcome.alerts)
        applied.quiet += ((record.offset, one.camera_id, one.newest_window_end_us) for one in outcome.quiet)
        told = outcome.after_quiet.items()
        applied.after_quiet += ((record.offset, key_of(outcome.rows[place]), end_us) for place, end_us in told)
        applied.counted += outcome.counted
        applied.repeated += outcome.repeated
        for reason, events in outcome.rejected.items():
            applied.rejected[reason] = applied.rejected.get(reason, 0) + events
    return applied


def assert_is_the_oracles(log: list[Entry], limits: Limits | None = None) -> None:
    """Compare all that comes of a log."""
    applied = one_by_one(log, limits)
    full = [letter.offset for letter in applied.letters if letter.reason == "camera_full"]
    oracle = Oracle.of(log, limits, full)
    assert_rows_equal(applied.rows, oracle.made)
    assert [refusal_of(letter) for letter in applied.letters] == oracle.letters
    assert (applied.counted, applied.repeated) == (oracle.counted, oracle.repeated)
    assert applied.rejected == dict(oracle.rejected)
    refused = {letter.offset for letter in applied.letters}
    assert oracle.sent == sum(_detections(entry, offset in refused) for offset, entry in enumerate(log))
    assert_alerts_are_the_oracles(applied.alerts, oracle)
    assert sorted(applied.quiet) == sorted(oracle.quiet)
    assert sorted(applied.after_quiet) == sorted(oracle.after_quiet)


def _detections(entry: Entry, is_refused: bool) -> int:
    """How many detections an entry is in the counters; an empty frame is one when it is refused."""
    if isinstance(entry, Unreadable):
        return entry.events
    if not isinstance(entry, Picture):
        return 0
    return max(len(entry.seen) + len(entry.faulty), is_refused)


def assert_alerts_are_the_oracles(told: list[tuple[int, AlertEvent]], oracle: Oracle) -> None:
    """Compare cameras that are missed and heard again; alerts have ids of their own."""
    found = [(offset, alert.action, alert.camera_id) for offset, alert in told]
    assert sorted(found) == sorted(oracle.silences)
    raised = [alert.id for _, alert in told if alert.action == "opened"]
    ended = [alert.id for _, alert in told if alert.action == "resolved"]
    assert len(set(raised)) == len(raised)
    assert set(ended) <= set(raised)


def last_ms(log: list[Entry]) -> int:
    """The newest time of a broker in a log."""
    return max(entry.record_ms for entry in log)


@given(shuffled_within_lateness())
@settings(PATIENT, max_examples=40)
def test_any_order_within_the_lateness_gives_the_rows_of_the_sorted_order(arrived: list[Picture]) -> None:
    end = silence(last_ms([*arrived]), EVERYTHING_CLOSED_S)
    applied = one_by_one([*arrived, *end])
    in_order = Oracle.of([*sorted(arrived, key=attrgetter("time_us")), *end])
    assert applied.letters == []
    assert_rows_equal(
        [(0, row) for _, row in applied.rows],
        [Made(0, key, row) for _, key, row in in_order.made],
    )
    assert sum(row.detections for _, row in applied.rows if row.lane_id is None) == len(arrived)


@given(logs())
@settings(PATIENT, max_examples=80)
def test_any_log_gives_the_rows_dead_letters_and_counters_of_the_oracle(log: list[Entry]) -> None:
    assert_is_the_oracles([*log, *silence(last_ms(log), EVERYTHING_CLOSED_S)])


@given(bounded_logs())
@settings(PATIENT, max_examples=30)
def test_few_cameras_that_are_forgotten_soon_are_the_oracles(log_and_limits: tuple[list[Entry], Limits]) -> None:
    assert_is_the_oracles(*log_and_limits)


@given(logs(), logs(max_size=8))
@settings(PATIENT, max_examples=80)
def test_cameras_are_missed_and_seen_again_when_the_oracle_says_so(log: list[Entry], more: list[Entry]) -> None:
    everything = [*log, *silence(last_ms(log)), *more]
    assert_alerts_are_the_oracles(one_by_one(everything).alerts, Oracle.of(everything))


@given(logs())
@settings(PATIENT, max_examples=80)
def test_counters_in_the_state_are_those_of_the_oracle(log: list[Entry]) -> None:
    windows, oracle = fresh(), Oracle.of(log)
    windows.apply(records(log))
    cameras = windows.cameras.states.values()
    assert sum(camera.counted for camera in cameras) == oracle.counted
    assert sum(camera.repeated for camera in cameras) == oracle.repeated
    assert sum(camera.late for camera in cameras) == oracle.rejected["late"]
    assert windows.state.rejected == {reason: n for reason, n in oracle.rejected.items() if reason != "late"}


@given(logs(), logs())
@settings(PATIENT, max_examples=80)
def test_nothing_that_comes_later_changes_a_final_row(log: list[Entry], more: list[Entry]) -> None:
    windows = fresh()
    everything = records([*log, *silence(last_ms(log)), *more])
    final: dict[tuple[str, str, int | None], bytes] = {}
    for record in everything:
        for row in windows.apply([record]).rows:
            key = (row.camera_id, row.window_start, row.lane_id)
            assert key not in final, f"{key} was final"
            final[key] = encode_window_row(row)


def test_ticks_alone_close_nothing_that_is_not_there() -> None:
    assert fresh().apply(records([Tick(1000 * second) for second in range(1, 100)])).rows == []
