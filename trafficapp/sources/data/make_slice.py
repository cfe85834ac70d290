"""Cut the shipped slice from the Bologna recording: ``python make_slice.py detections.parquet``.

Takes the busiest ten minutes, all columns, all cameras, sorted by time, and writes
``bologna-10min.parquet`` beside this file. The same recording gives the same slice.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

_MINUTE_MS = 60_000
_MINUTES = 10


def busiest_start_ms(times_ms: list[int]) -> int:
    """Return the start of the ten whole minutes with the most detections."""
    first = min(times_ms) // _MINUTE_MS
    counts = [0] * (max(times_ms) // _MINUTE_MS - first + 1)
    for time_ms in times_ms:
        counts[time_ms // _MINUTE_MS - first] += 1
    last_start = max(len(counts) - _MINUTES, 0)
    busiest = max(range(last_start + 1), key=lambda start: sum(counts[start : start + _MINUTES]))
    return (first + busiest) * _MINUTE_MS


def main(source: Path, target: Path) -> None:
    """Write the slice of one recording to another file."""
    table = pq.read_table(source).replace_schema_metadata(None)
    start_ms = busiest_start_ms(table["ts"].to_pylist())
    inside = pc.and_(pc.greater_equal(table["ts"], start_ms), pc.less(table["ts"], start_ms + _MINUTES * _MINUTE_MS))
    ordered = table.filter(inside).sort_by(
        [("ts", "ascending"), ("camera_id", "ascending"), ("vehicle_id", "ascending")]
    )
    pq.write_table(ordered, target, compression="zstd", compression_level=19)
    print(f"{target.name}: {ordered.num_rows:,} detections from {start_ms} ms, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("bologna-10min.parquet"))
