"""The fetchers of this process, changed: they unpack as `trafficapp.batching.unpacking` does, give runs, and can rest.

aiokafka names the classes in one module-level place each and has no other way in; a contract test holds that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from aiokafka.consumer import consumer, fetcher

from trafficapp.batching import wire
from trafficapp.batching.unpacking import FetchedBytes, Unpacking

#: The most records of a run, while what is fetched is wanted in runs.
_run_records: ContextVar[int | None] = ContextVar("run_records", default=None)


class RunFetchResult(fetcher.FetchResult):
    """What a fetch returned for one partition; within `in_runs`, `getall` gives runs."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        """The next runs, or all records, or as many as asked for, as aiokafka gives them."""
        run_records = _run_records.get()
        if run_records is None:
            records: list[Any] = super().getall(max_records)
            return records
        if not self.check_assignment(self._topic_partition):
            return []
        unpacking: Unpacking = self._partition_records
        runs = unpacking.take(run_records)
        self._update_position()
        if unpacking.is_over:
            self._partition_records = None
        return runs


class RestingFetcher(fetcher.Fetcher):
    """A fetcher that rests while records come without a break, so that one request brings many of them.

    A request names every partition, which costs client and broker milliseconds, and returns with the first record. One
    that comes alone is fetched as soon as ever.

    Attributes:
        rest_seconds: of requests that bring something each begins so long after the one before; 0 for no rest.
    """

    rest_seconds = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # first, since the routine that asks for what is to be done begins in there
        self._brought_at = self._rest_until = 0.0
        super().__init__(*args, **kwargs)

    def _get_actions_per_node(self, assignment: Any) -> Any:
        left = self._rest_until - time.monotonic()
        if left > 0:
            # nothing to fetch, nothing to reset, and to be asked again then
            return [], {}, left, False, []
        return super()._get_actions_per_node(assignment)

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        brought: bool = await super()._proc_fetch_request(assignment, node_id, request)
        if brought and self.rest_seconds:
            now = time.monotonic()
            if now - self._brought_at < 2 * self.rest_seconds:
                self._rest_until = now + self.rest_seconds
            self._brought_at = now
        return brought


@contextmanager
def in_runs(run_records: int) -> Iterator[None]:
    """What is fetched within comes in runs of so many records at most; one fetch may take several calls."""
    before = _run_records.set(run_records)
    try:
        yield
    finally:
        _run_records.reset(before)


def install() -> None:
    """Change the fetchers, and how all clients speak; to be called before a consumer is made, any number of times."""
    wire.install()
    fetcher.MemoryRecords = FetchedBytes
    fetcher.PartitionRecords = Unpacking
    fetcher.FetchResult = RunFetchResult
    consumer.Fetcher = RestingFetcher
