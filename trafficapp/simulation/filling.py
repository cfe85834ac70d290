"""Simulated history into the database: road observations, windows of cameras and their sums, labelled as simulated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from models.roads.current import SIMULATED_ID
from trafficapp.roads.feed import congestion_level
from trafficapp.settings import RoadSettings
from trafficapp.simulation.city import City
from trafficapp.simulation.days import DayTraffic
from trafficapp.simulation.feed import jam_factors
from trafficapp.simulation.span import STEP_MINUTES, Span, step_means
from trafficapp.simulation.views import CameraView
from trafficapp.simulation.window_rows import WINDOW_COLUMNS, MinuteSums, minute_sums, window_rows
from trafficapp.simulation.windows import WINDOWS_PER_MINUTE, Windows, camera_windows, lane_windows
from trafficapp.stores.cameras.rollups import SUMS, adding
from trafficapp.stores.postgres.time_partitions import ensure_partitions, observations_partition, window_partitions
from trafficapp.windows.congestion import CongestionScale

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

_OBSERVED = (
    *("road_id", "observed_at", "event_id", "current_speed", "free_flow_speed", "jam_factor"),
    *("congestion_level", "speed_ratio", "rush_hour"),
)
_THERE = """
    SELECT (SELECT count(*) FROM road_observations WHERE observed_at >= $1 AND observed_at < $2) AS road_observations,
           (SELECT count(*) FROM traffic_metrics WHERE window_start >= $1 AND window_start < $2) AS traffic_metrics,
           (SELECT count(*) FROM metrics_1h WHERE bucket_start >= date_trunc('hour', $1) AND bucket_start < $2)
           AS metrics_1h
"""
_STAGES = """
    CREATE TEMPORARY TABLE simulated_roads (LIKE road_observations INCLUDING DEFAULTS);
    CREATE TEMPORARY TABLE simulated_minutes (LIKE metrics_1m);
    CREATE TEMPORARY TABLE simulated_windows (LIKE traffic_metrics INCLUDING DEFAULTS);
    ALTER TABLE simulated_windows ALTER COLUMN counts_by_class TYPE text
"""
_ADD_ROADS = """
    WITH added AS (
        INSERT INTO road_observations SELECT * FROM simulated_roads ORDER BY road_id, observed_at
        ON CONFLICT (road_id, observed_at) DO NOTHING RETURNING 1
    ) SELECT count(*) FROM added
"""
#: Sums of the hour are those of its minutes, so hours of which only some minutes are new are right as well.
_ADD_MINUTES = f"""
    WITH added AS (
        INSERT INTO metrics_1m SELECT * FROM simulated_minutes ORDER BY bucket_start, camera_id
        ON CONFLICT (bucket_start, camera_id) DO NOTHING RETURNING *
    ), hours AS (
        INSERT INTO metrics_1h AS kept (bucket_start, camera_id, {", ".join(SUMS)})
        SELECT date_trunc('hour', bucket_start) AS hour, camera_id, {", ".join(f"sum({name})" for name in SUMS)}
        FROM added GROUP BY hour, camera_id ORDER BY camera_id, hour
        ON CONFLICT (bucket_start, camera_id)
        DO UPDATE SET {", ".join(f"{name} = kept.{name} + EXCLUDED.{name}" for name in SUMS)}
    ), noted AS (
        INSERT INTO metrics_changes AS kept (day, camera_id, change)
        SELECT day, camera_id, next_change()
        FROM (SELECT DISTINCT (bucket_start AT TIME ZONE 'UTC')::date AS day, camera_id FROM added) AS touched
        ORDER BY camera_id, day
        ON CONFLICT (day, camera_id) DO UPDATE SET change = next_change(kept.change)
    ) SELECT count(*) FROM added
"""  # noqa: S608 - put together from constants
_WINDOWS = ", ".join(WINDOW_COLUMNS)
_ADD_WINDOWS = adding(
    f"INSERT INTO traffic_metrics ({_WINDOWS}) SELECT {_WINDOWS.replace('class', 'class::jsonb')} "  # noqa: S608
    "FROM simulated_windows ON CONFLICT (camera_id, window_start, lane_id) DO NOTHING"
)
#: Sums that were there before must not be added to: they are of windows that are gone.
_SUMS_WITHOUT_WINDOWS = """
    SELECT EXISTS (SELECT FROM metrics_1m WHERE bucket_start >= $1 AND bucket_start < $2)
           AND NOT EXISTS (SELECT FROM traffic_metrics WHERE window_start >= $1 AND window_start < $2)
