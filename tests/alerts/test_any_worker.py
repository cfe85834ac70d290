"""Who applies the log, in which runs, which state rows reached the changelog and when it was heard of quiet cameras
does not matter.

`Worker` does what a worker does with its partition; `Partition` is the log and the changelog they share.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from models.alerts import AlertEvent, encode_alert_event
from models.cameras.quiet_cameras import QuietCamera
from tests.alerts.logs import SHORT, Writer, writers
from tests.alerts.test_any_order_of_runs import PATIENT
from tests.alerts.windows import PlainRecord, fresh
from trafficapp.alerts.partition import PartitionAlerts
from trafficapp.engine.state_rows import is_forgotten, offset_of

Rows = dict[bytes, bytes]
Told = dict[tuple[str, int], bytes]


@dataclass
class Partition:
    """A log, its changelog, and how many steps were sent before each changelog row.

    Attributes:
        told: the bytes of each step; what is sent again must be the same.
    """

    log: list[PlainRecord]
    notices: list[QuietCamera]
    changelog: list[tuple[bytes, bytes]] = field(default_factory=list)
    told: Told = field(default_factory=dict)
    sent_before: list[int] = field(default_factory=list)

    def send(self, steps: list[AlertEvent]) -> None:
        for step in steps:
            value = encode_alert_event(step)
            assert self.told.setdefault((step.id, step.revision), value) == value

    def append(self, key: bytes, row: bytes) -> None:
        self.changelog.append((key, row))
        self.sent_before.append(len(self.told))


def merged(rows: Rows, changelog: list[tuple[bytes, bytes]]) -> Rows:
    """The rule of the changelog: the largest source offset wins; a tombstone removes what it covers."""
    rows = dict(rows)
    for key, row in changelog:
        known = rows.get(key)
        if is_forgotten(row):
            if known is not None and offset_of(row) >= offset_of(known):
                del rows[key]
        elif known is None or offset_of(row) > offset_of(known):
            rows[key] = row
    return rows


class Worker:
    """Applies runs, hears notices and writes state rows, which may be under way for long."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.crash()

    def crash(self) -> None:
        self.rows: Rows = {}
        self.under_way: list[tuple[bytes, bytes]] = []
        self.take_over()

    def take_over(self) -> None:
        self.rows = merged(self.rows, self.partition.changelog)
        self.alerts = fresh(self.rows, **SHORT)

    def apply(self, count: int) -> None:
        first = self.alerts.applied + 1
        # a run may begin with what was applied already
        self.partition.send(self.alerts.apply(self.partition.log[max(first - 1, 0) : first + count]))
        self.partition.send(self.alerts.early_ends())

    def hear(self, count: int) -> None:
        """Hear the first notices, again or for the first time, however many of their windows were applied."""
        self.alerts.hear(self.partition.notices[:count])
        self.partition.send(self.alerts.early_ends())

    def write(self, *, all_rows: bool) -> None:
        rows = self.alerts.all_rows() if all_rows else self.alerts.changed_rows()
        self.rows = merged(self.rows, rows)
        self.under_way += rows

    def arrive(self, count: int) -> None:
        for key, row in self.under_way[:count]:
            self.partition.append(key, row)
        del self.under_way[:count]


def told_by(steps: list[AlertEvent]) -> Told:
    return {(step.id, step.revision): encode_alert_event(step) for step in steps}


def straight(writer: Writer) -> tuple[Told, Told, PartitionAlerts]:
    """Everything in one run by one worker that nothing happens to; and what it may tell early of its last windows."""
    alerts = fresh(**SHORT)
    steps = alerts.apply(writer.log)
    alerts.hear(writer.notices)
    return told_by(steps), told_by(alerts.early_ends()), alerts


plans = st.lists(
    st.tuples(
        st.integers(0, 1),  # which worker
        st.sampled_from(
            [*["apply"] * 3, *["write"] * 3, "write_all", "arrive", "arrive", "take_over", "crash", "hear", "hear"]
        ),
        st.integers(1, 12),
    ),
    max_size=40,
)


