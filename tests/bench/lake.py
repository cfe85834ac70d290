"""A month in the lake beside the same month in Postgres: ``python -m tests.bench.lake`` writes ``build/lake.json``.

Windows of cameras and observations of roads are made in Postgres, and written from there into files, one a day and
topic, as there are once small ones were put together. Then both are asked how much there was by hour and camera or
road, three times each; the best counts. Answers must be the same.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv
from rich.console import Console
from rich.table import Table

from tests.bench.history_load import load as load_windows
from tests.bench.servers import running
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import load_settings
from trafficapp.stack.servers import data_dir
from trafficapp.stores.lake.kept import lake_tables
from trafficapp.stores.lake.pieces import Piece
from trafficapp.stores.lake.queries import ask
from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.lake.tables import LakeTable
from trafficapp.stores.postgres.time_partitions import day_partition

_TRIES = 3
#: By table: when something happened, and whose it is.
ASKED = {"traffic_metrics": ("window_start", "camera_id"), "road_observations": ("observed_at", "road_id")}

_MICROSECONDS = "(extract(epoch FROM {0}) * 1000000)::bigint AS {0}"
_ROADS = """
    INSERT INTO road_observations (road_id, observed_at, event_id, current_speed, free_flow_speed, jam_factor,
                                   congestion_level, speed_ratio, rush_hour, closed, confidence)
    SELECT 'road-' || n, t, md5(n || t::text), 20 + 30 * random(), 50, 10 * random(), 'low', random(),
           extract(hour FROM t) IN (7, 8, 17, 18), false, 0.9
    FROM generate_series(1, {roads}) AS n,
         generate_series({day}::timestamptz, {day}::timestamptz + interval '1 day - 5 minutes', '5 minutes') AS t
    ORDER BY t, n
