"""Which files of the lake become one, and which are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from trafficapp.stores.lake.pieces import Piece
from trafficapp.stores.lake.storage import Storage

#: So many small files of a partition and day that follow each other become one.
MOST_SMALL = 24

#: A file of at least so many bytes is left as it is: readers are best with files of 100 MB to 1 GB.
LARGE_BYTES = 128 << 20

#: Nobody works for so long on files that no reader sees.
_PENDING_HOURS = 24


def small_neighbours(storage: Storage, topic: str, today: date | None = None) -> list[list[Piece]]:
    """Groups of files that are to become one: many, or those of days that are over.

    Args:
        storage: the lake.
        topic: of the files.
        today: in UTC; None is that of the clock.
    """
    over = (today or datetime.now(UTC).date()) - timedelta(days=1)
    found = []
    for (day, _, _), together in groupby(storage.pieces(topic), lambda one: (one.day, one.log, one.partition)):
        for group in _small(storage, list(together)):
            if len(group) >= MOST_SMALL or (len(group) > 1 and day < over):
                found.append(group)
    return found


def _small(storage: Storage, pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Runs of small files between large ones: a span that covers a file says that all of it is inside.

    A run is no larger than a large file and a small one, as all of it is in memory at once.
    """
    group: list[Piece] = []
    bytes_together = 0
    for piece, size in zip(pieces, storage.sizes(pieces), strict=True):
        if size >= LARGE_BYTES or bytes_together >= LARGE_BYTES:
            yield group
            group, bytes_together = [], 0
        if size < LARGE_BYTES:
            group.append(piece)
            bytes_together += size
    yield group


def expired(storage: Storage, days: int, now: datetime) -> list[Piece]:
    """Files of days that are kept no longer.

    Args:
        storage: the lake.
        days: how long files are kept.
        now: aware.
    """
    last = now.date() - timedelta(days=days)
    return [piece for piece in storage.pieces() if piece.day < last]


def left_over(storage: Storage, named: set[str], now: datetime) -> list[str]:
    """Files that no reader will see, since the process that wrote them ended before it named them.

    Args:
        storage: the lake.
        named: files that are named, whether they were published or not.
        now: aware.
    """
    return [path for path in storage.pending(now - timedelta(hours=_PENDING_HOURS)) if path not in named]
