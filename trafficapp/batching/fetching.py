"""The fetchers of this process, changed: all unpack as `trafficapp.batching.unpacking` does, and can give runs.

aiokafka names the classes in one module-level place each and has no other way in; a contract test holds that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from aiokafka.consumer import fetcher

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


@contextmanager
def in_runs(run_records: int) -> Iterator[None]:
    """What is fetched within comes in runs of so many records at most; one fetch may take several calls."""
    before = _run_records.set(run_records)
    try:
        yield
    finally:
        _run_records.reset(before)


def install() -> None:
    """Change the fetchers; to be called before a consumer is made, any number of times."""
    fetcher.MemoryRecords = FetchedBytes
    fetcher.PartitionRecords = Unpacking
    fetcher.FetchResult = RunFetchResult
