"""The sums of any range of time: whole hours from memory, minutes and windows at its ends from Postgres. Exact."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from trafficapp.analytics.figures import COLUMNS, SEVERITIES, WINDOWS, RangeSums, Sums
from trafficapp.analytics.spans import HOUR, MINUTE, Edge, Grain, Piece, Span, cut
from trafficapp.stores.cameras.day_sums import DAYS_AT_ONCE, DaysInMemory, DaySums, Numbers
from trafficapp.stores.cameras.health import LeftOut, unhealthy_sums
from trafficapp.stores.cameras.rollups import ADDED, SUMS

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Pool

#: What is read of minutes in one statement.
_SLOTS_AT_ONCE = timedelta(days=DAYS_AT_ONCE)

_TABLES = {Grain.HOURS: "metrics_1h", Grain.MINUTES: "metrics_1m"}
_OF_WINDOWS = f"""
    SELECT camera_id, {ADDED} FROM traffic_metrics
    WHERE lane_id IS NULL AND window_start >= {{start}} AND window_start < {{end}} GROUP BY camera_id
"""  # noqa: S608 - put together from constants
_SLOTS = f"""
    SELECT date_bin(make_interval(mins => $3), bucket_start, timestamptz '2000-01-01Z') AS slot,
           {", ".join(f"sum({name})::bigint AS {name}" for name in SUMS)}
    FROM metrics_1m
    WHERE bucket_start >= $1 AND bucket_start < $2 AND ($4::text[] IS NULL OR camera_id = ANY($4::text[]))
    GROUP BY 1
