from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from models.alerts import AlertEvent, AlertRow, decode_alert_event, encode_alert_event
from tests.stores.alerts.alert_messages import Connection, after_noon, alert_event, keep_open, store
from tests.stores.postgres.records import record
from tests.web.conftest import Worker
from trafficapp.engine.kafka import aiokafka_config, create_topics
from trafficapp.stores.alerts.history_sink import HistoryAlertsSink
from trafficapp.stores.migrations import migrate
from trafficapp.topics import ALERTS, declared_topics

#: What is withheld alone is marked as such.
COLUMNS = [name for name in AlertRow.__struct_fields__ if name != "withheld"]


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Connection]:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE alerts, alert_acknowledgements, cameras, audit_logs, pending_publications")
    await connection.execute("INSERT INTO cameras (camera_id, road_segment) VALUES ('cam_1', 'A1')")
    yield connection
    await connection.close()


@pytest.fixture
async def steps(history_worker: Worker) -> AsyncIterator[AIOKafkaConsumer]:
    """Reads traffic.alerts from now on."""
    settings = history_worker.context.settings
    await create_topics(settings, [topic for topic in declared_topics(settings) if topic.name == ALERTS])
    consumer = AIOKafkaConsumer(ALERTS, **aiokafka_config(settings), auto_offset_reset="latest")
    await consumer.start()
    await consumer.seek_to_end()
    yield consumer
    await consumer.stop()


async def step(consumer: AIOKafkaConsumer) -> AlertEvent:
    async with asyncio.timeout(180):
        record = await consumer.getone()
    event = decode_alert_event(record.value)
    assert record.key == (None if event.camera_id is None else event.camera_id.encode())
    return event


async def post(
    worker: Worker, path: str, body: dict[str, Any] | None = None, status: int = 200, **headers: str
) -> dict[str, Any]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    response = await worker.client.post(path, json=body, headers=named)
    assert response.status == status, await response.text()
    answer = await response.json()
    assert isinstance(answer, dict)
    return answer


async def test_acknowledge_once(history_worker: Worker, tables: Connection, steps: AIOKafkaConsumer) -> None:
    alert = alert_event("a", revision=3)
    await store(tables, alert)
    path = f"/api/alerts/{alert.id}/acknowledge"
    row = await post(history_worker, path, {"admin_id": "ada"})
    assert list(row) == [*COLUMNS, "alert_id", "admin_id", "status"]
    assert (row["acknowledged_by"], row["road_segment"]) == ("ada", "A1")
    assert (row["alert_id"], row["admin_id"], row["status"]) == (alert.id, "ada", "acknowledged")
    told = await step(steps)
    assert (told.action, told.revision, told.acknowledged_by) == ("acknowledged", 3, "ada")
    assert told.acknowledged_at == row["acknowledged_at"]
    again = await post(history_worker, path, {"admin_id": "bob"})
    assert again == row | {"status": "already_acknowledged"}
    audit = await tables.fetch("SELECT action, target FROM audit_logs")
    assert [tuple(line) for line in audit] == [("alerts.acknowledge", alert.id)]
    assert await tables.fetchval("SELECT count(*) FROM pending_publications") == 0
    kept = await (await history_worker.client.get(f"/api/alerts/{alert.id}")).json()
    # the name that was told, and beside it who was authenticated
    assert (kept["acknowledged_by"], kept["acknowledged_caller"]) == ("ada", "administrator's key")
    assert told.acknowledged_caller == "administrator's key"
    assert await tables.fetchval("SELECT caller FROM audit_logs") == "administrator's key"


async def test_who_acknowledges(history_worker: Worker, tables: Connection, steps: AIOKafkaConsumer) -> None:
    ended = alert_event("ended", resolved_at=after_noon(60))
    await store(tables, ended)
    row = await post(history_worker, f"/api/alerts/{ended.id}/acknowledge", X_Admin_User="grace")
    assert row["acknowledged_by"] == "grace"


async def test_of_many_at_once_one_acknowledges(
    history_worker: Worker, tables: Connection, steps: AIOKafkaConsumer
) -> None:
    alert = alert_event("a")
    await store(tables, alert)
    answers = await asyncio.gather(
        *(history_worker.client.post(f"/api/alerts/{alert.id}/acknowledge") for _ in range(6))
    )
    told = [await answer.json() for answer in answers]
    assert sorted(one.pop("status") for one in told) == ["acknowledged", *["already_acknowledged"] * 5]
    assert all(one == told[0] for one in told)


async def test_an_alert_that_the_history_has_not_yet(
    history_worker: Worker, tables: Connection, steps: AIOKafkaConsumer
) -> None:
    alert = alert_event("a", revision=2, action="updated")
    await keep_open(history_worker.context.redis, alert)
    await post(history_worker, f"/api/alerts/{alert.id}/acknowledge", {})
    assert await tables.fetchval("SELECT revision FROM alerts WHERE id = $1", uuid.UUID(alert.id)) == 2
    # the history lags behind a rise of the severity
    risen = alert_event("b", revision=2, severity="CRITICAL")
    await store(tables, msgspec.structs.replace(risen, revision=1, severity="WARNING"))
    await keep_open(history_worker.context.redis, risen)
    await post(history_worker, f"/api/alerts/{risen.id}/acknowledge", {})


