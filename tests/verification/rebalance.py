"""Workers join, die, leave and freeze under load; every row must be right: ``python -m tests.verification.rebalance``.

Two workers share 8 partitions; by a seed a third joins, one is killed with SIGKILL, one is stopped with SIGTERM, one is
frozen for ten seconds, and one more of these. Three modes inject what chance rarely does: ``adversary`` writes
old changelog rows again, late; ``drop`` lets delivered runs vanish; ``lww`` shows that the check can fail: with the
adversary and last-write-wins, rows must be wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from tests.verification.rebalance_run import Mode, RunResult, run_once

MAX_TAKEOVER_SECONDS = 15.0
KINDS = ("join", "kill", "term", "freeze", "rejoin", "thaw")


def is_right(result: RunResult) -> bool:
    """Whether a run came to what it must come to."""
    if result.mode == "lww":
        return result.different > 0
    return (
        result.settled
        and result.rows > 0
        and result.different == 0
        and result.longest_pause_seconds <= MAX_TAKEOVER_SECONDS
    )


def line(result: RunResult) -> str:
    """One run as a line of the table."""
    takeovers = " ".join(
        f"{kind} {'/'.join(f'{seconds:.1f}' for seconds in result.takeovers[kind])}"
        for kind in KINDS
        if kind in result.takeovers
    )
    exits = " ".join(f"{code}×{count}" for code, count in sorted(result.exits.items())) or "-"
    return (
        f"{result.mode:9} {result.seed:5} {result.events:8,} {result.rows:8,} {result.different:9,} "
        f"{result.repeats:7,} {result.longest_pause_seconds:7.1f} {exits:>10} {result.seconds:6.0f}  "
        f"{'ok' if is_right(result) else 'WRONG' if result.settled else 'NOT SETTLED':11} {takeovers}"
    )


HEADER = (
    "mode       seed   events     rows different repeats   pause     ended   took  verdict     "
    "takeover times, s (0.0: none above 1.5 s)"
)


def summary(results: Sequence[RunResult]) -> str:
    """Totals, and the takeover times by kind of disturbance; runs that must go wrong have none."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for result in results:
        if result.mode != "lww":
            for kind, times in result.takeovers.items():
                kinds[kind] += times
    lines = ["", "takeover    times  median s    max s"]
    lines += [
        f"{kind:10} {len(kinds[kind]):6} {statistics.median(kinds[kind]):9.1f} {max(kinds[kind]):8.1f}"
        for kind in KINDS
        if kind in kinds
    ]
    lines += ["", f"longest pause of a partition: {max(result.longest_pause_seconds for result in results):.1f} s", ""]
    for mode in get_args(Mode):
        of_mode = [result for result in results if result.mode == mode]
        if of_mode:
            lines.append(
                f"{mode}: {len(of_mode)} runs, {sum(r.rows for r in of_mode):,} rows compared, "
                f"{sum(r.different for r in of_mode):,} rows different"
                + (" (must be more than 0)" if mode == "lww" else "")
            )
    return "\n".join(lines)


def write(results: Iterable[RunResult], path: Path) -> None:
    """Keep the results for other programs."""
    rows = []
    for result in results:
        row = {**asdict(result), "right": is_right(result)}
        row["comparisons"] = [str(comparison) for comparison in result.comparisons]
        rows.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def planned(options: argparse.Namespace) -> list[tuple[Mode, int]]:
    """Which runs to make: mode and seed."""
    modes: dict[Mode, int] = {options.mode: options.runs}
    if options.all:
        few = max(options.runs // 5, 1)
        modes = {"plain": options.runs, "adversary": few, "drop": few, "lww": 1}
    return [(mode, options.seed + number) for mode, count in modes.items() for number in range(count)]


async def run_all(options: argparse.Namespace) -> list[RunResult]:
    """Make the runs, one after the other, printing each."""
    results = []
    print(HEADER, flush=True)
    for mode, seed in planned(options):
        logs = options.folder / f"{mode}-{seed}"
        result = await run_once(mode, seed, options.seconds, options.rate, logs)
        results.append(result)
        print(line(result), flush=True)
        if not is_right(result) or result.different:
            for comparison in result.comparisons:
                print(comparison, flush=True)
        write(results, options.folder.with_suffix(".json"))
    return results


def main() -> int:
    """Make the check; 0 when every run came to what it must come to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="Of the first run; the next ones count up.")
    parser.add_argument("--mode", choices=get_args(Mode), default="plain")
    parser.add_argument("--all", action="store_true", help="A fifth of the runs with each injection, one of lww.")
    parser.add_argument("--seconds", type=float, default=50.0, help="Of load in each run.")
    parser.add_argument("--rate", type=int, default=5000, help="Detections a second.")
    parser.add_argument("--folder", type=Path, default=Path("build/rebalance"), help="For logs; results lie beside it.")
    options = parser.parse_args()
    if options.seconds < 20:
        parser.error("--seconds must be at least 20: the disturbances need room")
    results = asyncio.run(run_all(options))
    print(summary(results), flush=True)
    wrong = [f"{result.mode} {result.seed}" for result in results if not is_right(result)]
    if wrong:
        print(f"FAILED: {', '.join(wrong)}; logs are in {options.folder}", flush=True)
        return 1
    print("all as it must be", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
