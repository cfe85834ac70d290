"""Compare what the pipeline made with what is right: table ``traffic_metrics``, topic ``traffic.metrics``.

``python -m tests.verification.compare`` computes the truth from ``traffic.events.raw`` of the broker that the
environment names and compares it with the database and the topic. Exit code 1 when anything differs.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from tests.verification.log import LogRecord, read_log
from tests.verification.truth import OracleRow, RowKey, Rules, truth_of
from tests.windows.oracle import level_of
from trafficapp.settings import load_settings
from trafficapp.topics import EVENTS_RAW, METRICS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXAMPLES = 5

#: Half a unit of the last decimal that the product keeps, and a little for floating point.
_SPEED_TOLERANCE_KMH = 0.0005 + 1e-9
_RATIO_TOLERANCE = 0.00005 + 1e-9
#: The score is made of the exact mean, here and there, so it may differ by rounding only.
_SCORE_TOLERANCE = 0.0001 + 1e-9
#: What the recorded truth has been rounded by, and what the product may differ from it.
_RECORDED_TOLERANCE_KMH = 0.01

_COLUMNS = (
    "camera_id, window_start, window_end, lane_id, vehicle_count, counts_by_class, avg_speed_kmh, stopped_ratio, "
    "queue_length, congestion_level, congestion_score, detections"
)


class FoundRow(NamedTuple):
    """A row as the pipeline made it."""

    end_us: int
    vehicle_count: int
    counts_by_class: dict[str, int]
    avg_speed_kmh: float | None
    stopped_ratio: float | None
    queue_length: int
    congestion_level: str
    congestion_score: float | None
    detections: int


@dataclass
class Comparison:
    """How found rows differ from the right ones; ``examples`` are lines for a person."""

    name: str
    compared: int = 0
    different: int = 0
    missing: int = 0
    extra: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether rows were compared and nothing differs."""
        return self.compared > 0 and not (self.different or self.missing or self.extra)

    def __str__(self) -> str:
        line = (
            f"{self.name}: {self.compared:,} rows compared, {self.different:,} different, "
            f"{self.missing:,} missing, {self.extra:,} extra"
        )
        return "\n".join([line, *(f"  {example}" for example in self.examples)])

    def example(self, text: str) -> None:
        """Keep the first few."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(text)


def compare_rows(
    name: str, truth: Mapping[RowKey, OracleRow], found: Mapping[RowKey, FoundRow], rules: Rules
) -> Comparison:
    """Compare all rows, every field."""
    result = Comparison(name)
    for key, right in truth.items():
        row = found.get(key)
        if row is None:
            result.missing += 1
            result.example(f"missing {_named(key)}: {right}")
            continue
        result.compared += 1
        if faults := differences(key, right, row, rules):
            result.different += 1
            result.example(f"different {_named(key)}: {', '.join(faults)}")
    for key in found.keys() - truth.keys():
        result.extra += 1
        result.example(f"extra {_named(key)}: {found[key]}")
    return result


def differences(key: RowKey, right: OracleRow, row: FoundRow, rules: Rules) -> list[str]:
    """Name the fields that differ, with both values."""
    faults = []
    for name in ("vehicle_count", "counts_by_class", "queue_length", "detections"):
        if getattr(right, name) != getattr(row, name):
            faults.append(f"{name} {getattr(row, name)} instead of {getattr(right, name)}")
    for name, expected, tolerance in (
        ("avg_speed_kmh", right.avg_speed_kmh, _SPEED_TOLERANCE_KMH),
        ("stopped_ratio", right.stopped_ratio, _RATIO_TOLERANCE),
        ("congestion_score", right.score, _SCORE_TOLERANCE),
    ):
        if not _near(expected, getattr(row, name), tolerance):
            faults.append(f"{name} {getattr(row, name)} instead of {expected}")
    # where rounding moves the score across a threshold, the level must follow the row's own score
    if row.congestion_level != level_of(row.congestion_score, right.boundaries):
        faults.append(f"congestion_level {row.congestion_level} with score {row.congestion_score}")
    if row.end_us != key.start_us + rules.limits.size_us:
        faults.append("window_end does not fit window_start")
    return faults


def read_table(database_url: str) -> dict[RowKey, FoundRow]:
    """Read the whole of ``traffic_metrics``."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM traffic_metrics")  # noqa: S608 - our own columns
        return dict(_table_row(row) for row in rows)


