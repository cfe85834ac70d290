"""Everything that came out under fire, held against what the oracles make of the log that was read back."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.cameras.quiet_cameras import AFTER_QUIET_HEADER
from tests.verification.alerts_oracle import LEVELS, Rules, Step, right_steps
from tests.verification.alerts_topic import Found, as_right
from tests.verification.compare import Comparison, FoundRow, found_row
from tests.verification.log import LogRecord
from tests.verification.truth import Place, RowKey, Truth
from trafficapp.engine.state_rows import PARTITION_KEY_PREFIX, offset_of
from trafficapp.windows.cameras import decode_camera_row
from trafficapp.windows.partition import decode_partition_row

#: From which share and number of standing vehicles traffic stands, and below which share it flows.
_STANDS_RATIO, _STANDS_QUEUE, _FLOWS_RATIO = 0.8, 5, 0.5


@dataclass
class States:
    """What is kept of each partition: how far it is applied, which cameras are known, which have open windows."""

    applied: dict[int, int]
    cameras: dict[int, set[str]]
    is_open: bool

    @classmethod
    def of(cls, changelog: Iterable[LogRecord]) -> States:
        """Merge rows by what they cover, as workers do."""
        rows: dict[tuple[int, bytes], bytes] = {}
        for record in changelog:
            if record.key is None:
                continue
            place = (record.partition, record.key)
            if record.value is None:
                rows.pop(place, None)
            elif place not in rows or offset_of(record.value) >= offset_of(rows[place]):
                rows[place] = record.value
        states = cls({}, defaultdict(set), is_open=False)
        for (partition, key), row in rows.items():
            if key.startswith(PARTITION_KEY_PREFIX):
                states.applied[partition] = decode_partition_row(row).applied
            else:
                states.cameras[partition].add(key.decode())
                states.is_open = states.is_open or bool(decode_camera_row(row).windows)
        return states


def compare_cameras(truth: Truth, states: States) -> Comparison:
    """Compare which cameras are known in the end; others were refused, or forgotten."""
    right = {(number, name) for number, oracle in truth.oracles.items() for name in oracle.cameras}
    found = {(number, name) for number, names in states.cameras.items() for name in names}
    return compare_sets("cameras that are known", Counter(right), Counter(found))


def compare_sets(name: str, right: Counter[Any], found: Counter[Any]) -> Comparison:
    """Compare things that are either there or not."""
    result = Comparison(name, (right & found).total(), 0, (right - found).total(), (found - right).total())
    for one in right - found:
        result.example(f"missing {one}")
    for one in found - right:
        result.example(f"extra {one}")
    return result


def compare_unreadable(log: Iterable[LogRecord], sent: Iterable[Sequence[int]]) -> Comparison:
    """Compare where a client cannot read the log with where such records were sent."""
    found = Counter((record.partition, record.offset) for record in log if record.is_unreadable)
    return compare_sets("records that no client can read, where they were sent", Counter(map(tuple, sent)), found)


def headers_of_rows(metrics: Iterable[LogRecord], result: Comparison) -> dict[RowKey, int]:
    """What rows say of a quiet time before them; a row that was sent again must say the same."""
    told: dict[RowKey, dict[str, bytes | None]] = {}
    for record in metrics:
        key, _ = found_row(json.loads(record.value or b""))
        result.compared += 1
        if told.setdefault(key, dict(record.headers)) != dict(record.headers):
            result.different += 1
            result.example(f"{key} was sent with {told[key]} and with {record.headers}")
    return {key: int(one[AFTER_QUIET_HEADER] or b"") for key, one in told.items() if AFTER_QUIET_HEADER in one}


def compare_quiet(truth: Truth, metrics: Iterable[LogRecord], quiet: Iterable[LogRecord]) -> list[Comparison]:
    """Compare what is said of cameras that finish no more windows: at once, and in the log of windows."""
    repeats = Comparison("records on traffic.metrics, headers of repeats")
    right_told = {(name, end_us) for oracle in truth.oracles.values() for _, name, end_us in oracle.quiet}
    told = [json.loads(record.value or b"") for record in quiet]
    found_told = {(one["camera_id"], one["newest_window_end_us"]) for one in told}
    right = {(key, end_us) for oracle in truth.oracles.values() for _, key, end_us in oracle.after_quiet}
    return [
        compare_sets("cameras that were told to be quiet", Counter(right_told), Counter(found_told)),
        compare_sets("windows after a quiet time", Counter(right), Counter(headers_of_rows(metrics, repeats).items())),
        repeats,
    ]


# ---------------------------------------------------------------------- alerts


@dataclass(frozen=True)
class CountedWindow:
    """A finished window of a whole camera as the alerts' oracle asks for it."""

    start_us: int
    row: FoundRow
    after_quiet_us: int | None
    record_us: int
    silences: int = 0

    @property
    def end_us(self) -> int:
        """Its end."""
        return self.row.end_us

    @property
    def is_known(self) -> bool:
        """Whether there was a speed."""
        return self.row.congestion_score is not None

    @property
    def stands(self) -> bool:
        """Whether traffic stands."""
        return (self.row.stopped_ratio or 0.0) >= _STANDS_RATIO and self.row.queue_length >= _STANDS_QUEUE

    @property
    def flows(self) -> bool:
        """Whether most of it moves."""
        return self.row.stopped_ratio is not None and self.row.stopped_ratio < _FLOWS_RATIO

    @property
    def score(self) -> float:
        """The row's."""
        assert self.row.congestion_score is not None
        return self.row.congestion_score

    @property
    def level(self) -> int:
        """The row's."""
        return LEVELS.index(self.row.congestion_level)

    @property
    def vehicle_count(self) -> int:
        """The row's."""
        return self.row.vehicle_count

    @property
    def avg_speed_kmh(self) -> float:
        """The row's."""
        assert self.row.avg_speed_kmh is not None
        return self.row.avg_speed_kmh

    @property
    def queue_length(self) -> int:
        """The row's."""
        return self.row.queue_length


