"""Alerts over HTTP and in Postgres: acknowledging them, and what the API and the table say at the end."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import aiohttp
import psycopg
from psycopg.rows import dict_row

from models.alerts import EXPORTED_COLUMNS
from models.timestamps import epoch_us, rfc3339
from tests.verification.alerts_oracle import Step
from tests.verification.alerts_sockets import ACKNOWLEDGEMENT
from tests.verification.alerts_topic import Found

_PAGE = 40  # small, so that the history takes several
TABLE = """
    SELECT id::text, revision, severity, alert_type, camera_id, title, message, congestion_level, congestion_score,
           rule, rule_values AS values, since, triggered_at, updated_at, resolved_at, alarm_at
    FROM alerts
"""
_ALL = {"include": "quality"}
_TIMES = ("since", "triggered_at", "updated_at", "resolved_at", "alarm_at")
_AUDIT = "SELECT target, actor FROM audit_logs WHERE action = 'alerts.acknowledge'"


@dataclass
class ControlRoom:
    """Somebody with the administrator's token.

    Attributes:
        acknowledged: rows of the alerts that were, as the API answered, by id.
        faults: answers that were not as they must be.
    """

    session: aiohttp.ClientSession
    token: str
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    async def acknowledge(self, port: int, alert: Mapping[str, Any], by: str) -> None:
        """Acknowledge an alert at a worker and look at the answer: the first one who does stays."""
        known = self.acknowledged.get(alert["id"])
        url = f"http://127.0.0.1:{port}/api/alerts/{alert['id']}/acknowledge"
        headers = {"X-Admin-Token": self.token, "X-Admin-User": by}
        async with self.session.post(url, json={}, headers=headers) as response:
            answer = await response.json()
            if response.status != 200:
                self.faults.append(f"acknowledging {alert['id']}: {response.status}: {answer}")
                return
            status = "acknowledged" if known is None else "already_acknowledged"
            known = self.acknowledged.setdefault(alert["id"], answer)
            right = (by if known is answer else known["acknowledged_by"], known["acknowledged_at"], status)
            if (answer["admin_id"], answer["acknowledged_at"], answer["status"]) != right:
                self.faults.append(f"acknowledging as {by}: {answer}, not {right}")
            if known is answer and answer["resolved_at"] is not None:
                self.faults.append(f"acknowledging an open alert as {by}: {answer}")

    async def history(self, port: int, since: str) -> list[dict[str, Any]]:
        """Every page of the history."""
        rows: list[dict[str, Any]] = []
        url = f"http://127.0.0.1:{port}/api/alerts/history"
        query: dict[str, str] | None = {"from": since, "limit": str(_PAGE), **_ALL}
        while True:
            async with self.session.get(url, params=query, raise_for_status=True) as response:
                rows += await response.json()
                following = response.links.get("next")
                if following is None:
                    return rows
                url, query = urljoin(url, str(following["url"])), None

    async def current(self, port: int) -> list[dict[str, Any]]:
        """The open alerts."""
        url = f"http://127.0.0.1:{port}/api/alerts/current"
        async with self.session.get(url, params=_ALL, raise_for_status=True) as response:
            rows: list[dict[str, Any]] = await response.json()
            return rows

    async def export(self, port: int, since: str) -> list[dict[str, str]]:
        """The lines of the CSV file."""
        url = f"http://127.0.0.1:{port}/api/alerts/export"
        async with self.session.get(url, params={"from": since, **_ALL}, raise_for_status=True) as response:
            return list(csv.DictReader(io.StringIO(await response.text(), newline="")))

    async def api_faults(self, port: int, since_us: int, found: Found, expected: Sequence[Step]) -> list[str]:
        """What the API says that the oracle does not."""
        since = rfc3339(since_us)
        rows = await self.history(port, since)
        right = Counter(_right_rows(expected, found))
        told = Counter(_as_right(row) for row in rows)
        faults = [f"missing in the history: {one}" for one in right - told]
        faults += [f"not expected in the history: {one}" for one in told - right]
        faults += [] if rows == sorted(rows, key=_newest_first, reverse=True) else ["the history is not newest first"]
        for row in rows:
            acknowledged = self.acknowledged.get(row["id"], dict.fromkeys(ACKNOWLEDGEMENT))
            if any(row[name] != acknowledged[name] for name in ACKNOWLEDGEMENT):
                faults.append(f"in the history: {row}, acknowledged as {acknowledged}")
        as_text = [{name: "" if row[name] is None else str(row[name]) for name in EXPORTED_COLUMNS} for row in rows]
        exported = await self.export(port, since)
        if exported != as_text:
            faults.append(f"the export has {len(exported)} lines that are not the {len(rows)} of the history")
        current = await self.current(port)
        if current != (still_open := [row for row in rows if row["resolved_at"] is None]):
            faults.append(f"{len(current)} current alerts, and not the {len(still_open)} open ones: {current}")
        return faults

    def table_faults(self, database_url: str, found: Found) -> list[str]:
        """Where the tables differ from the newest steps on the topic and from what was acknowledged."""
        with psycopg.connect(database_url, connect_timeout=5, row_factory=dict_row) as connection:
            rows = {row["id"]: with_texts(row) for row in connection.execute(TABLE)}
            audited = Counter((row["target"], row["actor"]) for row in connection.execute(_AUDIT))
            waiting = connection.execute("SELECT * FROM pending_publications").fetchall()
        faults = [f"not told yet: {row}" for row in waiting]
        newest = found.newest()
        for alert_id in rows.keys() | newest.keys():
            row, step = rows.get(alert_id), newest.get(alert_id)
            if row is None or step is None or row != {name: step[name] for name in row}:
                faults.append(f"in the table: {row}\n      on the topic: {step}")
        if audited != Counter((one, row["acknowledged_by"]) for one, row in self.acknowledged.items()):
            faults.append(f"acknowledgements in the audit log: {audited}")
        return faults


def _right_rows(expected: Sequence[Step], found: Found) -> list[tuple[object, ...]]:
    """What the history must list: the oracle's alerts as their last step leaves them.

    When a camera was missed hangs on ticks, so those times are the topic's; that they are right is checked there.
    """
    last: dict[tuple[str, str, int], Step] = {}
    for step in expected:
        last[step.camera_id, step.alert_type, step.triggered_us] = step  # an alert's steps are in order
    rows: list[tuple[object, ...]] = [
        (
            *(step.camera_id, step.alert_type, step.severity, step.level, step.score, rfc3339(step.triggered_us)),
            rfc3339(step.at_us) if step.action == "resolved" else None,
        )
        for step in last.values()
    ]
    return rows + [_as_right(step) for step in found.newest().values() if step["alert_type"] == "camera_silent"]


def _as_right(row: Mapping[str, Any]) -> tuple[object, ...]:
    names = ("camera_id", "alert_type", "severity", "congestion_level", "congestion_score")
    return (*(row[name] for name in names), row["triggered_at"], row["resolved_at"])


def _newest_first(row: Mapping[str, Any]) -> tuple[int, str]:
    return epoch_us(row["triggered_at"]), row["id"]


def with_texts(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: None if row[name] is None else rfc3339(epoch_us(row[name])) for name in _TIMES}
    values = row["values"] if isinstance(row["values"], dict) else json.loads(row["values"])
    return {**row, **times, "values": values}
