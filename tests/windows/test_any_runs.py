"""A run that is applied in steps, in whatever runs: joined, the steps are what is applied record by record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from models.alerts import AlertEvent
from models.cameras.quiet_cameras import QuietCamera
from models.cameras.window_rows import WindowRow
from models.dead_letters import DeadLetter
from tests.windows.entries import SECOND_US, T0_US, Entry, Limits, PlainRecord, Tick, fresh, records, rules_of
from tests.windows.logs import bounded_logs, logs, silence
from tests.windows.oracle import RowKey, key_of
from tests.windows.streams import shot
from tests.windows.test_against_oracle import PATIENT, last_ms
from tests.windows.whole import WholeWindows
from trafficapp.windows.outcome import Outcome


@dataclass
class Joined:
    """Everything that outcomes hold, one after the other; rows by camera, whose order alone is the same in any run."""

    rows: dict[str, list[WindowRow]] = field(default_factory=dict)
    after_quiet: dict[RowKey, int] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)
    alerts: list[AlertEvent] = field(default_factory=list)
    quiet: list[QuietCamera] = field(default_factory=list)
    counted: int = 0
    repeated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Joined:
        """Join outcomes."""
        joined = cls()
        for outcome in outcomes:
            for row in outcome.rows:
                joined.rows.setdefault(row.camera_id, []).append(row)
            for place, end_us in outcome.after_quiet.items():
                joined.after_quiet[key_of(outcome.rows[place])] = end_us
            joined.letters += outcome.dead_letters
            joined.alerts += outcome.alerts
            joined.quiet += outcome.quiet
            joined.counted += outcome.counted
            joined.repeated += outcome.repeated
            joined.rejected.update(outcome.rejected)
        return joined


def runs_of(log: list[PlainRecord], lengths: Iterable[int]) -> Iterable[list[PlainRecord]]:
    """The log cut into runs of the given lengths, and one of the rest."""
    rest = list(log)
    for length in lengths:
        if rest:
            yield rest[:length]
            rest = rest[length:]
    if rest:
        yield rest


def assert_the_same(log: list[Entry], lengths: Iterable[int], limits: Limits) -> None:
    """Apply a log in steps of runs, in runs, and record by record."""
    rules, everything = rules_of(limits), records(log)
    in_steps, in_runs, one_by_one = (fresh(rules=rules) for _ in range(3))
    lengths = list(lengths)
    of_steps = Joined.of(step for run in runs_of(everything, lengths) for step in in_steps.steps(run))
    of_runs = Joined.of(in_runs.apply(run) for run in runs_of(everything, lengths))
    of_records = Joined.of(one_by_one.apply([record]) for record in everything)
    assert of_steps == of_runs == of_records
    assert state_rows(in_steps) == state_rows(in_runs) == state_rows(one_by_one)


def state_rows(windows: WholeWindows) -> dict[bytes, bytes]:
    return dict(windows.all_rows())


@given(logs(), st.lists(st.integers(1, 12), max_size=30))
@settings(PATIENT, max_examples=60)
def test_any_log_in_any_runs(log: list[Entry], lengths: list[int]) -> None:
    assert_the_same([*log, *silence(last_ms(log), 30)], lengths, Limits())


@given(bounded_logs(), st.lists(st.integers(1, 30), max_size=30))
@settings(PATIENT, max_examples=40)
def test_cameras_that_are_refused_and_forgotten_in_any_runs(
    log_and_limits: tuple[list[Entry], Limits], lengths: list[int]
) -> None:
    log, limits = log_and_limits
    assert_the_same(log, lengths, limits)


def test_runs_that_need_several_steps() -> None:
    begin_ms = T0_US // 1000
    large = [shot(second, cars=5000) for second in range(6)]
    faulty = [replace(shot(second, cars=1), form="frame", faulty=("unknown_class",) * 4000) for second in range(6, 9)]
    late = [replace(shot(0, 9 + second, cars=5000), frame_id=77 + second) for second in range(4)]
    many = [shot(0, camera_id=f"camera-{number}", cars=300) for number in range(100)]
    log: list[Entry] = [Tick(begin_ms), *large, *faulty, *late, *many, *silence(begin_ms + 13_000, 80)]
    steps = list(fresh().steps(records(log)))
    assert len(steps) > 3
    assert max(len(step.rows) for step in steps) < 200
    assert_the_same(log, [3, 10], Limits(silent_us=15 * SECOND_US))
