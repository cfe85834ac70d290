"""Fetched batches as lists, without an object of Python's for every record.

aiokafka unpacks a batch record by record through a generator and copies each into a dataclass, which
costs about as much as counting the record does. The records that its C extension makes have all that
is needed, so here a batch becomes a list in one step. Only topics that are read in runs take this way.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

_READ_COMMITTED = fetcher.READ_COMMITTED


class RunFetchResult(fetcher.FetchResult):
    """What a fetch returned for one partition; `getall` gives the C extension's records."""

    topics: frozenset[str] = frozenset()
    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        """All records; those of other topics, and with a limit, as aiokafka gives them."""
        unpacking = self._partition_records
        if (
            max_records is not None
            or self._topic_partition.topic not in self.topics
            or unpacking is None
            or unpacking._isolation_level == _READ_COMMITTED  # noqa: SLF001 - aborted records need the long way
        ):
            records: list[Any] = super().getall(max_records)
            return records
        if not self.check_assignment(self._topic_partition):
            return []
        records = _unpack(unpacking)
        self._update_position()
        self._partition_records = None
        return records


def _unpack(unpacking: Any) -> list[Any]:
    """The records of a partition's batches, from the offset that was asked for."""
    batches = unpacking._records  # noqa: SLF001
    records: list[Any] = []
    while batches.has_next():
        batch = batches.next_batch()
        if unpacking._check_crcs and not batch.validate_crc():  # noqa: SLF001
            raise CorruptRecordException(f"Invalid CRC - {unpacking._tp}")  # noqa: SLF001
        if not batch.is_control_batch:
            wanted = unpacking.next_fetch_offset
            records += batch if batch.base_offset >= wanted else [r for r in batch if r.offset >= wanted]
        unpacking.next_fetch_offset = batch.next_offset
    return records


def install(topics: frozenset[str]) -> None:
    """Let the fetchers of this process give the records of these topics as they are.

    aiokafka names the class in one module-level place and has no other way in.
    """
    RunFetchResult.topics |= topics
    fetcher.FetchResult = RunFetchResult
