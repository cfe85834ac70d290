"""Records of a feed in files: each in one, whatever ends, freezes or fills up."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from aiokafka.errors import KafkaError
from confluent_kafka.admin import AdminClient

from tests.stores.lake.fixtures import FEED, Make, bays, make, owned, settings, storage_of, write
from trafficapp.engine.state_rows import SourceLog
from trafficapp.settings import Settings
from trafficapp.stores.lake.storage import Storage

__all__ = ["make", "settings"]


def offsets(settings: Settings) -> list[tuple[int, int]]:
    """Partition and offset of all rows that readers see, by DuckDB."""
    root = storage_of(settings).root
    files = f"{root}/topic=*/date=*/*.parquet"
    if not list(Path(root).glob("topic=*/date=*/*.parquet")):
        return []
    found = duckdb.sql(f"SELECT kafka_partition, kafka_offset FROM read_parquet('{files}') ORDER BY ALL").fetchall()  # noqa: S608 - our own folder
    return [(int(partition), int(offset)) for partition, offset in found]


async def test_records_are_read_alike_by_three_readers(make: Make, settings: Settings) -> None:
    sink = make()
    # an id in base64: a slash would make a folder, and readers do not see what begins with an underscore
    assert await sink.load([0, 1], SourceLog("/G3Zk0bJQ2/7+UO4yW8c1A", 2)) == {0: 0, 1: 0}
    await write(sink, 0, bays(range(10), 0, lambda offset: offset % 2))
    await write(sink, 1, bays(range(5), 1))
    root = storage_of(settings).root
    folder, files = f"{root}/topic={sink.topic}", f"{root}/topic={sink.topic}/date=*/*.parquet"
    order = "kafka_partition, kafka_offset"
    asked = f"SELECT * EXCLUDE (topic, date) FROM read_parquet('{files}') ORDER BY {order}"  # noqa: S608 - our own folder
    by_duckdb = duckdb.sql(asked).to_arrow_table()
    by_polars = pl.read_parquet(files, hive_partitioning=False).sort("kafka_partition", "kafka_offset")
    by_arrow = (
        ds.dataset(folder, partitioning=None)
        .to_table()
        .sort_by([("kafka_partition", "ascending"), ("kafka_offset", "ascending")])
    )
    assert by_arrow.num_rows == 15
    assert by_polars.to_arrow().to_pylist() == by_arrow.to_pylist() == by_duckdb.to_pylist()
    kinds = {str(field.type).replace("large_", "").replace("_view", "") for field in by_polars.to_arrow().schema}
    assert kinds == {str(field.type) for field in by_arrow.schema}
    pieces = list(storage_of(settings).pieces(sink.topic))
    assert [(piece.partition, piece.day.isoformat(), piece.first, piece.last) for piece in pieces] == [
        *[(0, "2026-01-14", 0, 9), (1, "2026-01-14", 0, 4)],
        (0, "2026-01-15", 0, 9),
    ]
    (first, *_) = by_arrow.to_pylist()
    assert json.loads(first["kafka_value"])["bay_id"] == first["bay_id"] == "b0-0"


@pytest.mark.parametrize("moment", ["write", "commit", "publish"])
async def test_each_record_is_in_one_file_wherever_the_process_ends(
    make: Make, settings: Settings, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    sink = make()
    await sink.load([0])
    await write(sink, 0, bays(range(10)))

    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> Any:
        raise Killed

    where = {
        "write": (Storage, "write"),
        "commit": (type(sink._owned[0].producer), "commit_transaction"),
        "publish": (Storage, "publish"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*where[moment], kill)
        with pytest.raises(Killed):
            await write(sink, 0, bays(range(10, 20), 0, lambda offset: offset % 3))
    after = make()
    starts = await after.load([0])
    assert starts == {0: 20 if moment == "publish" else 10}
    await write(after, 0, bays(range(starts[0], 30)))
    assert offsets(settings) == [(0, offset) for offset in range(30)]


async def test_a_frozen_process_adds_nothing(make: Make, settings: Settings) -> None:
    frozen, owner = make(), make()
    await frozen.load([0])
    await frozen.apply(0, bays(range(10)), owned)
    assert await owner.load([0]) == {0: 0}
    await write(owner, 0, bays(range(15)))
    with pytest.raises(KafkaError):
        await frozen._flush(0, frozen._gathered[0])
    await write(owner, 0, bays(range(15, 20)))
    assert offsets(settings) == [(0, offset) for offset in range(20)]


async def test_offsets_that_the_broker_forgot_are_known(make: Make, settings: Settings) -> None:
    sink = make()
    await sink.load([0, 1])
    for first in range(0, 30, 10):
        await write(sink, 0, bays(range(first, first + 10)))
    await sink.compact()
    await sink.close()
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    (forgotten,) = admin.delete_consumer_groups([f"{settings.app_id}-{FEED.name}-lake"]).values()
    await asyncio.to_thread(forgotten.result)
    assert await make().load([0, 1]) == {0: 30, 1: 0}


async def test_a_full_disk_is_waited_out(make: Make, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = make()
    await sink.load([0])
    wrote, fails = pq.write_table, [True]

    def write_table(table: Any, path: str, **more: Any) -> None:
        wrote(table, path, **more)
        if fails:
            # the second file of the flush
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", write_table)
    writing = asyncio.create_task(write(sink, 0, bays(range(10), 0, lambda offset: offset % 2)))
    while not sink.is_waiting():  # noqa: ASYNC110 - seen from outside
        await asyncio.sleep(0.02)
    assert offsets(settings) == []
    fails.clear()
    await asyncio.wait_for(writing, 20)
    assert not sink.is_waiting()
    assert offsets(settings) == [(0, offset) for offset in range(10)]
    root = Path(storage_of(settings).root)
    assert not list((root / "_pending").iterdir())


async def test_a_producer_that_claims_many_days_makes_files_of_some(make: Make, settings: Settings) -> None:
    sink = make()
    await sink.load([0])
    await write(sink, 0, bays(range(100), 0, lambda offset: offset))
    assert offsets(settings) == [(0, offset) for offset in range(100)]
    pieces = list(storage_of(settings).pieces())
    assert sorted({(piece.first, piece.last) for piece in pieces}) == [(0, 31), (32, 63), (64, 95), (96, 99)]
    assert pieces[0].day == date(2026, 1, 14)


async def test_what_is_old_or_much_is_written(make: Make, settings: Settings) -> None:
    sink = make()
    sink._limits = sink._limits.model_copy(update={"piece_records": 50, "piece_seconds": 0.0})
    await sink.load([0, 1])
    await sink.apply(0, bays(range(30)), owned)
    await sink.apply(1, bays(range(10), 1), owned)
    assert offsets(settings) == []
    await sink.apply(0, bays(range(30, 60)), owned)
    assert offsets(settings) == [(0, offset) for offset in range(60)]
    await sink.write_old()
    assert len(offsets(settings)) == 70
