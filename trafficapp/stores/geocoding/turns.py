"""Whose turn it is to ask a service outside: table ``geocoding_turns``, one request at a time of all workers together.

A turn is a lease by the clock of Postgres: it ends when its holder gives it back, or when it must have ended since its
holder is not there any more. From the end of one request to the beginning of the next there is at least the pause that
the service wants, also from one worker to another and after a start. Failures count for all workers, so the service is
not asked more often because there are more of us.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

#: Nobody waits longer, whatever stands in the table: the server's clock may have gone back.
LONGEST_SECONDS: Final = 7200.0

_TAKE: Final = """
    INSERT INTO geocoding_turns AS turn (source, free_at, holder)
    VALUES ($1, clock_timestamp() + make_interval(secs => $3), $2)
    ON CONFLICT (source) DO UPDATE SET free_at = EXCLUDED.free_at, holder = EXCLUDED.holder
    WHERE turn.free_at <= clock_timestamp() OR turn.free_at > clock_timestamp() + make_interval(secs => $4)
    RETURNING true
"""
_WAIT: Final = """
    SELECT greatest(0, extract(epoch FROM free_at - clock_timestamp()))::double precision
    FROM geocoding_turns WHERE source = $1
"""
_DONE: Final = """
    UPDATE geocoding_turns SET free_at = clock_timestamp() + make_interval(secs => $3), holder = NULL,
        failures = CASE WHEN $4 THEN 0 ELSE failures END
    WHERE source = $1 AND holder = $2
"""
_FAILED: Final = """
    UPDATE geocoding_turns SET holder = NULL, failures = least(failures + 1, 30),
        free_at = clock_timestamp() + make_interval(
            secs => least(greatest($3, least($4 * 2.0 ^ least(failures, 30), $5)), $6)
        )
    WHERE source = $1 AND holder = $2
"""


@dataclass(frozen=True)
class Turns:
    """Turns of asking a service.

    Attributes:
        pool: of Postgres.
        source: the service.
        pause_seconds: from an answer to the next request.
        first_retry_seconds: wait after a failure, doubled with each further one.
        longest_retry_seconds: up to this.
        holder: name of this worker.
    """

    pool: Pool
    source: str
    pause_seconds: float
    first_retry_seconds: float
    longest_retry_seconds: float
    holder: str = field(default_factory=lambda: secrets.token_hex(8))

    async def take(self, seconds: float) -> float | None:
        """Take the turn, if it is free.

        Args:
            seconds: by when a request has ended for certain.

        Returns:
            None when it is ours; else after how many seconds it is free.
        """
        async with self.pool.acquire() as connection:
            for _ in range(2):
                if await connection.fetchval(_TAKE, self.source, self.holder, seconds, LONGEST_SECONDS):
                    return None
                wait: float | None = await connection.fetchval(_WAIT, self.source)
                if wait:
                    return wait
            return self.pause_seconds

    async def done(self, *, asked: bool = True) -> None:
        """Give the turn back after an answer, or without having asked."""
        async with self.pool.acquire() as connection:
            pause = self.pause_seconds if asked else 0.0
            await connection.execute(_DONE, self.source, self.holder, pause, asked)

    async def failed(self, wait_seconds: float | None) -> None:
        """Give the turn back after a request without an answer.

        Args:
            wait_seconds: how long to wait at least; None leaves it to the number of failures.
        """
        least = max(self.pause_seconds, wait_seconds or 0.0)
        async with self.pool.acquire() as connection:
            await connection.execute(
                _FAILED,
                *(self.source, self.holder, least),
                *(self.first_retry_seconds, self.longest_retry_seconds, LONGEST_SECONDS),
            )
