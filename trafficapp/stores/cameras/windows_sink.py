"""Finished windows into ``traffic_metrics``, each once however often it is sent, and into their sums."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
import msgspec

from models.cameras.window_rows import decode_finished_window
from models.timestamps import epoch_us
from trafficapp.settings import Settings
from trafficapp.stores.cameras.rollups import RECOMPUTE_HOUR, adding
from trafficapp.stores.measures.pending_sums import settle
from trafficapp.stores.measures.sketches import packed
from trafficapp.stores.postgres.rows import columns_of, days_of, storable, write_all
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters, postgres_time, write_what_fits
from trafficapp.stores.postgres.time_partitions import METRICS_TABLE, window_partitions
from trafficapp.stores.record_rows import RecordRows
from trafficapp.topics import METRICS

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection

_log = logging.getLogger(__name__)

_Time: TypeAlias = tuple[int]
#: The values of `COLUMNS`.
MetricsRow: TypeAlias = tuple[
    str, _Time, int | None, _Time, int, str, float | None, float | None, int, str, float | None, int, int,
    bytes | None,
]  # fmt: skip

_encode_counts = msgspec.json.Encoder().encode

#: Types by name, in the order of a row: first the key.
COLUMNS = {
    "camera_id": "text",
    "window_start": "timestamptz",
    "lane_id": "smallint",
    "window_end": "timestamptz",
    "vehicle_count": "integer",
    "counts_by_class": "jsonb",
    "avg_speed_kmh": "double precision",
    "stopped_ratio": "double precision",
    "queue_length": "integer",
    "congestion_level": "text",
    "congestion_score": "double precision",
    "detections": "integer",
    "pictures": "integer",
    "speed_sketch": "bytea",
}
_KEY, _VALUES = ", ".join(list(COLUMNS)[:3]), ", ".join(list(COLUMNS)[3:])
# JSON is a text until it is in the table
_STAGED = ", ".join(f"{name} {kind.replace('jsonb', 'text')}" for name, kind in COLUMNS.items())
_STAGE = f"CREATE TEMPORARY TABLE sent_metrics ({_STAGED}) ON COMMIT DELETE ROWS"
_SENT = _VALUES.replace("counts_by_class", "counts_by_class::jsonb")
_INSERT = adding(
    f"INSERT INTO traffic_metrics ({_KEY}, {_VALUES}) SELECT {_KEY}, {_SENT} FROM sent_metrics"  # noqa: S608
    f" ON CONFLICT ({_KEY}) DO NOTHING"
)
# windows from before there were sketches of this form have them in another
_KEPT = f"kept.{_VALUES.replace(', ', ', kept.')}".replace(
    "kept.speed_sketch", "coalesce(kept.speed_sketch, packed_sketch(kept.speed_buckets, kept.speed_counts))"
)
_REPLACE = f"""
    UPDATE traffic_metrics AS kept SET ({_VALUES}) = ROW (sent.*)
    FROM sent_metrics AS s CROSS JOIN LATERAL (SELECT s.{_SENT.replace(", ", ", s.")}) AS sent ({_VALUES})
    WHERE kept.camera_id = s.camera_id AND kept.window_start = s.window_start
      AND kept.lane_id IS NOT DISTINCT FROM s.lane_id
      AND ({_KEPT}) IS DISTINCT FROM (sent.{_VALUES.replace(", ", ", sent.")})
    RETURNING kept.camera_id, to_char(kept.window_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS start,
              kept.lane_id, date_bin('1 hour', kept.window_start, timestamptz '2000-01-01 00:00:00Z')::text AS hour
"""  # noqa: S608 - put together from the constants above
_SEEN = """
    INSERT INTO cameras (camera_id, last_seen)
    SELECT camera_id, last_seen FROM unnest($1::text[], $2::timestamptz[]) AS sent (camera_id, last_seen)
    ORDER BY camera_id
    ON CONFLICT (camera_id) DO UPDATE SET last_seen = EXCLUDED.last_seen
    WHERE cameras.last_seen IS NULL OR cameras.last_seen < EXCLUDED.last_seen
"""


class HistoryMetricsSink(HistorySink[list[MetricsRow]]):
    """Keeps every finished window, and when each camera was last seen.

    The same row sent again changes nothing. A row with other values must not happen, because a final
    row never changes: it is an error in the log and in the counters, and the later row is kept, as in
    every other store that reads the topic.

    Args:
        settings: of the process.
        topic: where the rows are read.
        should_stop: asked while Postgres is away; True gives up waiting.
    """

    name = METRICS_TABLE

    def __init__(
        self, settings: Settings, topic: str = METRICS, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(settings.postgres, topic, should_stop)

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[list[MetricsRow], SinkCounters]:
        """Turn records into rows: the key first, then the values."""
        counters = SinkCounters()
        return [row for _, row in window_rows(self.topic).of(records, counters)], counters

    async def prepare_connection(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Make the table where a run waits: COPY costs a seventh of what arrays as arguments cost."""
        await super().prepare_connection(connection)
        await connection.execute(_STAGE)

    async def ensure_partitions(self, connection: Connection, batch: list[MetricsRow]) -> None:
        """Make sure that the partitions of the days in a batch exist."""
        days = days_of(row[1] for row in batch)
        await self._partitions.ensure(connection, {part for day in days for part in window_partitions(day)})

    async def write(
        self, connection: Connection, batch: list[MetricsRow], counters: SinkCounters, isolating: bool
    ) -> None:
        """Insert the rows that are new, and look at the others."""

        async def insert(rows: Sequence[MetricsRow]) -> None:
            await _stage(connection, rows)
            inserted = int(await connection.fetchval(_INSERT))
            differing = 0
            if inserted < len(rows):
                # a window may be twice in a run, too: its last row counts
                await _stage(connection, list({row[:3]: row for row in rows}.values()))
                differing = await _note_differing(connection, await connection.fetch(_REPLACE))
            counters.rows += inserted
            counters.differing += differing
            counters.repeated += len(rows) - inserted - differing

        if isolating:
            counters.unstorable = await write_what_fits(connection, batch, insert)
        elif batch:
            await insert(batch)
        await self._note_cameras(connection, batch, isolating)

    async def flush(self) -> int:
        """Add to the sums of lanes what windows gave to them since the last time; how many windows that was.

        Raises:
            Exception: as Postgres says; what was not added waits on.
        """
        pool = await self._opened_pool()
        async with pool.acquire() as connection:
            return await settle(connection, lambda parts: self._partitions.ensure(connection, parts))

    async def _note_cameras(self, connection: Connection, batch: list[MetricsRow], isolating: bool) -> None:
        seen: dict[str, _Time] = {}
        for row in batch:
            camera_id, end = row[0], row[3]
            if camera_id not in seen or end > seen[camera_id]:
                seen[camera_id] = end

        async def note(rows: Sequence[tuple[str, _Time]]) -> None:
            await connection.execute(_SEEN, *columns_of(rows))

        await write_all(connection, list(seen.items()), note, isolating)


def window_rows(topic: str = METRICS) -> RecordRows[MetricsRow]:
    """Reads records into rows; for one run, as it remembers the times that it has read."""
    times: dict[str, _Time] = {}

    def read(record: ConsumerRecord) -> MetricsRow:
        row = decode_finished_window(record.value or b"")
        for text in (row.window_start, row.window_end):
            if text not in times:
                times[text] = postgres_time(epoch_us(text))
        return (
            storable(row.camera_id),
            times[row.window_start],
            row.lane_id,
            times[row.window_end],
            row.vehicle_count,
            _encode_counts(row.counts_by_class).decode(),
            row.avg_speed_kmh,
            row.stopped_ratio,
            row.queue_length,
            row.congestion_level,
            row.congestion_score,
            row.detections,
            row.pictures,
            packed(row.speed_counts) if row.speed_counts else None,
        )

    return RecordRows(topic, "finished window", read)


async def _stage(connection: Connection, rows: Sequence[MetricsRow]) -> None:
    """Fill the staging table with these rows alone; the end of the transaction empties it."""
    await connection.execute("DELETE FROM sent_metrics")
    await connection.copy_records_to_table("sent_metrics", records=rows, columns=list(COLUMNS))


async def _note_differing(connection: Connection, rows: Sequence[asyncpg.Record]) -> int:
    """Tell which rows were replaced, and make the sums of their hours anew."""
    for row in rows:
        lane = "all lanes" if row["lane_id"] is None else f"lane {row['lane_id']}"
        _log.error("the final window of %s, %s, at %s was sent with other values", row["camera_id"], lane, row["start"])
    for hour in sorted({(row["camera_id"], row["hour"]) for row in rows if row["lane_id"] is None}):
        await connection.execute(RECOMPUTE_HOUR, *hour)
    return len(rows)
