"""Runs of records cut into pieces, so that nobody waits for a whole run and none of it is held at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar


class Sized(Protocol):
    """What is read of a Kafka record."""

    key: bytes | None
    value: bytes | None


Record = TypeVar("Record", bound=Sized)


def pieces_of(records: Sequence[Record], most_records: int, most_bytes: int) -> Iterator[Sequence[Record]]:
    """Cut records into pieces of so many at most, and of so many bytes unless it is one record."""
    begin = bytes_ = 0
    for position, record in enumerate(records):
        size = len(record.key or b"") + len(record.value or b"")
        if position > begin and (position - begin >= most_records or bytes_ + size > most_bytes):
            yield records[begin:position]
            begin, bytes_ = position, 0
        bytes_ += size
    if begin < len(records):
        yield records[begin:]
