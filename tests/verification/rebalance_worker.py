"""A worker that notes what it applies and can be made to misbehave: ``python -m tests.verification.rebalance_worker``.

It runs the application as ``faust worker`` does. The injections live here, none in the product:

* ``REBALANCE_LOG`` names the file that gets a line ``A partition first last monotonic`` for each applied run.
* ``REBALANCE_MODE=drop``: delivered runs vanish, 3 % of them.
* ``REBALANCE_MODE=lww``: changelogs are merged by the last write instead of the largest source offset.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from agents.cameras.windows import WindowsSink
from trafficapp.application import create_app
from trafficapp.engine.reader import Run, RunReader
from trafficapp.engine.state import StateLog

DROPPED_SHARE = 0.03


def note_applied_runs(path: str) -> None:
    """Write a line for every run that was applied; each line is one write, so that a kill cuts none."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    apply = WindowsSink.apply

    async def noting(
        self: WindowsSink, partition: int, records: Sequence[Any], still_owned: Callable[[], bool]
    ) -> None:
        await apply(self, partition, records, still_owned)
        if still_owned():
            line = f"A {partition} {records[0].offset} {records[-1].offset} {time.monotonic():.3f}\n"
            os.write(log, line.encode())

    WindowsSink.apply = noting  # type: ignore[method-assign]


def drop_runs() -> None:
    """Let delivered runs vanish before they reach the reader."""
    submit = RunReader.submit
    chance = random.Random()

    async def dropping(self: RunReader, run: Run) -> None:
        if chance.random() < DROPPED_SHARE:
            print(f"dropped {run.partition} {run[0].offset} {run[-1].offset}", flush=True)
        else:
            await submit(self, run)

    RunReader.submit = dropping  # type: ignore[method-assign]


def let_the_last_write_win() -> None:
    """Merge state rows as Kafka's compaction and most programs do."""

    def merge(self: StateLog, partition: int, key: bytes, row: bytes) -> None:
        self.rows.setdefault(partition, {})[key] = row

    StateLog._merge = merge  # type: ignore[method-assign]


def main() -> None:
    """Run a worker until it is stopped."""
    note_applied_runs(os.environ["REBALANCE_LOG"])
    mode = os.environ.get("REBALANCE_MODE", "plain")
    if mode == "drop":
        drop_runs()
    if mode == "lww":
        let_the_last_write_win()
    sys.argv = ["faust", "worker", "-l", "info", "--without-web"]
    create_app().main()


if __name__ == "__main__":
    main()
