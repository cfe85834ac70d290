"""The lake under kills: ``python -m tests.verification.lake --seed N``.

Cameras, roads and all feeds of a city send, with dirt, while the role lake, Kafka and the role history are killed with
SIGKILL. Then for every topic that is kept:

* each accepted offset has its rows once in the files, by DuckDB over all files against Kafka. A message of a camera has
  as many rows as the plan says, a record of ours one, what producers of feeds send one unless it has a dead letter;
* all three readers find the same columns, types and values;
* an empty Postgres that is filled from the lake has the rows of the one that was filled from Kafka.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import duckdb
import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.dataset as ds
from psycopg import sql
from psycopg.rows import dict_row

from tests.verification.city import PARTS, SETTINGS, send
from tests.verification.city_plan import Plan
from tests.verification.compare import Comparison, report
from tests.verification.deployment import Deployment, deployed, until
from tests.verification.lake_plan import CamerasPart, RoadsPart
from tests.verification.log import LogRecord, read_logs
from trafficapp.feeds.declared import FEEDS
from trafficapp.stack import workers
from trafficapp.stores.lake.kept import lake_tables
from trafficapp.stores.lake.tables import LakeTable
from trafficapp.topics import DEAD_LETTERS, EVENTS_RAW

ROLES = ("streams", "alerts", "roads", "feeds", "history", "lake")
TELLING = ("worker-1", "alerts", "roads", "feeds")
KILLED = ("kafka", "history")
_LAKE_KILLS = 3
#: Each partition has transactions of its own: few, so that the servers have something to spare.
_SETTINGS = {
    "TRAFFICAPP_LAKE__PIECE_SECONDS": "1",
    "TRAFFICAPP_KAFKA__PARTITIONS": "2",
    "TRAFFICAPP_CITY__PARTITIONS": "2",
}
_BACK_SECONDS = 120.0
#: A broker that was killed takes back a member of a group after its session has ended.
_WRITES_SECONDS = 60.0
_SETTLED_SECONDS = 90.0

#: Columns that say when a row was written, or when its record came: of a message that was sent into two partitions the
#: one that is read first counts.
_WRITTEN_AT = ("stored_at", "updated_at", "created_at", "received_at")

#: Rows of each partition and offset.
Rows = Mapping[tuple[int, int], int]


def compare_rows(what: str, right: Rows, found: Rows) -> Comparison:
    """Compare how many rows each offset has."""
    result = Comparison(what, compared=sum(right.values()))
    for place in right.keys() | found.keys():
        wrong = found.get(place, 0) - right.get(place, 0)
        result.extra += max(wrong, 0)
        result.missing += max(-wrong, 0)
        if wrong:
            result.example(f"partition and offset {place}: {found.get(place, 0)} rows instead of {right.get(place, 0)}")
    return result


class Lake:
    """The files of a run, and what must be in them."""

    def __init__(self, folder: Path, deployment: Deployment, cameras: CamerasPart) -> None:
        self._folder, self._cameras = folder, cameras
        self._servers = deployment.bootstrap_servers
        self._refused_by: set[str] = {feed.kept_topic_in(deployment.settings) for feed in FEEDS if feed.is_checked}
        self.tables: list[LakeTable] = list(lake_tables(FEEDS, deployment.settings).values())

    def compare_offsets(self) -> list[Comparison]:
        """Every topic against Kafka."""
        # files first: what comes meanwhile is compared the next time
        found = {table.topic: self.found(table.topic) for table in self.tables}
        logs = read_logs(self._servers, [DEAD_LETTERS, *found])
        letters = [json.loads(record.value or b"") for record in logs[DEAD_LETTERS]]
        refused = {(letter["topic"], letter["partition"], letter["offset"]) for letter in letters}
        return [
            compare_rows(f"offsets of {topic}", self._right(topic, logs[topic], refused), rows)
            for topic, rows in found.items()
        ]

    def compare_readers(self) -> Comparison:
        """What DuckDB, Polars and PyArrow find in the files of each topic."""
        result, database = Comparison("tables that three readers find alike"), duckdb.connect()
        database.execute("SET TimeZone = 'UTC'")  # that is how it calls the zone of times; they are the same anyhow
        for table in self.tables:
            if not self._has_files(table.topic):
                continue
            asked = f"SELECT * EXCLUDE (topic, date) FROM read_parquet('{self._files(table.topic)}')"  # noqa: S608
            by_arrow = ds.dataset(self._folder / f"topic={table.topic}", partitioning=None).to_table()
            by_polars = pl.read_parquet(self._files(table.topic), hive_partitioning=False).to_arrow()
            readers = [by_arrow, by_polars, database.sql(asked).to_arrow_table()]
            schemas = {tuple((field.name, _plain(field.type)) for field in one.schema) for one in [table, *readers]}
            values = [sorted(map(repr, one.to_pylist())) for one in readers]
            result.compared += 1
            if len(schemas) != 1 or values[0] != values[1] or values[0] != values[2]:
                result.different += 1
                result.example(f"{table.topic}: {schemas}")
        return result

    def size(self) -> str:
        """Files, rows and bytes."""
        files = list(files_in(self._folder))
        rows = sum(sum(self.found(table.topic).values()) for table in self.tables)
        return f"{len(files)} files, {rows:,} rows, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB"

    def _right(self, topic: str, records: Iterable[LogRecord], refused: Collection[tuple[str, int, int]]) -> Rows:
        if topic == EVENTS_RAW:
            rows = {(one.partition, one.offset): self._cameras.rows[one.key, one.value] for one in records}
            return {place: count for place, count in rows.items() if count}
        places = ((one.partition, one.offset) for one in records)
        if topic in self._refused_by:
            places = (place for place in places if (topic, *place) not in refused)
        return dict.fromkeys(places, 1)

    def found(self, topic: str) -> Rows:
        """Rows of each offset in all files of a topic, as any reader finds them."""
        if not self._has_files(topic):
            return {}
        asked = f"SELECT kafka_partition, kafka_offset, count(*) FROM read_parquet('{self._files(topic)}') GROUP BY ALL"  # noqa: S608
        return {(partition, offset): count for partition, offset, count in duckdb.sql(asked).fetchall()}

    def _has_files(self, topic: str) -> bool:
        return any(self._folder.glob(f"topic={topic}/date=*/*.parquet"))

    def _files(self, topic: str) -> str:
        return f"{self._folder}/topic={topic}/date=*/*.parquet"


def _plain(kind: pa.DataType) -> str:
    """A type without what only says how values lie in memory, and how an item of a list is called."""
    told = str(kind).replace("large_", "").replace("_view", "")
    return "list" if told.startswith("list") else told


async def compare_restored(deployment: Deployment, tables: Iterable[str]) -> list[Comparison]:
    """Fill an empty database from the lake, and compare its rows."""
    parts = urlsplit(deployment.database_url)
    name = f"{parts.path[1:]}_restored"
    with psycopg.connect(deployment.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    restored = urlunsplit(parts._replace(path=f"/{name}"))
    environment = deployment.environment | {"DATABASE_URL": restored}
    began = time.monotonic()
    await workers.run_to_end("migrate", ["migrate"], environment, deployment.output.line)
    await workers.run_to_end("restore", ["lake", "restore"], environment, deployment.output.line)
    print(f"an empty Postgres was filled in {time.monotonic() - began:.1f} s", flush=True)
    found = []
    for table in tables:
        right, filled = await asyncio.to_thread(
            lambda table=table: [_rows_of(url, table) for url in (deployment.database_url, restored)]  # type: ignore[misc]
        )
        result = Comparison(f"restored table {table}", compared=right.total())
        result.missing, result.extra = (right - filled).total(), (filled - right).total()
        for row in [*(right - filled), *(filled - right)][:2]:
            result.example(row[:300])
        found.append(result)
    return found


def _rows_of(url: str, table: str) -> Counter[str]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall()
    return Counter(repr([(key, value) for key, value in row.items() if key not in _WRITTEN_AT]) for row in rows)


def files_in(folder: Path) -> Iterator[Path]:
    """The files that readers see."""
    return folder.glob("topic=*/date=*/*.parquet")


async def kill_some(deployment: Deployment, folder: Path, seed: int, run_seconds: float) -> None:
    """Kill processes: the lake in the middle of its work, others at moments of chance."""
    chance, began = random.Random(seed), time.monotonic()

    async def kill(name: str) -> None:
        await until(lambda: deployment.supervisor.pid(name) is not None, _BACK_SECONDS, 0.05)
        await deployment.supervisor.kill(name)
        print(f"  {time.monotonic() - began:6.1f} s  {name} killed", flush=True)

    async def kill_writers() -> None:
        """The lake whenever it has just written something: the next flush is under way."""
        for _ in range(_LAKE_KILLS):
            before = set(files_in(folder))
            await until(lambda before=before: bool(set(files_in(folder)) - before), _WRITES_SECONDS, 0.05)  # type: ignore[misc]
            await asyncio.sleep(chance.uniform(0, 1.5))
            await kill("lake")

    async def kill_others() -> None:
        for at, name in sorted((chance.uniform(0.3, 0.8) * run_seconds, name) for name in KILLED):
            await asyncio.sleep(max(began + at - time.monotonic(), 0))
            await kill(name)

    await asyncio.gather(kill_writers(), kill_others())


async def settled(lake: Lake, deployment: Deployment, is_behind: Callable[[], bool]) -> list[Comparison]:
    """Compare until everything is there; the last comparison if time is up."""
    began, result = time.monotonic(), list[Comparison]()
    while time.monotonic() - began < _SETTLED_SECONDS:
        await asyncio.sleep(2)
        result = await asyncio.to_thread(lake.compare_offsets)
        wrong = [one.name for one in result if differs(one)]
        behind = await asyncio.to_thread(is_behind)
        if not (wrong or behind):
            break
        print(
            f"  {time.monotonic() - began:.0f} s: waiting for {len(wrong)} topics{' and Postgres' * behind}", flush=True
        )
    return result


def differs(result: Comparison) -> bool:
    """Whether something does; nothing may be in a topic."""
    return bool(result.different or result.missing or result.extra)


def is_behind(deployment: Deployment, lake: Lake) -> bool:
    """Whether Postgres lacks something that the lake has."""
    with psycopg.connect(deployment.database_url, connect_timeout=5) as connection:
        told = connection.execute(
            "SELECT topic, partition, max(next_offset) FROM sink_offsets GROUP BY 1, 2"
        ).fetchall()
    reached = {(topic, partition): offset for topic, partition, offset in told}
    return any(
        offset >= reached.get((table.topic, partition), 0)
        for table in lake.tables
        for partition, offset in lake.found(table.topic)
    )


async def run(seed: int, seconds: int, *, kills: bool) -> bool:
    """Make the check; True when everything is right."""
    plan = Plan(seed)
    cameras = CamerasPart(plan)
    parts = [cameras, RoadsPart(plan), *(make(plan, seconds) for make in PARTS.values())]
    with tempfile.TemporaryDirectory(prefix="verify-lake-") as path:
        folder = Path(path)
        settings = SETTINGS | _SETTINGS | {"TRAFFICAPP_LAKE__URL": f"file://{folder}"}
        async with deployed(1, own_servers=True, settings=settings, roles=ROLES) as deployment:
            await deployment.until_ready()
            killing = kill_some(deployment, folder, seed, seconds) if kills else asyncio.sleep(0)
            senders, _ = await asyncio.gather(send(deployment, plan, parts, seconds), killing)
            print(f"seed {seed}: {senders.acknowledged:,} messages acknowledged", flush=True)
            lake = Lake(folder, deployment, cameras)
            await settled(lake, deployment, lambda: False)
            # nothing is to be told of meanwhile
            await asyncio.gather(*(deployment.supervisor.stop(name) for name in TELLING))
            result = await settled(lake, deployment, lambda: is_behind(deployment, lake))
            print(f"the lake has {lake.size()}", flush=True)
            result.append(await asyncio.to_thread(lake.compare_readers))
            tables = {table.table for table in lake.tables} | {"alert_acknowledgements"}
            result += await compare_restored(deployment, sorted(tables))
            equal = report([one for one in result if one.compared or differs(one)])
            if empty := [one.name for one in result if not (one.compared or differs(one))]:
                print(f"without any: {', '.join(empty)}")
            if not equal:
                print(f"the lines of the processes are in {deployment.logs}")
            return equal


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=int, default=50)
    parser.add_argument("--no-kills", action="store_true", help="leave all processes alone")
    arguments = parser.parse_args()
    equal = asyncio.run(run(arguments.seed, arguments.seconds, kills=not arguments.no_kills))
    print(f"seed {arguments.seed}: " + ("exact" if equal else "NOT exact"), flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