def run(partition: Partition, plan: list[tuple[int, str, int]]) -> list[Worker]:
    workers = [Worker(partition), Worker(partition)]
    for who, what, count in plan:
        worker = workers[who]
        if what == "apply":
            worker.apply(count)
        elif what == "hear":
            worker.hear(count)
        elif what == "arrive":
            worker.arrive(count)
        elif what.startswith("write"):
            worker.write(all_rows=what == "write_all")
        elif what == "take_over":
            worker.take_over()
        else:
            worker.crash()
    return workers


@given(writers(60), plans, st.data())
@settings(PATIENT, max_examples=200)
def test_any_prefix_of_a_changelog_that_two_workers_wrote_leads_to_the_same_end(
    writer: Writer, plan: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    right, early, last = straight(writer)
    partition = Partition(writer.log, writer.notices)
    run(partition, plan)
    assert partition.told.items() <= (right | early).items()
    length = data.draw(st.integers(0, len(partition.changelog)), label="changelog rows that survive")
    before = dict(list(partition.told.items())[: partition.sent_before[length - 1]]) if length else {}
    successor = Worker(Partition(writer.log, writer.notices, partition.changelog[:length]))
    if data.draw(st.booleans(), label="hears at once"):
        successor.hear(len(writer.notices))
    successor.apply(len(writer.log))
    found = before | successor.partition.told
    assert right.items() <= found.items() <= (right | early).items()
    assert successor.alerts.cameras == last.cameras
    # behind them is the partition's row, and tombstones that may be written already
    assert successor.alerts.all_rows()[len(last.cameras)] == last.all_rows()[len(last.cameras)]


@given(writers(60), plans, st.integers(0, 1))
@settings(PATIENT, max_examples=100)
def test_a_worker_that_lost_a_partition_and_gets_it_back_goes_on_rightly(
    writer: Writer, plan: list[tuple[int, str, int]], who: int
) -> None:
    right, early, last = straight(writer)
    partition = Partition(writer.log, writer.notices)
    worker = run(partition, plan)[who]
    worker.take_over()
    worker.apply(len(writer.log))
    assert worker.alerts.cameras == last.cameras
    assert right.items() <= partition.told.items() <= (right | early).items()


def away_for_a_day(writer: Writer) -> set[str]:
    """Cameras whose windows came a day apart by the broker's clock: they may have been forgotten in between."""
    heard_ms: dict[str, int] = {}
    away = set()
    for record in writer.log:
        for camera_id in {name for name, _ in writer.planned}:
            if f'"camera_id":"{camera_id}"'.encode() in (record.value or b""):
                if record.timestamp - heard_ms.get(camera_id, record.timestamp) > 24 * 3_600_000:
                    away.add(camera_id)
                heard_ms[camera_id] = record.timestamp
    return away


@given(writers(60))
@settings(PATIENT, max_examples=200)
def test_alerts_of_a_cause_follow_each_other_and_no_revision_is_left_out(writer: Writer) -> None:
    alerts = fresh(**SHORT)
    steps = alerts.apply(writer.log)
    alerts.hear(writer.notices)
    steps += alerts.early_ends()
    revisions: dict[str, list[int]] = {}
    over: dict[tuple[str, str | None], str] = {}
    forgotten = away_for_a_day(writer)
    for step in steps:
        revisions.setdefault(step.id, []).append(step.revision)
        # a camera that is not known any more, and of which nobody told that it was quiet, may begin before its last end
        if step.action == "opened" and step.camera_id not in forgotten:
            assert over.get((step.alert_type, step.camera_id), "") <= step.triggered_at
        if step.resolved_at is not None:
            over[step.alert_type, step.camera_id] = step.resolved_at
            assert step.triggered_at < step.resolved_at
    assert all(found == list(range(1, len(found) + 1)) for found in revisions.values())


@given(writers(60), st.data())
@settings(PATIENT, max_examples=100)
def test_what_is_heard_is_no_part_of_the_state(writer: Writer, data: st.DataObject) -> None:
    deaf, hearing, position = fresh(**SHORT), fresh(**SHORT), 0
    while position < len(writer.log):
        length = data.draw(st.integers(1, 9))
        run_ = writer.log[position : position + length]
        position += length
        steps = deaf.apply(run_)
        assert hearing.apply(run_) == steps
        hearing.hear(writer.notices[: data.draw(st.integers(0, len(writer.notices)))])
        hearing.early_ends()
        assert hearing.changed_rows() == deaf.changed_rows()
        assert hearing.all_rows() == deaf.all_rows()
