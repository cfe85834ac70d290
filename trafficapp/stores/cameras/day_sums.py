"""The sums of whole days in memory, ten numbers for each camera and hour, as they are in Postgres.

A question over a month needs 720 hours of every camera; reading them costs the server 60 ms, which fifty
clients cannot have. A day takes 1.9 kB a camera, packed a fraction of that. Days are kept until their entry in
the tables of changes is another one, which is asked for at most every `FRESH_SECONDS`.
"""

from __future__ import annotations

import asyncio
import math
import time
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trafficapp.analytics.figures import COLUMNS, SEVERITIES, Sums
from trafficapp.stores.cameras.rollups import SUMS

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

#: Answers are no older than this.
FRESH_SECONDS = 2.0
#: Memory that days may take before those that nobody asked for longest are forgotten.
MAX_BYTES = 128 << 20
#: Days that are in memory at most: those without any windows take some, too.
MAX_DAYS = 1000
#: Days read in one statement: it takes as long as other questions may wait.
DAYS_AT_ONCE = 31

_CHANGES = """
    SELECT day, sum(change)::text AS change FROM (
        SELECT day, change FROM metrics_changes WHERE day >= $1 AND day <= $2
        UNION ALL SELECT day, change FROM alert_changes WHERE day >= $1 AND day <= $2
    ) AS changes GROUP BY day
"""
_CAMERAS = """
    SELECT camera_id FROM metrics_changes WHERE day >= $1 AND day <= $2
    UNION SELECT coalesce(camera_id, '') FROM alerts WHERE triggered_at >= $1::date::timestamp AT TIME ZONE 'UTC'
      AND triggered_at < ($2::date + 1)::timestamp AT TIME ZONE 'UTC'
"""
# as bytes in network order: a Python object for each number would cost more than all the rest
_HOURS = f"""
    SELECT (bucket_start AT TIME ZONE 'UTC')::date AS day,
           string_agg(int4send(extract(hour FROM bucket_start AT TIME ZONE 'UTC')::int), '') AS hours,
           string_agg(int4send(known.number::int), '') AS cameras,
           {", ".join(f"string_agg(int8send({name}), '') AS {name}" for name in SUMS)}
    FROM metrics_1h JOIN unnest($3::text[]) WITH ORDINALITY AS known (camera_id, number) USING (camera_id)
    WHERE bucket_start >= $1 AND bucket_start < $2
    GROUP BY 1
"""  # noqa: S608 - put together from constants
_ALERTS = """
    SELECT day, string_agg(int4send(hour), '') AS hours, string_agg(int4send(camera), '') AS cameras,
           string_agg(int4send(severity), '') AS severities, string_agg(int8send(alerts), '') AS alerts
    FROM (
        SELECT (triggered_at AT TIME ZONE 'UTC')::date AS day, extract(hour FROM triggered_at AT TIME ZONE 'UTC')::int
               AS hour, known.number::int AS camera, array_position($4::text[], alerts.severity) AS severity,
               count(*) AS alerts
        FROM alerts JOIN unnest($3::text[]) WITH ORDINALITY AS known (camera_id, number)
             ON known.camera_id = coalesce(alerts.camera_id, '')
        WHERE triggered_at >= $1 AND triggered_at < $2 AND alerts.severity = ANY($4::text[])
              AND alert_type <> 'camera_silent'
        GROUP BY 1, 2, 3, 4
    ) AS counted GROUP BY day
"""

Numbers = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class DaySums:
    """A day.

    Attributes:
        change: what the tables of changes said before it was read.
        cameras: numbers of the cameras, in the order of the second axis of `cube`.
        by_hour, by_camera: sums added up over cameras, over hours.
        packed: all of them by hour, camera, column, see `cube`; most questions want whole days of all cameras.
        alerts: counted by hour, camera number and severity: four columns, the count last.
        alerts_by_hour: the same by hour and severity, over all cameras.
    """

    change: str | None
    cameras: Numbers
    by_hour: Sums
    by_camera: Sums
    packed: bytes
    alerts: Numbers
    alerts_by_hour: Numbers
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = len(self.packed) + self.by_camera.nbytes + self.by_hour.nbytes + self.alerts.nbytes

    @property
    def cube(self) -> Sums:
        """Sums by hour, camera, column."""
        unpacked = np.frombuffer(zlib.decompress(self.packed), dtype=np.int64)
        return unpacked.reshape(24, len(self.cameras), COLUMNS)