def read_topic(log: Iterable[LogRecord], result: Comparison) -> dict[RowKey, FoundRow]:
    """Read rows from ``traffic.metrics``; a row that was sent again must be the same, byte for byte."""
    values: dict[RowKey, bytes] = {}
    rows: dict[RowKey, FoundRow] = {}
    for record in log:
        value = record.value or b""
        key, row = found_row(json.loads(value))
        result.compared += 1
        if record.key != key.camera_id.encode():
            result.different += 1
            result.example(f"{_named(key)} has key {record.key!r}")
        if values.setdefault(key, value) != value:
            result.different += 1
            result.example(f"{_named(key)} was sent as {values[key]!r} and as {value!r}")
        rows[key] = row
    return rows


def compare_recorded(path: Path, found: Mapping[RowKey, FoundRow], vehicle_classes: Iterable[str]) -> Comparison:
    """Compare per-lane rows with the truth that came with the Bologna recording."""
    result = Comparison(path.name)
    recorded: set[RowKey] = set()
    with gzip.open(path, "rt", encoding="ascii") as file:
        for line in csv.DictReader(file):
            key = RowKey(line["camera_id"], int(line["window_start_ts"]) * 1000, int(line["lane_id"]))
            recorded.add(key)
            row = found.get(key)
            if row is None:
                result.missing += 1
                result.example(f"missing {_named(key)}")
                continue
            result.compared += 1
            classes = {name: int(line.get(f"distinct_{name}") or 0) for name in vehicle_classes}
            right = (int(line["n_detections"]), int(line["distinct_vehicles"]), _positive(classes))
            if right != (row.detections, row.vehicle_count, row.counts_by_class) or not _near(
                float(line["mean_speed_kmh"]), row.avg_speed_kmh, _RECORDED_TOLERANCE_KMH
            ):
                result.different += 1
                result.example(f"different {_named(key)}: {row} instead of {line}")
    for key in found.keys() - recorded:
        if key.lane_id is not None:
            result.extra += 1
            result.example(f"extra {_named(key)}")
    return result


def compare_all(
    truth: Mapping[RowKey, OracleRow], bootstrap_servers: str, database_url: str, rules: Rules
) -> list[Comparison]:
    """Compare the table and the topic with the truth, and repeats within the topic with each other."""
    repeats = Comparison("records on traffic.metrics, repeats identical")
    sent = read_topic(read_log(bootstrap_servers, METRICS), repeats)
    return [
        compare_rows("table traffic_metrics", truth, read_table(database_url), rules),
        compare_rows("topic traffic.metrics", truth, sent, rules),
        repeats,
    ]


def report(comparisons: Iterable[Comparison]) -> bool:
    """Print every comparison; True when all are equal."""
    comparisons = list(comparisons)
    print("\n".join(map(str, comparisons)), flush=True)
    return all(comparison.equal for comparison in comparisons)


def _table_row(row: tuple[Any, ...]) -> tuple[RowKey, FoundRow]:
    camera_id, start, end, lane_id, count, classes, mean, ratio, queue, level, score, detections = row
    found = FoundRow(_us(end), count, classes, mean, ratio, queue, level, score, detections)
    return RowKey(camera_id, _us(start), lane_id), found


def found_row(row: dict[str, Any]) -> tuple[RowKey, FoundRow]:
    """Read a row from its JSON form."""
    for name in ("window_start", "window_end"):
        if not row[name].endswith("Z"):
            raise ValueError(f"{name} {row[name]} is not RFC 3339 in UTC")
        row[name] = datetime.fromisoformat(row[name])
    return _table_row(tuple(row[name] for name in _COLUMNS.split(", ")))


def _us(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _near(right: float | None, found: float | None, tolerance: float) -> bool:
    if right is None or found is None:
        return right is found
    return abs(right - found) <= tolerance


def _positive(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if number}


def _named(key: RowKey) -> str:
    start = (_EPOCH + timedelta(microseconds=key.start_us)).isoformat()
    return f"{key.camera_id} {start} " + ("camera-wide" if key.lane_id is None else f"lane {key.lane_id}")


def main() -> int:
    """Compare the servers that the environment names."""
    settings = load_settings()
    rules = Rules.from_settings(settings)
    truth = truth_of(read_log(settings.kafka.bootstrap_servers, EVENTS_RAW, with_ticks=True), rules)
    print(f"{truth.total:,} detections: {truth.counted:,} counted, {truth.repeated:,} repeated, {dict(truth.rejected)}")
    comparisons = compare_all(
        truth.rows, settings.kafka.bootstrap_servers, settings.postgres.url.get_secret_value(), rules
    )
    return 0 if report(comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())
