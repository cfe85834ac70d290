"""Records that become rows one by one: one that is none is told and left out, a fault of ours ends the process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from models.cameras.detections import Rejected

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.sink import SinkCounters

_log = logging.getLogger(__name__)

#: What a record raises that is not what it should be. A TypeError and the like are faults of ours, not the record's.
REFUSALS: Final = (Rejected, msgspec.MsgspecError, ValueError, OverflowError, RecursionError)

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class RecordRows(Generic[Read]):
    """How records of a topic are read. Several threads may read at once, if `read` lets them.

    Attributes:
        topic: of the records.
        what: one of them, for the log: ``finished window``.
        read: what a record says; raises one of `REFUSALS`.
        is_ours: whether we send it: a refusal is an error then; what others send is refused elsewhere, with a letter.
    """

    topic: str
    what: str
    read: Callable[[ConsumerRecord], Read]
    is_ours: bool = True

    def of(self, records: Sequence[ConsumerRecord], counters: SinkCounters) -> Iterator[tuple[ConsumerRecord, Read]]:
        """The records that can be read, each with what it says; the others are counted."""
        read = self.read
        for record in records:
            try:
                said = read(record)
            except REFUSALS as error:
                level = logging.ERROR if self.is_ours else logging.DEBUG
                place = (self.topic, record.offset, self.what)
                _log.log(level, "%s at offset %d is no %s and was left out: %s", *place, error)
                counters.unreadable += 1
                continue
            yield record, said
