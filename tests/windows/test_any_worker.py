"""Who applies the log, in which runs, and which state rows reached the changelog does not matter.

`Worker` does what a worker does with its partition; `Partition` is the log and the changelog they share.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from models.alerts import encode_alert_event
from models.cameras.quiet_cameras import encode_quiet_camera
from models.cameras.window_rows import encode_window_row
from models.dead_letters import encode_dead_letter
from tests.windows.entries import T0_US, Entry, Picture, PlainRecord, Seen, Tick, fresh, records
from tests.windows.logs import later, logs, silence
from tests.windows.test_against_oracle import PATIENT
from tests.windows.whole import WholeWindows
from trafficapp.engine.state_rows import is_forgotten, offset_of
from trafficapp.windows.camera_state import CameraState
from trafficapp.windows.outcome import Outcome
from trafficapp.windows.partition import PartitionState

Rows = dict[bytes, bytes]
State = tuple[PartitionState, dict[bytes, CameraState]]


@dataclass
class Partition:
    """A log, its changelog, and what was sent to the topics out before each changelog row."""

    log: list[PlainRecord]
    changelog: list[tuple[bytes, bytes]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    sent_before: list[int] = field(default_factory=list)

    def send(self, outcome: Outcome) -> None:
        for position, row in enumerate(outcome.rows):
            told_us = outcome.after_quiet.get(position)
            self.sent.append(encode_window_row(row) + (b"" if told_us is None else b" after quiet at %d" % told_us))
        self.sent += [encode_dead_letter(letter) for letter in outcome.dead_letters]
        self.sent += [encode_alert_event(alert) for alert in outcome.alerts]
        self.sent += [encode_quiet_camera(camera) for camera in outcome.quiet]

    def append(self, key: bytes, row: bytes) -> None:
        self.changelog.append((key, row))
        self.sent_before.append(len(self.sent))


def merged(rows: Rows, changelog: list[tuple[bytes, bytes]]) -> Rows:
    """The rule of the changelog: the largest source offset wins, whoever wrote last."""
    rows = dict(rows)
    for key, row in changelog:
        if is_forgotten(row):
            if key in rows and offset_of(row) >= offset_of(rows[key]):
                del rows[key]
        elif key not in rows or offset_of(row) > offset_of(rows[key]):
            rows[key] = row
    return rows


class Worker:
    """Applies runs and writes state rows, which may be under way for long."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.crash()

    def crash(self) -> None:
        self.rows: Rows = {}
        self.under_way: list[tuple[bytes, bytes]] = []
        self.take_over()

    def take_over(self) -> None:
        self.rows = merged(self.rows, self.partition.changelog)
        self.windows = fresh(self.rows)
        self.next_offset = self.windows.state.applied + 1

    def apply(self, count: int) -> None:
        run = self.partition.log[self.next_offset : self.next_offset + count]
        if run:
            self.partition.send(self.windows.apply(run))
            self.next_offset = run[-1].offset + 1

    def write(self, *, all_rows: bool) -> None:
        rows = list(self.windows.all_rows() if all_rows else self.windows.changed_rows())
        self.rows = merged(self.rows, rows)
        self.under_way += rows

    def arrive(self, count: int) -> None:
        for key, row in self.under_way[:count]:
            self.partition.append(key, row)
        del self.under_way[:count]


def latest_ms(log: list[Entry]) -> int:
    return max(entry.record_ms for entry in log)


def state_of(windows: WholeWindows) -> State:
    """The state; a camera that nothing was applied to is none."""
    return windows.state, {key: camera for key, camera in windows.cameras.states.items() if camera.offset >= 0}


def straight(log: list[PlainRecord]) -> tuple[list[bytes], State]:
    """Everything in one run by one worker that nothing happens to."""
    partition = Partition(log)
    worker = Worker(partition)
    worker.apply(len(log))
    return partition.sent, state_of(worker.windows)


def reloaded(windows: WholeWindows) -> WholeWindows:
    return fresh(dict(windows.all_rows()))


#: Cameras that fall silent, are closed, and go on where they were.
with_silences = st.builds(
    lambda log, more: [*log, *silence(latest_ms(log)), *(later(entry, latest_ms(log)) for entry in more)],
    logs(),
    logs(max_size=8),
)

steps = st.tuples(
    st.integers(0, 1),  # which worker
    st.sampled_from(
        ["apply", "apply", "apply", "write", "write", "write_all", "arrive", "arrive", "take_over", "crash"]
    ),
    st.integers(1, 12),
)