"""  # noqa: S608 - put together from constants


@dataclass(frozen=True, slots=True)
class Answer:
    """The sums of a range, and how many seconds ago they were known to be so."""

    sums: RangeSums
    age_seconds: float


async def range_sums(
    pool: Pool,
    memory: DaysInMemory,
    start: datetime,
    end: datetime,
    slot_minutes: int = 60,
    cameras: Collection[str] | None = None,
) -> Answer:
    """Sum up the windows that begin in ``[start, end)`` and the alerts triggered in it, but for silent cameras.

    Windows of cameras that were unhealthy are left out.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        memory: of this process.
        start: aware.
        end: aware, after `start`.
        slot_minutes: length of the slots; less than 60 costs a reading of every minute.
        cameras: only these; None for all, and the alerts of no camera with them.

    Raises:
        OverflowError: the range ends in the last hour that a datetime can hold.
        asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.connection.is_transient` tells apart.
    """
    span = cut(start, end)
    chosen = None if cameras is None else sorted(name for name in cameras if "\0" not in name)
    adding = _Adding(span, memory, chosen)
    age_seconds = 0.0
    for first, last in _parts_of_days(span):
        # a part at a time: what is asked for need not be in memory at once
        found, age = await memory.days(pool, first, last)
        age_seconds = max(age_seconds, age)
        adding.add_days(first, found)
        await asyncio.sleep(0)
    if span.edges:
        for row in await _fetch(pool, _edges_statement(span.edges, chosen)):
            adding.add_edge(span.edges[row["edge"]], row)
        for row in await _fetch(pool, _edge_alerts_statement(span.edges, chosen)):
            adding.alerts[row["severity"]] = adding.alerts.get(row["severity"], 0) + row["alerts"]
    sums = adding.result()
    if slot_minutes != 60:
        sums = await _with_slots(pool, sums, slot_minutes, chosen)
    return Answer(_without(sums, await unhealthy_sums(pool, start, end, slot_minutes, chosen)), age_seconds)


def _without(sums: RangeSums, left_out: Sequence[LeftOut]) -> RangeSums:
    """The same without the windows of unhealthy cameras."""
    if not left_out:
        return sums
    slots, cameras = sums.slots.copy(), sums.cameras.copy()
    place_of = {camera_id: place for place, camera_id in enumerate(sums.camera_ids)}
    slot_of = {start: place for place, start in enumerate(sums.slot_starts)}
    windows = 0
    for one in left_out:
        place, slot = place_of.get(one.camera_id), slot_of.get(one.slot)
        if place is None or slot is None:
            # read a moment later than the rest
            continue
        values = np.minimum(one.sums, cameras[place])
        cameras[place] -= values
        slots[slot] -= values
        windows += int(values[WINDOWS])
    kept = np.flatnonzero(cameras[:, WINDOWS])
    names = [sums.camera_ids[place] for place in kept.tolist()]
    return replace(sums, slots=slots, camera_ids=names, cameras=cameras[kept], left_out_windows=windows)


def _parts_of_days(span: Span) -> Iterator[tuple[date, date]]:
    """The days that whole hours of a span lie in, the first and the last of each part."""
    if span.first_hour >= span.end_hour:
        return
    first, end = span.first_hour.date(), (span.end_hour - HOUR).date()
    while first <= end:
        last = min(end, first + timedelta(days=DAYS_AT_ONCE - 1))
        yield first, last
        first = last + timedelta(days=1)


class _Adding:
    """Adds up hours of days and edges."""

    def __init__(self, span: Span, memory: DaysInMemory, chosen: list[str] | None) -> None:
        self._span = span
        self._memory = memory
        self._names = chosen
        self._chosen: Numbers | None = None
        self._first_slot = (
            span.edges[0].hour if span.edges and span.edges[0].start < span.first_hour else span.first_hour
        )
        last = max([span.end_hour, *(edge.hour + HOUR for edge in span.edges)])
        self.slots = np.zeros((round((last - self._first_slot) / HOUR), COLUMNS), dtype=np.int64)
        self.cameras = np.zeros((len(memory.names), COLUMNS), dtype=np.int64)
        self.alerts: dict[str, int] = {}
        self._alerts = np.zeros(len(SEVERITIES), dtype=np.int64)

    def add_days(self, first: date, days: Sequence[DaySums]) -> None:
        """Add days that follow one another."""
        self._grow()
        # cameras have numbers once their days are read
        self._chosen = None if self._names is None else self._memory.numbers(self._names)
        for number, day in enumerate(days):
            self._add_day(first + timedelta(days=number), day)

    def _add_day(self, when: date, day: DaySums) -> None:
        """Add those hours of a day that lie in the span whole."""
        midnight = datetime(when.year, when.month, when.day, tzinfo=UTC)
        first = max(0, round((self._span.first_hour - midnight) / HOUR))
        last = min(24, round((self._span.end_hour - midnight) / HOUR))
        slot = round((midnight - self._first_slot) / HOUR)
        places = slice(slot + first, slot + last)
        if self._chosen is None:
            self.slots[places] += day.by_hour[first:last]
            whole = last - first == 24
            self.cameras[day.cameras] += day.by_camera if whole else day.cube[first:last].sum(axis=0)
            self._alerts += day.alerts_by_hour[first:last].sum(axis=0)
        else:
            mask = np.isin(day.cameras, self._chosen)
            cube = day.cube[first:last, mask]
            self.slots[places] += cube.sum(axis=1)
            self.cameras[day.cameras[mask]] += cube.sum(axis=0)
            alerts = day.alerts[np.isin(day.alerts[:, 1], self._chosen)]
            alerts = alerts[(alerts[:, 0] >= first) & (alerts[:, 0] < last)]
            np.add.at(self._alerts, alerts[:, 2], alerts[:, 3])

    def add_edge(self, edge: Edge, row: asyncpg.Record) -> None:
        """Add the sums of all cameras in an edge."""
        numbers = [self._memory.number(camera_id) for camera_id in row["cameras"]]
        self._grow()
        values = _values(row)
        self.cameras[numbers] += values
        self.slots[round((edge.hour - self._first_slot) / HOUR)] += values.sum(axis=0)

    def _grow(self) -> None:
        """Have a row for every camera that is known by now."""
        if len(self._memory.names) > len(self.cameras):
            more = np.zeros((len(self._memory.names) - len(self.cameras), COLUMNS), dtype=np.int64)
            self.cameras = np.concatenate([self.cameras, more])

    def result(self) -> RangeSums:
        """All of it."""
        present = np.flatnonzero(self.cameras[:, 0])
        alerts: dict[str, int] = {
            name: self.alerts.get(name, 0) + int(self._alerts[n]) for n, name in enumerate(SEVERITIES)
        }
        return RangeSums(
            start=self._span.start,
            end=self._span.end,
            slot_starts=[self._first_slot + n * HOUR for n in range(len(self.slots))],
            slots=self.slots,
            camera_ids=[self._memory.names[place] for place in present],
            cameras=self.cameras[present],
            alerts=alerts,
        )


async def _with_slots(pool: Pool, sums: RangeSums, minutes: int, chosen: list[str] | None) -> RangeSums:
    """The same with finer slots; parts of a minute at the ends are read like edges."""
    length = timedelta(minutes=minutes)
    midnight = datetime(sums.start.year, sums.start.month, sums.start.day, tzinfo=UTC)
    first = midnight + (sums.start - midnight) // length * length
    slots: Sums = np.zeros((-((first - sums.end) // length), COLUMNS), dtype=np.int64)
    # whole minutes, and what is left of a minute around them
    minutes_start, minutes_end = (
        sums.start + (midnight - sums.start) % MINUTE,
        sums.end - (sums.end - midnight) % MINUTE,
    )
    parts = [Edge(sums.start, sums.end)]
    if minutes_start <= minutes_end:
        parts = [Edge(sums.start, minutes_start), Edge(minutes_end, sums.end)]
    parts = [part for part in parts if part.start < part.end]
    while minutes_start < minutes_end:
        until = min(minutes_end, minutes_start + _SLOTS_AT_ONCE)
        for row in await pool.fetch(_SLOTS, minutes_start, until, minutes, chosen):
            slots[(row["slot"] - first) // length] += [row[name] for name in SUMS]
        minutes_start = until
    if parts:
        for row in await _fetch(pool, _edges_statement(parts, chosen)):
            slots[(parts[row["edge"]].start - first) // length] += _values(row).sum(axis=0)
    return RangeSums(
        start=sums.start,
        end=sums.end,
        slot_starts=[first + n * length for n in range(len(slots))],
        slots=slots,
        camera_ids=sums.camera_ids,
        cameras=sums.cameras,
        alerts=sums.alerts,
    )


def _values(row: asyncpg.Record) -> Sums:
    """The sums of the cameras in a row, by camera and column."""
    return np.array([row[name] for name in SUMS], dtype=np.int64).T


@dataclass(slots=True)
class _Statement:
    """A statement and its arguments; times are numbered as they come."""

    text: str
    arguments: list[Any]

    def time(self, value: datetime) -> str:
        """A place for a time."""
        self.arguments.append(value)
        return f"${len(self.arguments)}::timestamptz"


async def _fetch(pool: Pool, statement: _Statement) -> list[asyncpg.Record]:
    return list(await pool.fetch(statement.text, *statement.arguments))


def _edges_statement(edges: Sequence[Edge], chosen: list[str] | None) -> _Statement:
    """All edges in one statement, so that what is added and what is taken away is of one moment."""
    statement = _Statement("", [chosen])
    parts = list(_parts(statement, edges))
    summed = ", ".join(f"sum(sign * {name})::bigint AS {name}" for name in SUMS)
    listed = ", ".join(f"array_agg({name}) AS {name}" for name in SUMS)
    statement.text = f"""
        SELECT edge, array_agg(camera_id) AS cameras, {listed} FROM (
            SELECT edge, camera_id, {summed} FROM ({" UNION ALL ".join(parts)}) AS pieces
            WHERE $1::text[] IS NULL OR camera_id = ANY($1::text[])
            GROUP BY edge, camera_id
        ) AS sums GROUP BY edge
    """  # noqa: S608 - put together from constants
    return statement


def _parts(statement: _Statement, edges: Sequence[Edge]) -> Iterator[str]:
    columns = f"camera_id, {', '.join(SUMS)}"
    for number, edge in enumerate(edges):
        for piece in edge.pieces():
            source = _of(piece, statement)
            yield f"SELECT {number} AS edge, {piece.sign} AS sign, {columns} FROM ({source}) AS piece"  # noqa: S608


def _of(piece: Piece, statement: _Statement) -> str:
    start, end = statement.time(piece.start), statement.time(piece.end)
    if piece.grain is Grain.WINDOWS:
        return _OF_WINDOWS.format(start=start, end=end)
    return f"SELECT * FROM {_TABLES[piece.grain]} WHERE bucket_start >= {start} AND bucket_start < {end}"  # noqa: S608


def _edge_alerts_statement(edges: Sequence[Edge], chosen: list[str] | None) -> _Statement:
    statement = _Statement("", [chosen])
    spans = [
        f"(triggered_at >= {statement.time(edge.start)} AND triggered_at < {statement.time(edge.end)})"
        for edge in edges
    ]
    statement.text = f"""
        SELECT severity, count(*) AS alerts FROM alerts
        WHERE ({" OR ".join(spans)}) AND ($1::text[] IS NULL OR camera_id = ANY($1::text[]))
          AND alert_type <> 'camera_silent'
        GROUP BY severity
    """  # noqa: S608 - put together from constants
    return statement
