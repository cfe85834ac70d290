"""The fetchers of this process, changed: all unpack as `trafficapp.batching.unpacking` does, some give runs.

aiokafka names the classes in one module-level place each and has no other way in; a contract test holds that.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from aiokafka.consumer import fetcher

from trafficapp.batching.unpacking import FetchedBytes, Unpacking


class RunFetchResult(fetcher.FetchResult):
    """What a fetch returned for one partition; `getall` gives runs of the topics that are read so.

    Attributes:
        run_records: the most records of a run, by topic.
    """

    run_records: ClassVar[dict[str, int]] = {}
    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        """The next runs; of other topics all records, or as many as asked for, as aiokafka gives them."""
        run_records = self.run_records.get(self._topic_partition.topic)
        if run_records is None:
            records: list[Any] = super().getall(max_records)
            return records
        unpacking: Unpacking = self._partition_records
        if not self.check_assignment(self._topic_partition):
            return []
        runs = unpacking.take(run_records)
        self._update_position()
        if unpacking.is_over:
            self._partition_records = None
        return runs


def read_in_runs(topics: Collection[str], run_records: int) -> None:
    """Let all consumers of this process get these topics in runs of so many records at most."""
    RunFetchResult.run_records |= dict.fromkeys(topics, run_records)


def install() -> None:
    """Change the fetchers; to be called before a consumer is made, any number of times."""
    fetcher.MemoryRecords = FetchedBytes
    fetcher.PartitionRecords = Unpacking
    fetcher.FetchResult = RunFetchResult