"""
_ROADS = """
    INSERT INTO roads (road_id, road_name, free_flow_speed, coordinates, edges, graph_version, last_seen)
    VALUES ($1, $2, $3, $4::text::jsonb, $5::text::jsonb, $6, $7) ON CONFLICT (road_id) DO NOTHING
"""
_CAMERAS = """
    INSERT INTO cameras (camera_id, last_seen) SELECT unnest($1::text[]), $2
    ON CONFLICT (camera_id) DO UPDATE SET last_seen = EXCLUDED.last_seen
    WHERE cameras.last_seen IS NULL OR cameras.last_seen < EXCLUDED.last_seen
"""
_LABEL = "INSERT INTO simulated_spans (from_time, to_time, seed, contents) VALUES ($1, $2, $3, $4)"

_encode = msgspec.json.Encoder().encode


class NotEmptyError(Exception):
    """The database has rows in the span; the text says how many of which."""


class HistoryFiller:
    """Writes a simulated span into the database, a day at a time.

    Args:
        city: the city.
        views: its cameras.
        scales: constants of the score of each camera.
        span: what is simulated.
        settings: of roads.
        windows_length: how long before the end there are windows; whole hours of them. Before, there are only sums, as
            if the windows had been dropped by retention.
    """

    def __init__(
        self, city: City, views: Sequence[CameraView], scales: Sequence[CongestionScale], span: Span,
        settings: RoadSettings, windows_length: timedelta,
    ) -> None:  # fmt: skip
        self._city, self._views, self._scales, self._span = city, views, scales, span
        self._settings = settings
        since = (span.end - windows_length).replace(minute=0, second=0, microsecond=0)
        self._windows_from = max(since, span.start)
        self._written: Counter[str] = Counter()
        self._adding = False

    async def fill(
        self, connection: Connection, *, add: bool = False, progress: Callable[[int], None] = lambda minutes: None
    ) -> dict[str, int]:
        """Write it all.

        Args:
            connection: to the database.
            add: also where there are rows; those stay.
            progress: told of simulated minutes.

        Returns:
            rows written, by table.

        Raises:
            NotEmptyError: there are rows in the span.
        """
        span = self._span
        there = await connection.fetchrow(_THERE, span.start, span.end)
        found = [f"{rows:,} rows of {table}" for table, rows in (there or {}).items() if rows]
        if found and not add:
            raise NotEmptyError(
                f"the database has {', '.join(found)} from {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC"
            )
        self._adding = add
        await connection.execute(_STAGES)
        # first, so that nothing is there without its label
        await connection.execute(_LABEL, span.start, span.end, span.seed, "roads and cameras")
        await self._write_roads(connection)
        await connection.execute(_CAMERAS, [view.camera_id for view in self._views], span.end)
        for traffic in span.days(self._city, progress):
            await self._write_observations(connection, traffic)
            await self._write_cameras(connection, traffic)
        for table in ("simulated_roads", "simulated_minutes", "simulated_windows"):
            await connection.execute(f"DROP TABLE {table}")
        return dict(self._written)

    async def _write_roads(self, connection: Connection) -> None:
        graph, rows = self._city.graph, []
        for edge, road_id in enumerate(graph.edge_ids.tolist()):
            line = slice(int(graph.shape_offsets[edge]), int(graph.shape_offsets[edge + 1]))
            points = list(zip(graph.shape_lon[line].tolist(), graph.shape_lat[line].tolist(), strict=True))
            free_kmh = round(float(self._city.free_flow_kmh[edge]), 2)
            texts = (_encode(points).decode(), _encode([(road_id, 1.0)]).decode())
            rows.append((road_id, graph.road_name(edge), free_kmh, *texts, graph.version, self._span.end))
        await connection.executemany(_ROADS, rows)
        self._written["roads"] += len(rows)

    async def _write_observations(self, connection: Connection, traffic: DayTraffic) -> None:
        rows = self._observations(traffic)
        begin, end = traffic.begin, traffic.begin + timedelta(minutes=len(traffic.speed_kmh))
        await ensure_partitions(connection, {observations_partition(moment) for moment in _days(begin, end)})
        if not self._adding:
            status = await connection.copy_records_to_table("road_observations", records=rows, columns=_OBSERVED)
            self._written["road_observations"] += int(status.rpartition(" ")[2])
            return
        async with connection.transaction():
            await connection.execute("TRUNCATE simulated_roads")
            await connection.copy_records_to_table("simulated_roads", records=rows, columns=_OBSERVED)
            self._written["road_observations"] += int(await connection.fetchval(_ADD_ROADS))

    def _observations(self, traffic: DayTraffic) -> Iterable[tuple[Any, ...]]:
        """A row for each road and step; the mean over a step is told as of its begin."""
        graph, settings, zone = self._city.graph, self._settings, self._span.zone
        speeds = np.round(step_means(traffic.measured_kmh), 2)
        free = np.round(self._city.free_flow_kmh, 2)
        jams, ratios = jam_factors(speeds, free), np.round(speeds / free, 4)
        road_ids, free_kmh = graph.edge_ids.tolist(), free.tolist()
        for step, (step_speeds, step_jams, step_ratios) in enumerate(zip(speeds, jams, ratios, strict=True)):
            moment = traffic.begin + step * timedelta(minutes=STEP_MINUTES)
            rush_hour = any(first <= moment.astimezone(zone).hour < end for first, end in settings.rush_hours)
            second = int(moment.timestamp())
            columns = (step_speeds.tolist(), free_kmh, step_jams.tolist(), step_ratios.tolist())
            for road_id, speed, free_speed, jam, ratio in zip(road_ids, *columns, strict=True):
                level = congestion_level(settings, jam)
                event_id = f"{SIMULATED_ID}{road_id}-{second}"
                yield road_id, moment, event_id, speed, free_speed, jam, level, ratio, rush_hour

    async def _write_cameras(self, connection: Connection, traffic: DayTraffic) -> None:
        lanes = lane_windows(self._city, self._views, traffic, self._scales)
        whole = camera_windows(self._views, lanes, self._scales)
        minutes = len(traffic.speed_kmh)
        days = _days(traffic.begin, traffic.begin + timedelta(minutes=minutes))
        await ensure_partitions(connection, {part for day in days for part in window_partitions(day)})
        # from here on there are windows, and sums are made of them
        split = int(np.clip((self._windows_from - traffic.begin).total_seconds() // 60, 0, minutes))
        sums = minute_sums(whole, self._scales)
        async with connection.transaction():
            await self._add_minutes(connection, traffic.begin, sums, split)
        for first in range(split, minutes, 60):
            async with connection.transaction():
                await self._add_windows(connection, traffic, lanes, whole, first, min(first + 60, minutes))

    async def _add_minutes(self, connection: Connection, begin: datetime, sums: MinuteSums, minutes: int) -> None:
        await connection.execute("TRUNCATE simulated_minutes")
        names = [view.camera_id for view in self._views]
        rows = (
            (begin + timedelta(minutes=minute), name, *values)
            for minute, cameras in enumerate(sums[:minutes].tolist())
            for name, values in zip(names, cameras, strict=True)
            if values[0]
        )
        await connection.copy_records_to_table(
            "simulated_minutes", records=rows, columns=("bucket_start", "camera_id", *SUMS)
        )
        self._written["metrics_1m"] += int(await connection.fetchval(_ADD_MINUTES))

    async def _add_windows(
        self, connection: Connection, traffic: DayTraffic, lanes: Windows, whole: Windows, first: int, last: int
    ) -> None:
        """Windows of some minutes; the statement that writes them keeps their sums."""
        windows = slice(first * WINDOWS_PER_MINUTE, last * WINDOWS_PER_MINUTE)
        begin = traffic.begin + timedelta(minutes=first)
        if await connection.fetchval(_SUMS_WITHOUT_WINDOWS, begin, begin + _HOUR):
            return
        chance = np.random.default_rng([self._span.seed, int(begin.timestamp())])
        rows = window_rows(self._views, self._scales, lanes.cut(windows), whole.cut(windows), begin, chance)
        await connection.execute("TRUNCATE simulated_windows")
        await connection.copy_records_to_table("simulated_windows", records=rows, columns=WINDOW_COLUMNS)
        self._written["traffic_metrics"] += int(await connection.fetchval(_ADD_WINDOWS))


def _days(begin: datetime, end: datetime) -> list[datetime]:
    """A moment in each UTC day of a span."""
    day = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    while day < end:
        found.append(day)
        day += _DAY
    return found
