"""Small files become one, and no reader of ours sees a record twice or none at any step."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stores.lake.fixtures import FEED, Make, bays, make, settings, storage_of, write
from trafficapp.settings import Settings
from trafficapp.stores.lake.compaction import expired, left_over, small_neighbours
from trafficapp.stores.lake.pieces import Piece, without_covered
from trafficapp.stores.lake.queries import ask
from trafficapp.stores.lake.restore import in_order
from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.lake.tables import FeedTable

__all__ = ["make", "settings"]


def offsets(settings: Settings) -> list[int]:
    """All that a question finds, and the restored records: they are the same."""
    storage = storage_of(settings)
    asked = ask(storage, [FeedTable(FEED, settings)], "SELECT kafka_offset FROM parking_bays ORDER BY ALL").fetchall()
    found = [int(offset) for (offset,) in asked]
    assert [record.offset for record in in_order(storage, storage.pieces(), 0)] == found
    return found


async def test_days_that_are_over_become_one_file(make: Make, settings: Settings) -> None:
    sink = make()
    await sink.load([0])
    for first in range(0, 60, 10):
        await write(sink, 0, bays(range(first, first + 10), 0, lambda offset: offset % 2))
    assert await sink.compact() == 2
    pieces = list(storage_of(settings).pieces())
    assert [(piece.day.isoformat(), piece.first, piece.last) for piece in pieces] == [
        ("2026-01-14", 0, 59),
        ("2026-01-15", 0, 59),
    ]
    assert offsets(settings) == list(range(60))
    assert await sink.compact() == 0
    await write(sink, 0, bays(range(60, 70)))
    assert offsets(settings) == list(range(70))


@pytest.mark.parametrize("moment", ["write", "commit", "publish", "delete"])
async def test_a_compaction_that_ends_anywhere_loses_and_doubles_nothing(
    make: Make, settings: Settings, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    sink = make()
    await sink.load([0])
    for first in range(0, 40, 10):
        await write(sink, 0, bays(range(first, first + 10)))

    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> Any:
        raise Killed

    where = {
        "write": (Storage, "write"),
        "commit": (type(sink._owned[0].producer), "commit_transaction"),
        "publish": (Storage, "publish"),
        "delete": (Storage, "delete"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*where[moment], kill)
        with pytest.raises(Killed):
            await sink.compact()
    assert offsets(settings) == list(range(40))
    after = make()
    assert await after.load([0]) == {0: 40}
    assert offsets(settings) == list(range(40))
    assert await after.compact() == (moment in ("write", "commit"))
    assert offsets(settings) == list(range(40))
    assert len(list(storage_of(settings)._all_pieces(None))) == 1


def test_files_of_today_wait_until_there_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(f"file://{tmp_path}")
    for number in range(23):
        place(storage, piece(number * 10, number * 10 + 9))
    assert small_neighbours(storage, "a", date(2026, 1, 15)) == []
    assert len(small_neighbours(storage, "a", date(2026, 1, 16))) == 1
    place(storage, piece(230, 239))
    (group,) = small_neighbours(storage, "a", date(2026, 1, 14))
    assert (len(group), group[0].first, group[-1].last) == (24, 0, 239)
    # one that is large stands between two groups
    monkeypatch.setattr("trafficapp.stores.lake.compaction.LARGE_BYTES", 3)
    place(storage, piece(100, 109), b"large")
    assert [len(group) for group in small_neighbours(storage, "a", date(2026, 2, 1))] == [10, 13]
    # and no group becomes much larger
    for first in (0, 10, 150):
        place(storage, piece(first, first + 9), b"sm")
    assert [len(group) for group in small_neighbours(storage, "a", date(2026, 2, 1))] == [2, 8, 13]


def test_what_is_old_is_told(tmp_path: Path) -> None:
    storage, now = Storage(f"file://{tmp_path}"), datetime(2026, 1, 20, 12, tzinfo=UTC)
    for day in (14, 15, 16):
        place(storage, piece(0, 9, date(2026, 1, day)))
    assert [one.day.day for one in expired(storage, 5, now)] == [14]
    (tmp_path / "_pending").mkdir()
    for name, hours in (("old", 25), ("named", 30), ("new", 1)):
        path = tmp_path / "_pending" / f"{name}.parquet"
        path.write_bytes(b"")
        os.utime(path, (time.time(), now.timestamp() - hours * 3600))
    assert left_over(storage, {"_pending/named.parquet"}, now) == ["_pending/old.parquet"]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted), max_size=12))
def test_what_is_covered_is_in_another(spans: list[list[int]]) -> None:
    pieces = {piece(first, last) for first, last in spans}
    kept = without_covered(pieces)
    assert not any(one.covers(other) for one in kept for other in kept)
    assert all(any(one.covers(left) for one in kept) for left in pieces - set(kept))


def piece(first: int, last: int, day: date = date(2026, 1, 14)) -> Piece:
    return Piece("a", day, "/lo/g+", 0, first, last)


def place(storage: Storage, one: Piece, content: bytes = b"") -> None:
    path = Path(storage.root) / one.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert Piece.at(one.path) == one
