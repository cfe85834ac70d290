"""What people wrote about alerts."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from models.alerts import AlertComment
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection, Pool

_INSERT = "INSERT INTO alert_comments (alert_id, commented_by, comment) VALUES ($1, $2, $3) RETURNING *"
_SELECT = "SELECT * FROM alert_comments WHERE alert_id = $1 AND id > $2 ORDER BY id LIMIT $3"


async def add_comment(connection: Connection, alert_id: uuid.UUID, by: str, comment: str) -> AlertComment:
    """Write a comment."""
    row = await connection.fetchrow(_INSERT, alert_id, by, comment)
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives a row
    return shaped(AlertComment, row)


async def comments(pool: Pool, alert_id: uuid.UUID, after: int, limit: int) -> list[AlertComment]:
    """Comments on an alert, in the order in which they were written."""
    return [shaped(AlertComment, row) for row in await pool.fetch(_SELECT, alert_id, after, limit)]
