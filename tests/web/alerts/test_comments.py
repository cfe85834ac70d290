"""What people write about alerts."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from tests.web.conftest import Worker
from trafficapp.stores.migrations import migrate


@pytest.fixture
async def alert_id(history_worker: Worker, database_url: str) -> str:
    await asyncio.to_thread(migrate, database_url)
    async with history_worker.client.post("/api/alerts", json={"title": "Tree on the road"}) as answer:
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["id"])


async def sent(worker: Worker, method: str, path: str, status: int, body: object = None, **headers: str) -> Any:
    async with worker.client.request(method, path, json=body, headers=headers) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_comments_are_kept_in_their_order_with_who_wrote_them(history_worker: Worker, alert_id: str) -> None:
    path = f"/api/alerts/{alert_id}/comments"
    for by, text in (("anna", "on my way"), ("ben", "two lanes\nare free <b>again</b>")):
        written = await sent(history_worker, "POST", path, 201, {"comment": text}, **{"X-Admin-User": by})
        assert (written["alert_id"], written["commented_by"], written["comment"]) == (alert_id, by, text)
    found = await sent(history_worker, "GET", path, 200)
    assert [(one["commented_by"], one["comment"]) for one in found] == [
        ("anna", "on my way"),
        ("ben", "two lanes\nare free <b>again</b>"),
    ]
    async with history_worker.client.get(f"{path}?limit=1") as answer:
        link = answer.headers["Link"]
        assert [one["commented_by"] for one in await answer.json()] == ["anna"]
    following = await sent(history_worker, "GET", link.partition("<")[2].partition(">")[0], 200)
    assert [one["commented_by"] for one in following] == ["ben"]
    audit = await sent(history_worker, "GET", "/api/admin/audit?action=alerts.comment&actor=ben", 200)
    assert audit[0]["target"] == alert_id
    assert audit[0]["after"]["comment"].startswith("two lanes")


async def test_alerts_that_are_not_there_and_texts_that_are_none_are_refused(
    history_worker: Worker, alert_id: str
) -> None:
    await sent(history_worker, "POST", f"/api/alerts/{uuid.uuid4()}/comments", 404, {"comment": "hello"})
    for text in ("", "a\u202eb", "x" * 2001):
        await sent(history_worker, "POST", f"/api/alerts/{alert_id}/comments", 422, {"comment": text})
    assert await sent(history_worker, "GET", f"/api/alerts/{uuid.uuid4()}/comments", 200) == []
