"""The audit log: who changed what, through the API or by a command, in the transaction of the change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from models.administration.changes import AuditEntry
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

_INSERT = """
    INSERT INTO audit_logs (actor, role, action, target, before, after, remote, request_id, caller)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_PAGE = """
    SELECT * FROM audit_logs
    WHERE ($1::timestamptz IS NULL OR at >= $1) AND ($2::timestamptz IS NULL OR at < $2)
      AND ($3::text IS NULL OR actor = $3) AND ($4::text IS NULL OR action = $4)
      AND ($5::bigint IS NULL OR id < $5)
    ORDER BY id DESC LIMIT $6
"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something.

    Attributes:
        name: of a person or a program.
        role: with which it was allowed.
        remote: address it came from.
        request_id: of the request, to be found in other logs.
        caller: who was authenticated, whatever name he told.
    """

    name: str
    role: str
    remote: str | None = None
    request_id: str | None = None
    caller: str | None = None


async def record_audit(
    connection: Connection, actor: Actor, action: str, target: str, before: Any = None, after: Any = None
) -> None:
    """Write a row; call it inside the transaction of the change.

    Args:
        connection: in a transaction.
        actor: who.
        action: a stable word such as ``thresholds.update``.
        target: names what was changed.
        before: what was there; None for nothing.
        after: what is there now; None for nothing.
    """
    await connection.execute(
        _INSERT,
        *(_storable(text) for text in (actor.name, actor.role, action, target)),
        *(None if state is None else msgspec.json.encode(state).decode() for state in (before, after)),
        *(None if text is None else _storable(text) for text in (actor.remote, actor.request_id, actor.caller)),
    )


async def audit_page(
    pool: Pool,
    since: datetime | None,
    until: datetime | None,
    actor: str | None,
    action: str | None,
    limit: int,
    before_id: int | None = None,
) -> list[AuditEntry]:
    """The newest rows with ``since <= at < until``, newest first; ``before_id`` is the last one of the page before."""
    if any("\0" in text for text in (actor, action) if text is not None):
        return []
    return [_entry(row) for row in await pool.fetch(_PAGE, since, until, actor, action, before_id, limit)]


def _storable(text: str) -> str:
    """Text from outside, a header for instance, as Postgres can keep it."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _entry(row: asyncpg.Record) -> AuditEntry:
    return shaped(AuditEntry, row, before=_raw(row["before"]), after=_raw(row["after"]))


def _raw(document: str | None) -> msgspec.Raw:
    return msgspec.Raw(b"null" if document is None else document.encode())
