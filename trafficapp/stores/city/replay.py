"""What happened in a stretch of time, from the history of every subject."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from models.city.replay import (
    Replay,
    ReplayedAlert,
    ReplayedIncident,
    ReplayedPlace,
    ReplayedRoad,
    ReplayedWindow,
    ReplayPart,
)
from models.roads.current import speed_from
from models.timestamps import epoch_us, rfc3339
from trafficapp.roads.feeds import CURRENT_SECONDS
from trafficapp.stores.cameras.scores import simulated_within
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

#: Rows of a part at most: two megabytes of JSON.
MOST_ROWS = 40_000

#: A window older than this says nothing of a camera any more: it is silent.
CAMERA_STATE = timedelta(seconds=60)
ROAD_STATE = timedelta(seconds=CURRENT_SECONDS)

_ROAD = "observed_at AS at, road_id, current_speed, jam_factor, congestion_level, closed, confidence"
_ROADS_BEFORE = f"""
    SELECT DISTINCT ON (road_id) {_ROAD} FROM road_observations
    WHERE observed_at >= $1 AND observed_at < $2 ORDER BY road_id, observed_at DESC
"""  # noqa: S608 - our own
_ROADS = f"""
    SELECT {_ROAD} FROM road_observations WHERE observed_at >= $1 AND observed_at < $2
    ORDER BY observed_at, road_id LIMIT $3
"""  # noqa: S608 - likewise
_WINDOW = "window_end AS at, camera_id, vehicle_count, avg_speed_kmh, queue_length, congestion_level, congestion_score"
# The bounds on window_start let all partitions but one or two go; a window is no longer than an hour.
_IN_SPAN = """
    lane_id IS NULL AND window_start >= $1::timestamptz - interval '1 hour' AND window_start < $2
    AND window_end >= $1 AND window_end < $2
"""
_WINDOWS_BEFORE = f"""
    SELECT DISTINCT ON (camera_id) {_WINDOW} FROM traffic_metrics WHERE {_IN_SPAN}
    ORDER BY camera_id, window_end DESC
"""  # noqa: S608 - likewise
_WINDOWS = f"""
    SELECT {_WINDOW} FROM traffic_metrics WHERE {_IN_SPAN} ORDER BY window_end, camera_id LIMIT $3
"""  # noqa: S608 - likewise
_TRANSIT = """
    SELECT observed_at AS at, vehicle_id, type AS kind, latitude, longitude FROM transit_positions
    WHERE observed_at >= $1 AND observed_at < $2
"""
_CARS = """
    SELECT observed_at AS at, vehicle_id, 'car' AS kind, latitude, longitude FROM vehicle_positions
    WHERE observed_at >= $1 AND observed_at < $2 AND plausible
"""
_PLACES = "SELECT * FROM ({parts}) AS places ORDER BY at, vehicle_id LIMIT $3"
_ALERTS = """
    SELECT id, alert_type, severity, camera_id, title, triggered_at, resolved_at FROM alerts
    WHERE triggered_at < $2 AND (resolved_at IS NULL OR resolved_at >= $1) ORDER BY triggered_at, id
"""
_INCIDENTS = """
    SELECT incident_id, kind, severity, state, closed, latitude, longitude, description, reported_at, cleared_at
    FROM incidents
    WHERE reported_at < $2 AND state <> 'rejected' AND (cleared_at IS NULL OR cleared_at >= $1)
    ORDER BY reported_at, incident_id
"""


async def replay(
    pool: Pool, since: datetime, until: datetime, *, with_state: bool, parts: Collection[ReplayPart], with_cars: bool
) -> Replay:
    """What happened in ``[since, until)``, as of one moment of the history.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        since: aware.
        until: aware.
        with_state: also the newest observation of each road and window of each camera before, as far as they were
            current then.
        parts: what is wanted beside alerts and incidents.
        with_cars: whether vehicles are connected cars and trackers, too.
    """
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        asked = _Asked(connection, since, until)
        roads = await asked.rows("roads", parts, _ROADS, _ROADS_BEFORE if with_state else None, ROAD_STATE)
        windows = await asked.rows("cameras", parts, _WINDOWS, _WINDOWS_BEFORE if with_state else None, CAMERA_STATE)
        places = _PLACES.format(parts=f"{_TRANSIT} UNION ALL {_CARS}" if with_cars else _TRANSIT)
        vehicles = await asked.rows("vehicles", parts, places)
        return Replay(
            from_=rfc3339(epoch_us(since)),
            to=rfc3339(epoch_us(until)),
            simulated=bool(await simulated_within(connection, since, until)),
            roads=[ReplayedRoad(*_road(asked, row)) for row in roads],
            cameras=[ReplayedWindow(asked.seconds(row[0]), *row[1:]) for row in map(tuple, windows)],
            vehicles=[ReplayedPlace(asked.seconds(row[0]), *row[1:]) for row in map(tuple, vehicles)],
            alerts=[_alert(asked, row) for row in await connection.fetch(_ALERTS, since, until)],
            incidents=[_incident(asked, row) for row in await connection.fetch(_INCIDENTS, since, until)],
            cut=asked.cut,
        )


class _Asked:
    """A stretch that is asked for.

    Attributes:
        cut: parts that are longer than an answer.
    """

    def __init__(self, connection: Connection, since: datetime, until: datetime) -> None:
        self._connection, self._since, self._until = connection, since, until
        self.cut: list[ReplayPart] = []

    async def rows(
        self,
        part: ReplayPart,
        wanted: Collection[ReplayPart],
        of_span: str,
        of_state: str | None = None,
        reaches_back: timedelta = timedelta(0),
    ) -> Sequence[asyncpg.Record]:
        """Rows of a part, led by the state that it begins with."""
        if part not in wanted:
            return []
        before: list[asyncpg.Record] = []
        if of_state is not None:
            before = await self._connection.fetch(of_state, self._since - reaches_back, self._since)
        found = await self._connection.fetch(of_span, self._since, self._until, MOST_ROWS + 1)
        if len(found) > MOST_ROWS:
            self.cut.append(part)
        return [*sorted(before, key=lambda row: row["at"]), *found[:MOST_ROWS]]

    def seconds(self, moment: datetime) -> float:
        """Since the stretch begins, to the millisecond."""
        return round((moment - self._since).total_seconds(), 3)

    def life(self, began: datetime, ended: datetime | None) -> tuple[float, float | None]:
        """The same of begin and end."""
        return self.seconds(began), None if ended is None else self.seconds(ended)


def _road(asked: _Asked, row: asyncpg.Record) -> tuple[Any, ...]:
    at, road_id, speed, jam_factor, level, closed, confidence = row
    return asked.seconds(at), road_id, speed, jam_factor, level, closed, None if closed else speed_from(confidence)


def _alert(asked: _Asked, row: asyncpg.Record) -> ReplayedAlert:
    from_at, to_at = asked.life(row["triggered_at"], row["resolved_at"])
    return shaped(ReplayedAlert, row, from_at=from_at, to_at=to_at)


def _incident(asked: _Asked, row: asyncpg.Record) -> ReplayedIncident:
    from_at, to_at = asked.life(row["reported_at"], row["cleared_at"])
    return shaped(ReplayedIncident, row, from_at=from_at, to_at=to_at)
