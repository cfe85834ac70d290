"""A worker as `faust -A trafficapp worker` runs it, that also tells when it has applied so many records.

Usage: ``python -m tests.bench.worker TOPIC=RECORDS[,TOPIC=RECORDS…] WEB_PORT``. Prints one JSON line when
all are applied and their effect is durable, and goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import ConsumerRecord

from trafficapp.application import create_app
from trafficapp.engine.app import TrafficApp
from trafficapp.settings import load_settings


class Stopwatch:
    """Counts records applied by each topic's sink, from the first to the last."""

    def __init__(self, expected: dict[str, int]) -> None:
        self.expected = expected
        self.applied = dict.fromkeys(expected, 0)
        self.began: float | None = None
        self.cpu_began = 0.0
        self.told = False
        self.sinks: list[Any] = []

    def watch(self, topic: str, sink: Any) -> None:
        """Count what a sink applies."""
        apply = sink.apply
        self.sinks.append(sink)

        async def counted(partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
            if self.began is None:
                self.began, self.cpu_began = time.time(), cpu_seconds()
            await apply(partition, records, still_owned)
            # a tick has no value
            self.applied[topic] += len(records) if records[0].value and records[-1].value else _with_value(records)
            if not self.told and all(self.applied[topic] >= count for topic, count in self.expected.items()):
                self.told = True
                self._telling = asyncio.create_task(self._tell())

        sink.apply = counted

    async def _tell(self) -> None:
        for sink in self.sinks:
            # what a sink does later, many records at once, belongs to what they cost
            if hasattr(sink, "flush"):
                await sink.flush()
        result = {
            "began": self.began,
            "ended": time.time(),
            "cpu_seconds": cpu_seconds() - self.cpu_began,
            "max_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        # faust takes sys.stdout for its log
        os.write(1, f"RESULT {json.dumps(result)}\n".encode())


def cpu_seconds() -> float:
    """CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _with_value(records: Sequence[ConsumerRecord]) -> int:
    return sum(1 for record in records if record.value)


def build(expected: dict[str, int]) -> TrafficApp:
    """The application with its sinks under the stopwatch."""
    app = create_app(load_settings())
    watch = Stopwatch(expected)
    for topic in expected:
        watch.watch(topic, app.run_readers[topic].sink)
    return app


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    pairs = (pair.split("=") for pair in sys.argv[1].split(","))
    application = build({topic: int(count) for topic, count in pairs})
    sys.argv = ["faust", "worker", "-l", "warn", "--web-port", sys.argv[2]]
    with contextlib.suppress(KeyboardInterrupt):
        application.main()
