"""Cut the shipped slice from the Bologna recording: ``python make_slice.py detections.parquet``.

Takes the ten minutes at whose beginning every camera sees a vehicle soonest, so that a demo shows all of them
at once: all columns, all cameras, sorted by time. Writes ``bologna-10min.parquet`` beside this file. The same
recording gives the same slice.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

_MINUTE_MS = 60_000
_MINUTES = 10


def soonest_complete_start_ms(times_ms: list[int], camera_ids: list[str]) -> int:
    """Return the second, ten minutes before the end at the latest, after which every camera is seen soonest."""
    last_start_ms = max(times_ms) - _MINUTES * _MINUTE_MS
    pictures = sorted(zip(times_ms, camera_ids, strict=True), reverse=True)
    next_seen_ms: dict[str, int] = {}
    waits: dict[int, int] = {}
    everybody = len(set(camera_ids))
    for time_ms, camera_id in pictures:
        next_seen_ms[camera_id] = time_ms
        if time_ms <= last_start_ms and len(next_seen_ms) == everybody:
            waits[time_ms] = max(next_seen_ms.values()) - time_ms
    return min(waits, key=lambda start_ms: (waits[start_ms], start_ms))


def main(source: Path, target: Path) -> None:
    """Write the slice of one recording to another file."""
    table = pq.read_table(source).replace_schema_metadata(None)
    start_ms = soonest_complete_start_ms(table["ts"].to_pylist(), table["camera_id"].to_pylist())
    inside = pc.and_(pc.greater_equal(table["ts"], start_ms), pc.less(table["ts"], start_ms + _MINUTES * _MINUTE_MS))
    ordered = table.filter(inside).sort_by(
        [("ts", "ascending"), ("camera_id", "ascending"), ("vehicle_id", "ascending")]
    )
    pq.write_table(ordered, target, compression="zstd", compression_level=19)
    print(f"{target.name}: {ordered.num_rows:,} detections from {start_ms} ms, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("bologna-10min.parquet"))
