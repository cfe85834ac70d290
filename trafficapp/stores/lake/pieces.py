"""Where a file of the lake lies, and what its name says.

``topic=fleet-positions/date=2026-01-14/0003-000000000120-000000000987-G3Zk0bJQ2u7rUO4yW8c1Ag.parquet`` has records of
partition 3 of the topic ``fleet-positions`` that happened on that day in UTC, with offsets from 120 to 987 of the log
with that id. All files of one flush have its whole span in their names, so spans of a partition follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

#: The folder of files that are written, but whose offsets are not. Readers of ``topic=*`` never come here.
PENDING_FOLDER = "_pending"

#: Ids are told in base64, which has a character that begins a folder; those of file names are the usual other two.
_IN_NAME, _IN_ID = str.maketrans("+/", "-_"), str.maketrans("-_", "+/")

_NAME = re.compile(
    r"topic=(?P<topic>[^/]+)/date=(?P<day>\d{4}-\d{2}-\d{2})/"
    r"(?P<partition>\d+)-(?P<first>\d+)-(?P<last>\d+)-(?P<log>[^/]*)\.parquet"
)


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A file of the lake.

    Attributes:
        topic: of the records.
        day: in UTC, on which they happened.
        log: Kafka's id of the topic, in base64.
        partition: of the records.
        first, last: offsets of the flush that it was written in.
    """

    topic: str
    day: date
    log: str
    partition: int
    first: int
    last: int

    def covers(self, other: Piece) -> bool:
        """Whether all of another piece is in this one, which was made of it and its neighbours."""
        same = (self.topic, self.day, self.log, self.partition)
        return (
            self != other
            and same == (other.topic, other.day, other.log, other.partition)
            and self.first <= other.first
            and other.last <= self.last
        )

    @property
    def path(self) -> str:
        """Below the lake's root."""
        # not the id first: readers leave out files whose names begin with an underscore
        name = f"{self.partition:04}-{self.first:012}-{self.last:012}-{self.log.translate(_IN_NAME)}.parquet"
        return f"topic={self.topic}/date={self.day.isoformat()}/{name}"

    @classmethod
    def at(cls, path: str) -> Piece | None:
        """The piece of a path below the root; None where it is none."""
        found = _NAME.fullmatch(path)
        if found is None:
            return None
        numbers = (int(found[name]) for name in ("partition", "first", "last"))
        return cls(found["topic"], date.fromisoformat(found["day"]), found["log"].translate(_IN_ID), *numbers)


def without_covered(pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces in order, without those that are in others: between two steps of a compaction there are both."""
    kept: list[Piece] = []
    # of a partition and day by their beginnings, the longer one first
    for piece in sorted(pieces, key=lambda one: (one.topic, one.day, one.log, one.partition, one.first, -one.last)):
        if not kept or not kept[-1].covers(piece):
            kept.append(piece)
    return kept
