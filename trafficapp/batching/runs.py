"""What agents receive: consecutive records of one partition, and how far the log was read for them."""

from __future__ import annotations

from aiokafka import ConsumerRecord


class Run(list[ConsumerRecord]):
    """Records of one partition in the order of their offsets; none where the log holds nothing but markers.

    Attributes:
        begin, end: the log was read from the one offset up to the other. An offset between them that no record has
            holds none: it is a marker of a transaction, was aborted or compacted away.
        unreadable: how many of the records cannot be read, see `models.records`.
        partition: its number.
        epoch: the assignment that it was fetched under.
    """

    __slots__ = ("begin", "end", "epoch", "partition", "unreadable")
    begin: int
    end: int
    unreadable: int
    partition: int
    epoch: int
