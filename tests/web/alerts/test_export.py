from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator

import asyncpg
import pytest
from aiohttp import ClientPayloadError
from yarl import URL

from tests.stores.alerts.alert_messages import Connection, after_noon, alert_event, store
from tests.web.conftest import Worker
from trafficapp.stores.migrations import migrate
from web.alerts import export as alert_export

HEADER = (
    "id,severity,alert_type,camera_id,road_segment,title,message,congestion_level,congestion_score,"
    "triggered_at,resolved_at,acknowledged_by,acknowledged_at"
)


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Connection]:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE alerts, alert_acknowledgements, cameras")
    yield connection
    await connection.close()


async def rows(worker: Worker, path: str) -> list[dict[str, str]]:
    response = await worker.client.get(path)
    assert response.status == 200, await response.text()
    return list(csv.DictReader(io.StringIO(await response.text(), newline="")))


async def test_a_file(history_worker: Worker, tables: Connection) -> None:
    spoken = 'quoted "words", a comma\r\nand a line'
    await store(
        tables,
        alert_event("a", title=spoken, message="=HYPERLINK(1)", resolved_at=after_noon(60)),
        alert_event("b", None, 10, congestion_score=None, congestion_level=None, severity="EMERGENCY"),
    )
    response = await history_worker.client.get("/api/alerts/export?from=2026-03-02&to=2026-03-03")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Transfer-Encoding"] == "chunked"
    name = 'attachment; filename="alerts_20260302T000000Z_20260303T000000Z.csv"'
    assert response.headers["Content-Disposition"] == name
    text = await response.text()
    assert text.startswith(f"{HEADER}\r\n{alert_event('b').id},EMERGENCY,")
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert (first["camera_id"], first["congestion_score"], first["resolved_at"]) == ("", "", "")
    assert (second["title"], second["message"]) == (spoken, "'=HYPERLINK(1)")
    assert (second["triggered_at"], second["resolved_at"]) == (after_noon(0), after_noon(60))
    assert second["congestion_score"] == "0.91"
    assert [
        row["id"] for row in await rows(history_worker, "/api/alerts/export?from=2026-03-02&severity=EMERGENCY")
    ] == [alert_event("b").id]


async def test_files_go_on_where_the_one_before_ended(history_worker: Worker, tables: Connection) -> None:
    # more than are asked of Postgres at once, some at the same instant
    events = [alert_event(f"alert {number}", seconds=number // 3) for number in range(1203)]
    await store(tables, *events)
    url, lengths, collected = "/api/alerts/export?from=2026-03-02&limit=601", list[int](), list[str]()
    while url:
        response = await history_worker.client.get(url)
        page = [row["id"] for row in csv.DictReader(io.StringIO(await response.text(), newline=""))]
        lengths.append(len(page))
        collected += page
        url = URL(response.links["next"]["url"]).path_qs if "next" in response.links else ""
    assert lengths == [601, 601, 1]
    assert collected == [row["id"] for row in await rows(history_worker, "/api/alerts/export?from=2026-03-02")]
    assert sorted(collected) == sorted(event.id for event in events)


async def test_without_a_limit_nothing_is_left_out(
    history_worker: Worker, tables: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_export, "_ROWS_AT_ONCE", 3000)
    await store(tables, *(alert_event(f"alert {number}", seconds=number) for number in range(5001)))
    response = await history_worker.client.get("/api/alerts/export?from=2026-03-02")
    assert len(list(csv.DictReader(io.StringIO(await response.text(), newline="")))) == 5001
    assert "next" not in response.links


async def test_a_broken_file_is_not_taken_for_a_whole_one(
    history_worker: Worker, tables: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(tables, *(alert_event(f"alert {number}", seconds=number) for number in range(1203)))
    ask, asked = alert_export._page, list[int]()

    async def cut_after_the_first(*arguments: object) -> object:
        asked.append(1)
        if len(asked) == 2:
            await tables.execute("ALTER TABLE alerts RENAME COLUMN triggered_at TO hidden")
        return await ask(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(alert_export, "_page", cut_after_the_first)
    try:
        response = await history_worker.client.get("/api/alerts/export?from=2026-03-02")
        assert response.status == 200
        with pytest.raises(ClientPayloadError):
            await response.read()
    finally:
        await tables.execute("ALTER TABLE alerts RENAME COLUMN hidden TO triggered_at")
    assert (await history_worker.client.get("/api/alerts/history?from=2026-03-02&limit=1")).status == 200


@pytest.mark.parametrize("query", ["limit=500001", "limit=0", "include=x", "cursor=x"])
async def test_refused(history_worker: Worker, tables: Connection, query: str) -> None:
    response = await history_worker.client.get(f"/api/alerts/export?{query}")
    assert response.status == 400


async def test_without_postgres_it_is_a_problem(worker: Worker) -> None:
    response = await worker.client.get("/api/alerts/export")
    assert response.status == 503
    assert response.content_type == "application/problem+json"