def run(partition: Partition, plan: list[tuple[int, str, int]]) -> list[Worker]:
    workers = [Worker(partition), Worker(partition)]
    for who, what, count in plan:
        worker = workers[who]
        if what == "apply":
            worker.apply(count)
        elif what == "arrive":
            worker.arrive(count)
        elif what.startswith("write"):
            worker.write(all_rows=what == "write_all")
        elif what == "take_over":
            worker.take_over()
        else:
            worker.crash()
    return workers


@given(logs(), st.lists(st.integers(1, 9), max_size=40))
@settings(PATIENT, max_examples=80)
def test_runs_of_any_length_give_the_same_rows_and_the_same_state(log: list[Entry], lengths: list[int]) -> None:
    everything = records(log)
    sent, state = straight(everything)
    partition = Partition(everything)
    worker = Worker(partition)
    for length in [*lengths, len(everything)]:
        worker.apply(length)
    assert sorted(partition.sent) == sorted(sent)
    assert state_of(worker.windows) == state


@given(logs(), st.lists(st.integers(1, 9), max_size=40))
@settings(PATIENT, max_examples=80)
def test_state_survives_being_written_and_read_between_any_runs(log: list[Entry], lengths: list[int]) -> None:
    everything = records(log)
    sent, state = straight(everything)
    partition = Partition(everything)
    worker = Worker(partition)
    for length in [*lengths, len(everything)]:
        worker.apply(length)
        worker.windows = reloaded(worker.windows)
    assert sorted(partition.sent) == sorted(sent)
    assert state_of(worker.windows) == state


@given(with_silences, st.lists(steps, max_size=40), st.data())
@settings(PATIENT, max_examples=120)
def test_any_prefix_of_a_changelog_that_two_workers_wrote_leads_to_the_same_end(
    log: list[Entry], plan: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    everything = records(log)
    sent, state = straight(everything)
    partition = Partition(everything)
    run(partition, plan)
    assert set(partition.sent) <= set(sent)
    length = data.draw(st.integers(0, len(partition.changelog)), label="changelog rows that survive")
    before = partition.sent[: partition.sent_before[length - 1]] if length else []
    successor = Worker(Partition(everything, partition.changelog[:length]))
    successor.apply(len(everything))
    assert set(before) | set(successor.partition.sent) == set(sent)
    assert state_of(successor.windows) == state


@given(with_silences, st.lists(steps, max_size=40), st.integers(0, 1))
@settings(PATIENT, max_examples=80)
def test_a_worker_that_lost_a_partition_and_gets_it_back_goes_on_rightly(
    log: list[Entry], plan: list[tuple[int, str, int]], who: int
) -> None:
    everything = records(log)
    sent, state = straight(everything)
    partition = Partition(everything)
    worker = run(partition, plan)[who]
    worker.take_over()
    worker.apply(len(everything))
    assert state_of(worker.windows) == state
    assert set(partition.sent) == set(sent)


def test_a_camera_closed_by_silence_stays_closed_for_the_next_owner() -> None:
    """Closing is a step of its own in the state, or a row from before it could survive the merge."""
    begin_ms = T0_US // 1000
    car = Picture("a", T0_US, 1, (Seen("v1", speed_kmh=50.0),), "nested", b"a", begin_ms)
    log = records([Tick(begin_ms), car, *silence(begin_ms), replace(car, frame_id=2)])
    _, state = straight(log)
    partition = Partition(log)
    first = Worker(partition)
    for count in (2, len(log) - 3):
        first.apply(count)
        first.write(all_rows=False)
        first.arrive(99)
    successor = Worker(partition)
    successor.apply(len(log))
    assert state_of(successor.windows) == state
    assert successor.windows.cameras.states[b"a"].late == 1


def test_last_write_wins_would_lose_detections() -> None:
    """The test of the rule: with the other rule the same steps end in another state."""
    log = records([*silence(1_700_000_000_000, 3), *silence(1_700_000_100_000, 3)])
    partition = Partition(log)
    zombie, owner = Worker(partition), Worker(partition)
    zombie.apply(2)
    zombie.write(all_rows=False)
    owner.apply(6)
    owner.write(all_rows=False)
    owner.arrive(9)
    zombie.arrive(9)
    last_wins = dict(partition.changelog)
    assert fresh(last_wins).state.applied == 1
    assert fresh(merged({}, partition.changelog)).state.applied == 5
