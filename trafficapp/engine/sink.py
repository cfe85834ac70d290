"""What stands behind a topic that is read in runs: something that knows how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from aiokafka import ConsumerRecord

from trafficapp.engine.state_rows import UNTOLD, SourceLog


class RunSink(Protocol):
    """Takes runs of records of one topic and remembers durably, with their effect, how far it came.

    The consumer group's committed offsets are only a report for people: on every assignment the sink
    says where to read on, and it is never given a record twice or after a hole.

    Records that cannot be read (`models.records`) are left out, unless the sink has a true ``takes_unreadable``. Runs
    that wait are given as one to a sink that has a true ``takes_runs_together``.
    """

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Take over partitions.

        Waits, with back-off and a log line, until the store behind the sink answers.

        Args:
            partitions: their numbers.
            log: the topic that is there; a sink keeps its id beside the offsets.

        Returns:
            for each partition the offset of the first record still to be applied; 0 when none was.

        Raises:
            OtherLog: what the sink keeps is of another topic of that name, and it cannot begin again by itself.
        """
        ...

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Apply consecutive records of one partition; returns when their effect is durable.

        Runs of one partition come in order and one at a time; runs of different partitions may overlap.
        After waiting for anything, `still_owned` says whether the partition may still be written.

        Raises:
            Exception: anything raised ends the process, which starts again from `load`.
        """
        ...

    def release(self, partitions: Collection[int]) -> None:
        """Forget what was loaded for partitions that are no longer ours."""
        ...

    def is_waiting(self) -> bool:
        """Whether the sink waits for a store that is down; then no progress is no fault of ours."""
        ...
