"""What the web asks of the tables of alerts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec import UNSET

from models.alerts import (
    LEVEL_OF_SEVERITY,
    AlertAction,
    AlertEvent,
    AlertRow,
    AlertType,
    RuleValue,
    Severity,
    alert_number,
    ids_of_number,
)
from models.cameras.window_rows import Level
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.postgres.reading import Page, made_of

if TYPE_CHECKING:
    from collections.abc import Collection

    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

#: Where an alert stands in the order of all: its triggered_at and id.
Position: TypeAlias = tuple[datetime, uuid.UUID]

_SELECT = """
    SELECT a.*, c.road_segment, k.acknowledged_by, k.acknowledged_at, k.caller AS acknowledged_caller
    FROM alerts a
    LEFT JOIN cameras c ON c.camera_id = a.camera_id
    LEFT JOIN alert_acknowledgements k ON k.alert_id = a.id
"""
_ORDER = "ORDER BY a.triggered_at DESC, a.id DESC"
_COUNT_SINCE = "SELECT count(*) FROM alerts WHERE triggered_at >= $1 AND alert_type <> 'camera_silent'"
_ACKNOWLEDGED = """
    SELECT alert_id, acknowledged_by, acknowledged_at FROM alert_acknowledgements WHERE alert_id = ANY($1::uuid[])
"""

_decode_values = msgspec.json.Decoder(dict[str, RuleValue]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts; None asks nothing.

    Attributes:
        since, until: aware; ``[since, until)`` on triggered_at.
        level: of open alerts the present one; of those that have ended, which was then low again, also the one that
            their severity is raised from.
        camera_ids: of one of these cameras; alerts about no camera are not among them.
        open_only: those that have not ended.
        unacknowledged_only: those that nobody has taken on.
        quality: also those about the data and not about traffic: silent cameras.
        nothing: no alert at all: a word was asked for that no alert has.
    """

    since: datetime | None = None
    until: datetime | None = None
    severity: Severity | None = None
    level: Level | None = None
    alert_type: AlertType | None = None
    camera_id: str | None = None
    camera_ids: Collection[str] | None = None
    road_segment: str | None = None
    open_only: bool = False
    unacknowledged_only: bool = False
    quality: bool = True
    nothing: bool = False

    @property
    def raised_from_level(self) -> list[Severity]:
        """The severities that are raised from the level."""
        return [severity for severity, level in LEVEL_OF_SEVERITY.items() if level == self.level]


#: Some alerts, newest first.
AlertsPage: TypeAlias = Page[AlertRow, Position]


@dataclass(slots=True)
class _Conditions:
    """Parts of a WHERE clause with their arguments."""

    texts: list[str] = field(default_factory=list)
    arguments: list[object] = field(default_factory=list)

    def add(self, text: str, *arguments: object) -> None:
        """Add a condition; each ``?`` in it stands for the next argument."""
        for argument in arguments:
            self.arguments.append(argument)
            text = text.replace("?", f"${len(self.arguments)}", 1)
        self.texts.append(text)

    @property
    def where(self) -> str:
        return f"WHERE {' AND '.join(self.texts)}" if self.texts else ""


def _conditions(wanted: AlertFilter, after: Position | None, last: Position | None = None) -> _Conditions:
    conditions = _Conditions()
    since, until = wanted.since, wanted.until
    # Postgres begins and ends its scan at one bound and filters by the others, so there must not be a looser one
    if after is not None:
        conditions.add("a.triggered_at <= ? AND (a.triggered_at, a.id) < (?, ?)", after[0], *after)
        until = None if until is not None and after[0] < until else until
    if last is not None:
        conditions.add("a.triggered_at >= ? AND (a.triggered_at, a.id) >= (?, ?)", last[0], *last)
        since = None if since is not None and last[0] >= since else since
    for text, argument in (
        ("a.triggered_at >= ?", since),
        ("a.triggered_at < ?", until),
        ("a.severity = ?", wanted.severity),
        ("a.alert_type = ?", wanted.alert_type),
        ("a.camera_id = ?", wanted.camera_id),
        ("a.camera_id = ANY(?::text[])", None if wanted.camera_ids is None else list(wanted.camera_ids)),
        ("c.road_segment = ?", wanted.road_segment),
    ):
        if argument is not None:
            conditions.add(text, argument)
    if wanted.level is not None:
        of_ended = "a.resolved_at IS NOT NULL AND a.severity = ANY(?::text[])"
        conditions.add(f"(a.congestion_level = ? OR ({of_ended}))", wanted.level, wanted.raised_from_level)
    for text, is_asked in (
        ("a.resolved_at IS NULL", wanted.open_only),
        ("NOT EXISTS (SELECT FROM alert_acknowledgements q WHERE q.alert_id = a.id)", wanted.unacknowledged_only),
        ("a.alert_type <> 'camera_silent'", not wanted.quality),
        ("false", wanted.nothing),
    ):
        if is_asked:
            conditions.add(text)
    return conditions