class DaysInMemory:
    """Days as they are asked for; one for a process.

    Attributes:
        names: cameras by their numbers; it only grows. Alerts of no camera have the name ``""``.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, fresh_seconds: float = FRESH_SECONDS) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._days: OrderedDict[date, DaySums] = OrderedDict()
        self._max_bytes = max_bytes
        self._fresh_seconds = fresh_seconds
        self._checked_at = -math.inf
        self._reading = asyncio.Lock()

    async def days(self, pool: Pool, first: date, last: date) -> tuple[list[DaySums], float]:
        """The days from `first` to `last`, both inclusive, and how many seconds ago they were known to be so.

        Whoever asks while another one's question is being read waits for it.

        Raises:
            asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.connection.is_transient` tells apart.
        """
        wanted = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        if not self._is_fresh(wanted):
            async with self._reading:
                if not self._is_fresh(wanted):
                    await self._read(pool, wanted)
        found = [self._days[day] for day in wanted]
        for day in wanted:
            self._days.move_to_end(day)
        self._forget_beyond(len(wanted))
        return found, time.monotonic() - self._checked_at

    def number(self, name: str) -> int:
        """The number of a camera, a new one when it has none."""
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]

    def numbers(self, names: Collection[str]) -> Numbers:
        """The numbers of those cameras that have any."""
        return np.array(sorted(self._numbers[name] for name in names if name in self._numbers), dtype=np.int64)

    def _is_fresh(self, wanted: Iterable[date]) -> bool:
        return self._checked_at >= time.monotonic() - self._fresh_seconds and all(day in self._days for day in wanted)

    async def _read(self, pool: Pool, wanted: list[date]) -> None:
        """Read what is wanted, and make sure of everything else that is in memory."""
        async with pool.acquire() as connection:
            now = time.monotonic()
            held = (min([wanted[0], *self._days]), max([wanted[-1], *self._days]))
            # before the sums: they may be newer than what is noted here, never older
            changes = {row["day"]: row["change"] for row in await connection.fetch(_CHANGES, *held)}
            for day in [day for day, known in self._days.items() if known.change != changes.get(day)]:
                del self._days[day]
            missing = [day for day in wanted if day not in self._days]
            while missing:
                batch = [day for day in missing if (day - missing[0]).days < DAYS_AT_ONCE]
                await self._load(connection, batch, changes)
                missing = missing[len(batch) :]
            self._checked_at = now

    async def _load(self, connection: Connection, batch: list[date], changes: dict[date, str]) -> None:
        for row in await connection.fetch(_CAMERAS, batch[0], batch[-1]):
            self.number(row["camera_id"])
        bounds = (_midnight(batch[0]), _midnight(batch[-1]) + timedelta(days=1))
        hours = {row["day"]: row for row in await connection.fetch(_HOURS, *bounds, self.names)}
        alerts = {row["day"]: row for row in await connection.fetch(_ALERTS, *bounds, self.names, SEVERITIES)}
        loaded: dict[date, DaySums] = {}
        for day in batch:
            loaded[day] = _day(changes.get(day), hours.get(day), alerts.get(day))
            # many days of many cameras take a while, in which others are answered
            await asyncio.sleep(0)
        # at once: whoever forgets days meanwhile forgets none of these
        self._days.update(loaded)

    def _forget_beyond(self, asked_for: int) -> None:
        taken = sum(day.bytes for day in self._days.values())
        while len(self._days) > asked_for and (taken > self._max_bytes or len(self._days) > MAX_DAYS):
            taken -= self._days.popitem(last=False)[1].bytes


def _day(change: str | None, hours: asyncpg.Record | None, alerts: asyncpg.Record | None) -> DaySums:
    if hours is None:
        cameras, cube = np.zeros(0, dtype=np.int64), np.zeros((24, 0, COLUMNS), dtype=np.int64)
    else:
        # ordinals count from one
        cameras, places = np.unique(_integers(hours["cameras"], 4) - 1, return_inverse=True)
        cube = np.zeros((24, len(cameras), COLUMNS), dtype=np.int64)
        for column, name in enumerate(SUMS):
            cube[_integers(hours["hours"], 4), places, column] = _integers(hours[name], 8)
    counted = np.zeros((0, 4), dtype=np.int64)
    if alerts is not None:
        columns = (_integers(alerts["hours"], 4), _integers(alerts["cameras"], 4) - 1)
        counted = np.stack([*columns, _integers(alerts["severities"], 4) - 1, _integers(alerts["alerts"], 8)], axis=1)
    alerts_by_hour = np.zeros((24, len(SEVERITIES)), dtype=np.int64)
    np.add.at(alerts_by_hour, (counted[:, 0], counted[:, 2]), counted[:, 3])
    packed = zlib.compress(cube.tobytes(), 1)
    return DaySums(change, cameras, cube.sum(axis=1), cube.sum(axis=0), packed, counted, alerts_by_hour)


def _integers(raw: bytes, width: int) -> Numbers:
    return np.frombuffer(raw, dtype=f">i{width}").astype(np.int64)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