def expected_steps(truth: Truth, metrics: Iterable[LogRecord], rules: Rules) -> list[Step]:
    """All steps that must come of the rows on ``traffic.metrics``, which are right.

    What is open of a camera that was told to be quiet behind its last window is over.
    """
    after_quiet = {key: end_us for oracle in truth.oracles.values() for _, key, end_us in oracle.after_quiet}
    told = {(name, end_us) for oracle in truth.oracles.values() for _, name, end_us in oracle.quiet}
    windows: dict[str, dict[int, CountedWindow]] = defaultdict(dict)
    for record in metrics:
        key, row = found_row(json.loads(record.value or b""))
        if key.lane_id is None and key.start_us not in windows[key.camera_id]:
            window = CountedWindow(key.start_us, row, after_quiet.get(key), record.timestamp_ms * 1000)
            windows[key.camera_id][key.start_us] = window
    steps = []
    for camera_id, by_start in windows.items():
        of_camera = list(by_start.values())
        steps += right_steps(camera_id, of_camera, rules, int((camera_id, of_camera[-1].end_us) in told))
    return steps


def compare_alerts(truth: Truth, metrics: Iterable[LogRecord], found: Found, rules: Rules) -> list[Comparison]:
    """Compare the steps on ``traffic.alerts``: of congestion, and of cameras that say nothing."""
    right = Counter(expected_steps(truth, metrics, rules))
    steps = Counter(map(as_right, found.of("congestion", "stopped_traffic")))
    right_silences = Counter((name, what) for oracle in truth.oracles.values() for _, what, name in oracle.silences)
    silences = Counter((one["camera_id"], one["action"]) for one in found.of("camera_silent"))
    repeats = Comparison("records on traffic.alerts, repeats identical", len(found.steps) + found.repeats)
    repeats.different = len(found.differing)
    repeats.examples = found.differing[:5]
    return [
        compare_sets("steps of alerts", right, steps),
        compare_sets("steps of silent cameras", right_silences, silences),
        repeats,
    ]


def compare_alerts_table(found: Found, rows: Mapping[str, Mapping[str, Any]]) -> Comparison:
    """Compare the table of alerts with the newest steps on the topic."""
    result = Comparison("table alerts")
    newest = found.newest()
    for alert_id in rows.keys() | newest.keys():
        row, step = rows.get(alert_id), newest.get(alert_id)
        if row is None or step is None:
            result.missing += row is None
            result.extra += step is None
            result.example(f"in the table: {row}; on the topic: {step}")
            continue
        result.compared += 1
        if row != {name: step[name] for name in row}:
            result.different += 1
            result.example(f"in the table: {row}; on the topic: {step}")
    return result


def cut_at(log: Iterable[LogRecord], applied: Mapping[int, int]) -> tuple[list[LogRecord], list[Place]]:
    """The log as far as it is applied, and what stands behind that is no tick."""
    kept: list[LogRecord] = []
    behind: list[Place] = []
    for record in log:
        if record.offset <= applied.get(record.partition, -1):
            kept.append(record)
        elif not record.is_tick:
            behind.append((record.partition, record.offset))
    return kept, behind
