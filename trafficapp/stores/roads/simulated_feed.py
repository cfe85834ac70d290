"""Labels what a simulated city sends live: a row of ``simulated_spans`` for each run, which grows with the feed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from models.roads.current import SIMULATED_ID

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

#: What a span of a live feed says it contains: the city sends all of it.
LIVE_FEED = "live roads and cameras"

_MINUTE_US = 60_000_000

# A gap of a quarter of an hour ends a run. What is within a span already changes nothing, so a row is written once a
# minute of the feed at most, and doing it again is harmless.
_LABEL = """
    WITH near AS (
        SELECT id, from_time, to_time FROM simulated_spans
        WHERE contents = $3 AND from_time <= $2::timestamptz + interval '15 min'
              AND to_time >= $1::timestamptz - interval '15 min'
        ORDER BY to_time DESC LIMIT 1
    ), grown AS (
        UPDATE simulated_spans AS kept SET from_time = least(kept.from_time, $1), to_time = greatest(kept.to_time, $2)
        FROM near WHERE kept.id = near.id AND (near.from_time > $1 OR near.to_time < $2)
    )
    INSERT INTO simulated_spans (from_time, to_time, contents) SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM near)
"""


async def label_simulated(connection: Connection, observed: Iterable[tuple[str, tuple[int]]]) -> None:
    """Let a span cover the whole minutes around what was simulated.

    Args:
        connection: of a sink.
        observed: ids of events, and when these were observed, as `postgres_time` has it.

    Raises:
        asyncpg.PostgresError: as the server says.
    """
    times = [time[0] for event_id, time in observed if event_id.startswith(SIMULATED_ID)]
    if times:
        begin, end = min(times) // _MINUTE_US * _MINUTE_US, (max(times) // _MINUTE_US + 1) * _MINUTE_US
        await connection.execute(_LABEL, (begin,), (end,), LIVE_FEED)
