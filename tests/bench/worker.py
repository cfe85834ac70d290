"""A worker as `faust -A trafficapp worker` runs it, that also tells when it has applied so many records.

Usage: ``python -m tests.bench.worker RECORDS[,RECORDS…] WEB_PORT``, one number for each of its topics in
alphabetical order; 0 does not wait for the topic. Prints one JSON line when all are applied and goes on.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import ConsumerRecord

from trafficapp.application import TrafficApp, create_app
from trafficapp.settings import load_settings


class Stopwatch:
    """Counts records applied by each topic's sink, from the first to the last."""

    def __init__(self, expected: dict[str, int]) -> None:
        self.expected = expected
        self.applied = dict.fromkeys(expected, 0)
        self.began: float | None = None
        self.cpu_began = 0.0
        self.told = False

    def watch(self, topic: str, sink: Any) -> None:
        """Count what a sink applies."""
        apply = sink.apply

        async def counted(
            partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]
        ) -> None:
            if self.began is None:
                self.began, self.cpu_began = time.time(), _cpu_seconds()
            await apply(partition, records, still_owned)
            self.applied[topic] += sum(1 for record in records if record.value)
            self._tell_when_done()

        sink.apply = counted

    def _tell_when_done(self) -> None:
        if self.told or any(self.applied[topic] < count for topic, count in self.expected.items()):
            return
        self.told = True
        result = {
            "began": self.began,
            "ended": time.time(),
            "cpu_seconds": _cpu_seconds() - self.cpu_began,
            "max_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print("RESULT " + json.dumps(result), flush=True)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def build(expected: list[int]) -> TrafficApp:
    """The application with its sinks under the stopwatch."""
    app = create_app(load_settings())
    watch = Stopwatch(dict(zip(sorted(app.run_readers), expected, strict=False)))
    for topic, reader in app.run_readers.items():
        if topic in watch.expected:
            watch.watch(topic, reader.sink)
    return app


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    counts, port = [int(part) for part in sys.argv[1].split(",")], sys.argv[2]
    application = build(counts)
    sys.argv = ["faust", "worker", "-l", "warn", "--web-port", port]
    application.main()
