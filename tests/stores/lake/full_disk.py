"""Writes a lake onto a disk until that is really full, frees some of it, and says what DuckDB saw, as JSON.

Arguments are the application, Kafka and the folder where the disk is mounted; run in a mount namespace of its own.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from pathlib import Path

import duckdb

from tests.stores.lake.fixtures import FEED, bays, write
from trafficapp.settings import load_settings
from trafficapp.stores.lake.sink import LakeSink
from trafficapp.stores.lake.tables import FeedTable

RUN = 20
#: What is freed: room for some more files.
BALLAST = 96 << 10
#: More than the disk takes.
MOST_RUNS = 100


def offsets(folder: Path) -> list[int]:
    """Offsets of all rows that readers see, in order."""
    files = list(folder.glob("lake/topic=*/date=*/*.parquet"))
    if not files:
        return []
    asked = f"SELECT kafka_offset FROM read_parquet('{folder}/lake/topic=*/date=*/*.parquet') ORDER BY 1"  # noqa: S608 - our own folder
    return [int(offset) for (offset,) in duckdb.sql(asked).fetchall()]


def is_full(folder: Path) -> bool:
    """Whether the disk has no room for one more file such as ours."""
    probe = folder / "probe"
    try:
        probe.write_bytes(os.urandom(8 << 10))
    except OSError as error:
        return error.errno == errno.ENOSPC
    finally:
        probe.unlink(missing_ok=True)
    return False


async def main(app_id: str, bootstrap_servers: str, mounted: str) -> None:
    """Fill it, free it, fill it again."""
    folder = Path(mounted)
    (folder / "ballast").write_bytes(os.urandom(BALLAST))
    url = f"file://{mounted}/lake"
    settings = load_settings(app_id=app_id, kafka={"bootstrap_servers": bootstrap_servers}, lake={"url": url})
    sink = LakeSink(FeedTable(FEED, settings), settings)
    await sink.load([0])
    seen: list[list[int]] = []
    was_full = []
    next_offset = 0
    for freed in ("ballast", None):
        writing: asyncio.Task[None] | None = None
        for _ in range(MOST_RUNS):
            records = bays(range(next_offset, next_offset + RUN), 0, lambda offset: offset % 2)
            next_offset += RUN
            writing = asyncio.create_task(write(sink, 0, records))
            while not writing.done() and not sink.is_waiting():  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.005)
            if not writing.done():
                break
        was_full.append(sink.is_waiting() and is_full(folder))
        seen.append(offsets(folder))
        if freed is None:
            # a process that ends while it waits; the one after it goes on where there is room
            assert writing is not None
            writing.cancel()
            break
        (folder / freed).unlink()
        assert writing is not None
        await asyncio.wait_for(writing, 60)
    await sink.close()
    for victim in sorted((folder / "lake").glob("_pending/*")):
        # what nobody named; a worker removes it after a while
        victim.unlink()
    print(json.dumps({"was_full": was_full, "seen": seen, "written": next_offset}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