"""


def load_roads(connection: psycopg.Connection[Any], roads: int, days: list[date]) -> None:
    """Observations of each road every five minutes."""
    for day in days:
        part = day_partition("road_observations", datetime.combine(day, datetime.min.time(), UTC))
        bounds = (part.parent, part.name, part.lower, part.upper)
        connection.execute("SELECT ensure_time_partition(%s, %s, %s, %s)", bounds)
        connection.execute(sql.SQL(_ROADS).format(roads=sql.Literal(roads), day=sql.Literal(f"{day}Z")))


def write_day(connection: psycopg.Connection[Any], storage: Storage, table: LakeTable, day: date, first: int) -> int:
    """Write the rows of a day into a file; returns how many."""
    when = ASKED[table.table][0]
    fields = [field for field in table.schema if not field.name.startswith("kafka_")]
    columns = sql.SQL(", ").join(
        sql.SQL(_MICROSECONDS if pa.types.is_timestamp(field.type) else "{0}").format(sql.Identifier(field.name))
        for field in fields
    )
    question = sql.SQL(
        "COPY (SELECT {columns}, row_to_json(told)::text AS kafka_value FROM {table} AS told"
        " WHERE {when} >= {day} AND {when} < {day}::timestamptz + interval '1 day' ORDER BY {when})"
        " TO STDOUT (FORMAT csv, HEADER)"
    ).format(columns=columns, table=sql.Identifier(table.table), when=sql.Identifier(when), day=sql.Literal(f"{day}Z"))
    with connection.cursor().copy(question) as copied:
        text = b"".join(copied)
    read_as = {field.name: pa.int64() if pa.types.is_timestamp(field.type) else field.type for field in table.schema}
    options = csv.ConvertOptions(column_types=read_as, true_values=["t"], false_values=["f"], strings_can_be_null=True)
    rows = csv.read_csv(io.BytesIO(text), convert_options=options)
    count, by_name = rows.num_rows, {name: rows[name] for name in rows.column_names}
    by_name |= {
        "kafka_partition": pa.array([0] * count, pa.int32()),
        "kafka_offset": pa.array(range(first, first + count), pa.int64()),
        "kafka_time": by_name[when],
        "kafka_key": by_name[ASKED[table.table][1]],
    }
    arrays = [by_name[field.name].cast(field.type) for field in table.schema]
    pending = storage.write(pa.Table.from_arrays(arrays, schema=table.schema))
    storage.publish(pending, Piece(table.topic, day, "log", 0, first, first + count - 1))
    return count


def best(act: Callable[[], list[Any]]) -> tuple[float, list[Any]]:
    """Seconds of the quickest try, and the answer."""
    seconds, answer = [], []
    for _ in range(_TRIES):
        began = time.perf_counter()
        answer = act()
        seconds.append(time.perf_counter() - began)
    return min(seconds), answer


def measure(connection: psycopg.Connection[Any], storage: Storage, tables: list[LakeTable]) -> list[dict[str, Any]]:
    """Ask both, and compare."""
    found = []
    for table in tables:
        when, whose = ASKED[table.table]
        question = (
            # seconds since 1970: to make 175,000 times for Python costs DuckDB 1.5 s
            f"SELECT extract(epoch FROM date_trunc('hour', {when}))::bigint AS hour, {whose}, count(*) "  # noqa: S608
            f"FROM {table.table} "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        )
        files = f"read_parquet('{storage.root}/topic={table.topic}/date=*/*.parquet', hive_partitioning = false)"

        def postgres(question: str = question) -> list[Any]:
            return connection.execute(question).fetchall()  # type: ignore[arg-type]

        def by_command(question: str = question, table: LakeTable = table) -> list[Any]:
            return ask(storage, [table], question).fetchall()

        def by_duckdb(question: str = question, table: LakeTable = table, files: str = files) -> list[Any]:
            with duckdb.connect() as database:
                database.execute("SET TimeZone = 'UTC'")
                return database.execute(question.replace(f"FROM {table.table}", f"FROM {files}")).fetchall()

        seconds, answers = {}, []
        for name, act in {"Postgres": postgres, "trafficapp query": by_command, "DuckDB": by_duckdb}.items():
            seconds[name], answer = best(act)
            answers.append([tuple(row) for row in answer])
        if answers[0] != answers[1] or answers[0] != answers[2]:
            raise SystemExit(f"{table.table}: the answers differ")
        size = connection.execute(
            "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(%s)", [table.table]
        ).fetchone()
        pieces = list(storage.pieces(table.topic))
        found.append(
            {
                "table": table.table,
                "rows": sum(count for *_, count in answers[0]),
                "answer_rows": len(answers[0]),
                "postgres_mb": round(int(size[0]) / 1e6) if size else None,
                "lake_mb": round(sum(storage.sizes(pieces)) / 1e6),
                "seconds": {name: round(value, 3) for name, value in seconds.items()},
            }
        )
    return found


async def run(folder: Path, days: int, cameras: int, roads: int) -> list[dict[str, Any]]:
    """Make the month, and measure."""
    async with running(data_dir.prepare(folder)) as (_, environment):
        url = environment["DATABASE_URL"]
        began = time.monotonic()
        await load_windows(url, days, cameras, 0, lambda _: None, lambda: None)
        today = datetime.now(UTC).date()
        dates = [today - timedelta(days=days - number) for number in range(days)]
        settings = load_settings(postgres={"url": url})
        storage = Storage(f"file://{folder}/lake")
        tables = [one for one in lake_tables(FEEDS, settings).values() if one.table in ASKED]

        def measured() -> list[dict[str, Any]]:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("SET TIME ZONE 'UTC'")
                load_roads(connection, roads, dates)
                connection.execute("VACUUM ANALYZE road_observations")
                for table in tables:
                    first = 0
                    for day in dates:
                        first += write_day(connection, storage, table, day, first)
                print(f"a month was made and written in {time.monotonic() - began:.0f} s", flush=True)
                return measure(connection, storage, tables)

        return await asyncio.to_thread(measured)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--cameras", type=int, default=2, help="with a window each five seconds")
    parser.add_argument("--roads", type=int, default=243, help="observed each five minutes")
    parser.add_argument("--folder", type=Path, help="for 1 GB; a temporary one unless told")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(
        prefix="trafficapp-bench-lake-", dir=arguments.folder, ignore_cleanup_errors=True
    ) as path:
        Path(path).chmod(0o755)
        result = asyncio.run(run(Path(path), arguments.days, arguments.cameras, arguments.roads))
    table = Table(
        "table", "rows", "Postgres MB", "lake MB", *result[0]["seconds"], title="count by hour and one, seconds"
    )
    for one in result:
        sizes = (one["postgres_mb"], one["lake_mb"])
        table.add_row(one["table"], f"{one['rows']:,}", *map(str, (*sizes, *one["seconds"].values())))
    Console().print(table)
    Path("build").mkdir(exist_ok=True)
    Path("build/lake.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