async def test_raise_and_end(history_worker: Worker, tables: Connection, steps: AIOKafkaConsumer) -> None:
    body = {"alert_type": "incident", "title": "Lorry on its side", "message": "Lane 2", "camera_id": "cam_1"}
    row = await post(history_worker, "/api/alerts", body, 201)
    assert list(row) == COLUMNS
    assert {name: row[name] for name in body} == body
    assert (row["severity"], row["resolved_at"]) == ("EMERGENCY", None)
    opened = await step(steps)
    assert (opened.id, opened.action, opened.revision) == (row["id"], "opened", 1)
    ended = await post(history_worker, f"/api/alerts/{row['id']}/resolve")
    assert ended["resolved_at"] is not None
    told = await step(steps)
    assert (told.id, told.action, told.revision, told.resolved_at) == (row["id"], "resolved", 2, ended["resolved_at"])
    await post(history_worker, f"/api/alerts/{row['id']}/resolve", status=409)
    actions = [line["action"] for line in await tables.fetch("SELECT action FROM audit_logs ORDER BY id")]
    assert actions == ["alerts.raise", "alerts.resolve"]
    # about no camera
    row = await post(history_worker, "/api/alerts", {"title": "Fog"}, 201)
    assert (row["alert_type"], row["camera_id"]) == ("manual", None)


async def test_the_silence_of_a_camera_that_was_taken_down_is_ended_by_people(
    history_worker: Worker, tables: Connection, steps: AIOKafkaConsumer
) -> None:
    silent = alert_event("silent", alert_type="camera_silent", severity="WARNING")
    await store(tables, silent)
    ended = await post(history_worker, f"/api/alerts/{silent.id}/resolve")
    told = await step(steps)
    assert (told.action, told.revision, told.resolved_at) == ("resolved", 2, ended["resolved_at"])
    # the camera came back after all: what was told first holds
    late = msgspec.structs.replace(told, resolved_at=after_noon(900), updated_at=after_noon(900))
    sink = HistoryAlertsSink(history_worker.context.settings)
    await sink.load([0])
    await sink.apply(0, [record(7, encode_alert_event(late), topic=ALERTS)], lambda: True)
    await sink.close()
    kept = await (await history_worker.client.get(f"/api/alerts/{silent.id}")).json()
    assert kept["resolved_at"] == ended["resolved_at"]


async def test_texts_of_people(history_worker: Worker, tables: Connection, steps: AIOKafkaConsumer) -> None:
    body = {"title": "Ölspur – 油 auf der A1", "message": "Spur 2\nFeuerwehr kommt\n"}
    row = await post(history_worker, "/api/alerts", body, 201)
    assert {name: row[name] for name in body} == body
    row = await post(history_worker, f"/api/alerts/{row['id']}/acknowledge", {"admin_id": "Jörg Ó Néill"})
    assert row["acknowledged_by"] == "Jörg Ó Néill"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("{critical}/resolve", None, 409),
        ("00000000-0000-0000-0000-000000000000/acknowledge", {}, 404),
        ("00000000-0000-0000-0000-000000000000/resolve", None, 404),
        ("7/acknowledge", {}, 404),
        ("seven/acknowledge", {}, 400),
        ("{critical}/acknowledge", {"admin_id": ""}, 422),
        ("{critical}/acknowledge", {"admin_id": "a\0"}, 422),
        ("{critical}/acknowledge", [], 422),
        ("", {}, 422),
        ("", {"title": "x", "alert_type": "congestion"}, 422),
        ("", {"title": "x", "camera_id": "cam_404"}, 422),
        ("", {"title": "x\0"}, 422),
        *(("", {"title": title}, 422) for title in (" ", "\u3000", "x\n", "x\ny", "x\x1by", "x\u202ey", "x\u2028")),
        *(("", {"title": "x", "message": text}, 422) for text in ("x\x1by", "x\r\n", "x\u2066y")),
        *(
            ("{critical}/acknowledge", {"admin_id": name}, 422)
            for name in (" ", "a\n", "a\u202eb", "a\xa0b", "a" * 129)
        ),
    ],
)
async def test_refused(history_worker: Worker, tables: Connection, path: str, body: Any, status: int) -> None:
    warning, critical = alert_event("warning", severity="WARNING"), alert_event("critical")
    await store(tables, warning, critical)
    url = f"/api/alerts/{path.format(warning=warning.id, critical=critical.id)}".rstrip("/")
    await post(history_worker, url, body, status)
    assert await tables.fetchval("SELECT count(*) FROM audit_logs") == 0
    assert await tables.fetchval("SELECT count(*) FROM pending_publications") == 0
