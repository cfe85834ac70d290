"""Percentile speeds of a recording beside exact ones: ``python -m tests.verification.speeds DETECTIONS.parquet``.

By camera and lane, of sketches of five seconds added up to minutes and to the whole; also that these sums are the
sketch of all. Exits with 1 where a percentile from 1 km/h on is more than 1 % away, or a slower one 0.01 km/h more.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from models.cameras.window_rows import SpeedCounts
from trafficapp.windows.speed_sketch import PERCENTILES, add_counts, count_speeds, percentiles


def main(path: Path) -> int:
    """Compare, and print one line."""
    table = pq.read_table(path, columns=["camera_id", "lane_id", "ts", "speed_kmh"])
    columns = (table[name].to_pylist() for name in table.column_names)
    windows: defaultdict[tuple[str, object], defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for camera_id, lane_id, time, speed_kmh in zip(*columns, strict=True):
        if speed_kmh is not None:
            seconds = time.timestamp() if hasattr(time, "timestamp") else float(time)
            windows[camera_id, lane_id][int(seconds // 5)].append(speed_kmh)
    worst = wrong = differing = count = 0.0
    for found in windows.values():
        minutes: defaultdict[int, SpeedCounts] = defaultdict(dict)
        for start, speeds in found.items():
            add_counts(minutes[start // 12], count_speeds(speeds))
        total: SpeedCounts = {}
        for minute in minutes.values():
            add_counts(total, minute)
        everything = [speed for speeds in found.values() for speed in speeds]
        differing += total != count_speeds(everything)
        count += len(everything)
        exact = np.quantile(everything, PERCENTILES, method="lower")
        for right, told in zip(exact.tolist(), percentiles(total), strict=True):
            away = abs((told or 0.0) - right)
            wrong += away > 0.01 * right + (0.01 if right < 1 else 0.0)
            worst = max(worst, away / right if right > 1 else 0.0)
    print(
        f"{count:,.0f} speeds of {len(windows)} lanes: largest relative error above 1 km/h {worst:.3%}, "
        f"{wrong:.0f} percentiles beyond 1 %, {differing:.0f} sums that differ from the sketch of all"
    )
    return int(bool(wrong or differing))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
