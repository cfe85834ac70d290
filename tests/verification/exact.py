"""Replay the whole recording at full speed; every row must be right: ``python -m tests.verification.exact``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.verification.compare import Comparison, compare_all, compare_recorded, read_table, report
from tests.verification.deployment import Deployment, deployed
from tests.verification.redis_rows import compare_redis
from tests.verification.truth import Rules, Truth, records_of_recording, truth_of
from trafficapp.sources.recordings import slice_path

#: The whole hour, where it lies beside the checkout.
HOUR = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "bologna" / "detections.parquet"


def recording_path() -> Path:
    """Return the hour when it is there, else the shipped slice."""
    return HOUR if HOUR.is_file() else slice_path()


def recorded_truth(recording: Path) -> Truth:
    """Work out the truth of a recording; minutes of one core for an hour of forty cameras."""
    return truth_of(records_of_recording(recording))


def compare_with(truth: Truth, deployment: Deployment, recording: Path) -> bool:
    """Compare everything that is stored, print it, and say whether all of it is right."""
    rules = Rules.from_settings(deployment.settings)
    comparisons = compare_all(truth.rows, deployment.bootstrap_servers, deployment.database_url, rules)
    comparisons.append(compare_redis(deployment.settings.redis.url.get_secret_value(), truth.rows, rules))
    comparisons.append(_compare_events(truth.total, deployment.stored_events()))
    recorded = recording.with_name("truth_exact_5s.csv.gz")
    if recorded.is_file():
        comparisons.append(compare_recorded(recorded, read_table(deployment.database_url), rules.classes))
    return report(comparisons)


def _compare_events(sent: int, stored: int) -> Comparison:
    result = Comparison(f"table traffic_events, {sent:,} detections sent", min(sent, stored))
    result.missing, result.extra = max(sent - stored, 0), max(stored - sent, 0)
    return result


async def run(recording: Path, workers: int) -> bool:
    """Make the check; True when every row is right."""
    began = time.monotonic()
    with ProcessPoolExecutor(1) as oracle:
        truth_task = asyncio.get_running_loop().run_in_executor(oracle, recorded_truth, recording)
        async with deployed(workers) as deployment:
            print(f"{recording.name}: started in {time.monotonic() - began:.1f} s, replaying", flush=True)
            started = time.monotonic()
            await deployment.replay([str(recording), "--speed", "max"])
            truth = await truth_task
            progress = await deployment.settle(len(truth.rows))
            print(
                f"{truth.total:,} detections, {len(truth.rows):,} rows, {time.monotonic() - started:.1f} s; {progress}"
            )
            return await asyncio.to_thread(compare_with, truth, deployment, recording)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", type=Path, default=recording_path())
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    equal = asyncio.run(run(arguments.recording, arguments.workers))
    print("exact" if equal else "NOT exact", flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