async def alerts(
    pool: Pool, wanted: AlertFilter, limit: int, after: Position | None = None, last: Position | None = None
) -> AlertsPage:
    """Alerts, newest first.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        wanted: which.
        limit: alerts at most, at least 1.
        after: the page before ended here.
        last: none beyond this one.
    """
    conditions = _conditions(wanted, after, last)
    found = await pool.fetch(f"{_SELECT} {conditions.where} {_ORDER} LIMIT {limit + 1:d}", *conditions.arguments)
    kept = found[:limit]
    last = (kept[-1]["triggered_at"], kept[-1]["id"]) if len(found) > limit else None
    return Page(await made_of(kept, _alert_row), last)


async def end_of_page(pool: Pool, wanted: AlertFilter, limit: int, after: Position | None = None) -> Position | None:
    """Where a page of so many alerts ends; None when it is the last page. Arguments as for `alerts`."""
    conditions = _conditions(wanted, after)
    cameras = "LEFT JOIN cameras c ON c.camera_id = a.camera_id" if wanted.road_segment is not None else ""
    query = f"SELECT a.triggered_at, a.id FROM alerts a {cameras} {conditions.where} {_ORDER}"  # noqa: S608 - our own
    found = await pool.fetch(f"{query} OFFSET {limit - 1:d} LIMIT 2", *conditions.arguments)
    return (found[0]["triggered_at"], found[0]["id"]) if len(found) == 2 else None


async def alert(connection: Pool | Connection, alert_id: uuid.UUID, lock: bool = False) -> AlertEvent | None:
    """Everything known of an alert, or None when the history has none of this id.

    Args:
        connection: a pool or a connection.
        alert_id: which.
        lock: keep others from changing it until the transaction ends.
    """
    text = f"{_SELECT} WHERE a.id = $1{' FOR UPDATE OF a' if lock else ''}"
    row = await connection.fetchrow(text, alert_id)
    return None if row is None else _alert_event(row)


async def id_of_number(pool: Pool, number: int) -> uuid.UUID | None:
    """The id of the alert that has a number, or None when the history has none."""
    found = await pool.fetch("SELECT id FROM alerts WHERE id BETWEEN $1 AND $2", *ids_of_number(number))
    return next((uuid.UUID(str(row["id"])) for row in found if alert_number(str(row["id"])) == number), None)


async def acknowledgements(source: Pool | Connection, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Who took alerts on and when, by the alert's id; those that nobody did are left out."""
    found = await source.fetch(_ACKNOWLEDGED, [uuid.UUID(one) for one in ids])
    return {str(row["alert_id"]): (row["acknowledged_by"], rfc3339(epoch_us(row["acknowledged_at"]))) for row in found}


async def triggered_since(pool: Pool, since: datetime) -> int:
    """How many alerts were triggered from a time on; silent cameras, which say nothing of traffic, are not counted."""
    return int(await pool.fetchval(_COUNT_SINCE, since))


def _time(moment: datetime | None) -> str | None:
    # as models.timestamps.rfc3339 has it, without the way over microseconds: an export has many
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _shared_fields(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "severity": row["severity"],
        "alert_type": row["alert_type"],
        "camera_id": row["camera_id"],
        "road_segment": row["road_segment"],
        "title": row["title"],
        "message": row["message"],
        "congestion_level": row["congestion_level"],
        "congestion_score": row["congestion_score"],
        "triggered_at": _time(row["triggered_at"]),
        "resolved_at": _time(row["resolved_at"]),
        "acknowledged_by": row["acknowledged_by"],
        "acknowledged_at": _time(row["acknowledged_at"]),
        "alarm_at": _time(row["alarm_at"]),
    }


def _alert_row(row: asyncpg.Record) -> AlertRow:
    fields = _shared_fields(row)
    acknowledged = fields["acknowledged_at"] is not None
    return AlertRow(**fields, alert_number=alert_number(fields["id"]), acknowledged=acknowledged)


def _alert_event(row: asyncpg.Record) -> AlertEvent:
    action: AlertAction = "opened" if row["revision"] == 1 else "updated"
    if row["resolved_at"] is not None:
        action = "resolved"
    return AlertEvent(
        **_shared_fields(row),
        acknowledged_caller=UNSET if row["acknowledged_caller"] is None else row["acknowledged_caller"],
        action=action,
        revision=row["revision"],
        since=rfc3339(epoch_us(row["since"])),
        updated_at=rfc3339(epoch_us(row["updated_at"])),
        rule=row["rule"],
        values=_decode_values(row["rule_values"]),
    )
