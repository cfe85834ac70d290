"""Shelves and what follows from them, over HTTP against real servers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from models.timestamps import epoch_us, rfc3339
from tests.stores.alerts.alert_messages import Connection, alert_event, keep_open, store
from tests.web.conftest import Worker
from trafficapp.stores.alarms.shelves import end_shelves
from trafficapp.stores.migrations import migrate

_TABLES = (
    "alerts, alert_acknowledgements, alert_comments, cameras, audit_logs, alarm_shelves, city_alerts, notifications, "
    "congestion_events, congestion_event_cameras"
)


def ago(seconds: float) -> str:
    return rfc3339(epoch_us(datetime.now(UTC) - timedelta(seconds=seconds)))


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Connection]:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY")
    await connection.execute("INSERT INTO cameras (camera_id, road_segment) VALUES ('cam_1', 'A1'), ('cam_2', 'A1')")
    yield connection
    await connection.close()


async def raise_now(tables: Connection, name: str, camera_id: str = "cam_1", **changes: Any) -> str:
    now = ago(0)
    times = {"since": now, "triggered_at": now, "updated_at": now, **changes}
    event = alert_event(name, camera_id, **times)
    await store(tables, event)
    return event.id


async def asked(worker: Worker, method: str, path: str, status: int = 200, **options: Any) -> Any:
    response = await worker.client.request(method, path, **options)
    assert response.status == status, await response.text()
    return await response.json() if response.status != 204 else None


async def shelve(worker: Worker, status: int = 201, **body: Any) -> Any:
    return await asked(worker, "POST", "/api/alarms/shelves", status, json={"reason": "road works", **body})


async def performance(worker: Worker) -> Any:
    return await asked(worker, "GET", f"/api/alarms/performance?since={ago(3600)}")


async def test_alerts_of_other_feeds_are_shelved_by_number_and_by_subject(
    history_worker: Worker, tables: Connection
) -> None:
    alert_id = str(uuid.uuid4())
    add = """
        INSERT INTO city_alerts (alert_id, revision, alert_type, state, severity, subject, title, message, told_at,
                                 opened_at, resolved_at)
        VALUES ($1, $2, 'delay', $3, 'WARNING', 'bus_1', 'late', 'late', now(), now(), $4)
    """
    await tables.execute(add, uuid.UUID(alert_id), 0, "opened", None)

    one = await shelve(history_worker, alert_id=alert_id, minutes=30)
    await shelve(history_worker, rule="delay", source_kind="subject", source="bus_2", minutes=30)

    await tables.execute(add, uuid.UUID(alert_id), 1, "resolved", datetime.now(UTC))
    assert (await shelve(history_worker, 409, alert_id=alert_id, minutes=30))["detail"].startswith(f"alert {alert_id}")
    await shelve(history_worker, 404, alert_id=str(uuid.uuid4()), minutes=30)
    listed = await asked(history_worker, "GET", "/api/alarms/shelves")
    assert [(found["alert_id"], found["source"]) for found in listed] == [(None, "bus_2"), (one["alert_id"], None)]


async def test_a_shelf_by_rule_and_source(history_worker: Worker, tables: Connection) -> None:
    await raise_now(tables, "before")
    shelf = await shelve(
        history_worker, rule="congestion", source_kind="camera", source="cam_1", minutes=30, admin_id="ada"
    )
    assert (shelf["shelved_by"], shelf["caller"], shelf["ended_at"]) == ("ada", "administrator's key", None)
    await raise_now(tables, "beneath")
    await raise_now(tables, "of another camera", "cam_2")

    found = await performance(history_worker)

    assert (found["raised"], found["told"], found["shelved"]) == (3, 2, 1)
    assert await asked(history_worker, "GET", "/api/alarms/shelves") == [shelf]
    audit = await tables.fetchrow("SELECT action, target, caller FROM audit_logs")
    assert tuple(audit or ()) == ("alarms.shelve", f"shelf {shelf['id']}", "administrator's key")

    await asked(history_worker, "DELETE", f"/api/alarms/shelves/{shelf['id']}", 204)
    await raise_now(tables, "after")

    # what was beneath it stays so, what comes after it is told
    found = await performance(history_worker)
    assert (found["raised"], found["told"], found["shelved"]) == (4, 3, 1)
    assert await asked(history_worker, "GET", "/api/alarms/shelves") == []
    (ended,) = await asked(history_worker, "GET", "/api/alarms/shelves?ended=true")
    assert ended["ended_because"] == "released"
    assert await tables.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'alarms.release'") == 1
    await asked(history_worker, "DELETE", f"/api/alarms/shelves/{shelf['id']}", 409)


async def test_a_shelf_expires_by_itself_whoever_looks(history_worker: Worker, tables: Connection) -> None:
    shelf = await shelve(history_worker, rule="congestion", source_kind="camera", source="cam_1", minutes=1)
    await tables.execute(
        "UPDATE alarm_shelves SET shelved_at = shelved_at - $1::interval, expires_at = expires_at - $1::interval",
        timedelta(minutes=5),
    )
    expired = await asked(history_worker, "GET", f"/api/alarms/shelves/{shelf['id']}")
    assert (expired["ended_because"], expired["ended_at"]) == ("expired", expired["expires_at"])
    await raise_now(tables, "after")

    assert (await performance(history_worker))["told"] == 1
    # written down or not, it ended when it ended
    await history_worker.context.database.ask(lambda pool: end_shelves(pool, datetime.now(UTC)))
    assert await asked(history_worker, "GET", f"/api/alarms/shelves/{shelf['id']}") == expired


async def test_a_one_shot_shelf_ends_with_its_alarm(history_worker: Worker, tables: Connection) -> None:
    shelf = await shelve(history_worker, rule="congestion", source_kind="camera", source="cam_1", kind="one_shot")

    async def end() -> Any:
        await history_worker.context.database.ask(lambda pool: end_shelves(pool, datetime.now(UTC)))
        return await asked(history_worker, "GET", f"/api/alarms/shelves/{shelf['id']}")

    assert (await end())["ended_at"] is None
    alert_id = await raise_now(tables, "its own")
    assert (await end())["ended_at"] is None
    cleared = datetime.now(UTC)
    await tables.execute("UPDATE alerts SET resolved_at = $2 WHERE id = $1", uuid.UUID(alert_id), cleared)

    ended = await end()

    assert (ended["ended_because"], ended["ended_at"]) == ("cleared", rfc3339(epoch_us(cleared)))
    await raise_now(tables, "the next one")
    found = await performance(history_worker)
    assert (found["shelved"], found["told"]) == (1, 1)


async def test_a_one_shot_shelf_is_for_the_alarm_that_stands(history_worker: Worker, tables: Connection) -> None:
    stands = await raise_now(tables, "stands")
    shelf = await shelve(history_worker, alert_id=stands, kind="one_shot")
    cleared = datetime.now(UTC)
    await tables.execute("UPDATE alerts SET resolved_at = $1", cleared)
    await history_worker.context.database.ask(lambda pool: end_shelves(pool, datetime.now(UTC)))

    ended = await asked(history_worker, "GET", f"/api/alarms/shelves/{shelf['id']}")

    assert (ended["ended_because"], ended["ended_at"]) == ("cleared", rfc3339(epoch_us(cleared)))


async def test_what_is_shelved_is_shown_as_such(history_worker: Worker, tables: Connection) -> None:
    before = await raise_now(tables, "before")
    await keep_open(history_worker.context.redis, alert_event("before", triggered_at=ago(0)))
    shelf = await shelve(history_worker, alert_id=before, minutes=5)
    expected = {"how": "shelved", "by": str(shelf["id"]), "reason": "road works", "until": shelf["expires_at"]}

    (row,) = await asked(history_worker, "GET", "/api/alerts/current")
    assert row["withheld"] == expected
    assert (await asked(history_worker, "GET", f"/api/alerts/{before}"))["withheld"] == expected
    # when it was raised it was told
    (row,) = await asked(history_worker, "GET", "/api/alerts/history")
    assert "withheld" not in row
    await asked(history_worker, "DELETE", f"/api/alarms/shelves/{shelf['id']}", 204)
    (row,) = await asked(history_worker, "GET", "/api/alerts/current")
    assert "withheld" not in row
    assert "withheld" not in await asked(history_worker, "GET", f"/api/alerts/{before}")


async def test_handover(history_worker: Worker, tables: Connection) -> None:
    await raise_now(tables, "long ago", triggered_at=ago(9e4), resolved_at=ago(8e4))
    standing = await raise_now(tables, "of the shift before", triggered_at=ago(9e4), severity="EMERGENCY")
    ended = await raise_now(tables, "ended", triggered_at=ago(9e4), resolved_at=ago(60))
    new = await raise_now(tables, "new", "cam_2")
    path = f"/api/alerts/{standing}"
    await asked(history_worker, "POST", f"{path}/acknowledge", json={"admin_id": "ada"})
    await asked(history_worker, "POST", f"{path}/comments", 201, json={"comment": "the crew is on its way"})
    shelf = await shelve(history_worker, rule="congestion", source_kind="camera", source="cam_1", minutes=30)
    beneath = await raise_now(tables, "beneath")
    await tables.execute(
        """
        INSERT INTO congestion_events (event_id, state, severity, began_at, updated_at, head, tail, length_m, extent_m,
                                       delay_vehicle_hours, delay_method, roads)
        SELECT gen_random_uuid(), 'growing', 'WARNING', $1, $1, place, place, 420, 420, 1.5, 'greenshields', '[]'
        FROM (SELECT '{"road_id": "r1", "road_name": "Via Roma", "latitude": null, "longitude": null}'::jsonb AS place)
        """,
        datetime.now(UTC),
    )

    found = await asked(history_worker, "GET", f"/api/alarms/handover?since={ago(3600)}")

    def ids(name: str) -> list[str]:
        return [one["alarm_id"] for one in found[name]]

    assert ids("open") == [standing, new, beneath]
    assert ids("raised") == [beneath, new]
    assert ids("acknowledged") == [standing]
    assert ids("cleared") == [ended]
    assert ids("withheld") == [beneath]
    # what stands is shown as it is now
    assert [one["withheld"] and one["withheld"]["how"] for one in found["open"]] == ["shelved", None, "shelved"]
    assert found["shelves"] == [shelf]
    assert [(one["alert_id"], one["comment"]) for one in found["comments"]] == [(standing, "the crew is on its way")]
    assert [(one["road"], one["length_m"]) for one in found["congestion"]] == [("Via Roma", 420.0)]
    counts = found["counts"]
    assert (counts["open"], counts["raised"], counts["cleared"], counts["shelved"]) == (3, 2, 1, 1)

    problem = await asked(history_worker, "GET", f"/api/alarms/handover?since={ago(7 * 86_400 + 60)}", 400)
    assert "7 days" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "either alert_id"),
        ({"rule": "congestion", "minutes": 5}, "either alert_id"),
        ({"alert_id": str(uuid.UUID(int=1)), "rule": "congestion", "minutes": 5}, "either alert_id"),
        ({"rule": "congestion", "source_kind": "camera", "source": "cam_1"}, "minutes"),
        ({"rule": "congestion", "source_kind": "camera", "source": "cam_1", "minutes": 1441}, "most_shelf_hours"),
        ({"rule": "congestion", "source_kind": "camera", "source": "none", "minutes": 5}, "no camera"),
        ({"rule": "congestion", "source_kind": "zone", "source": "none", "minutes": 5}, "no zone"),
        ({"alert_id": "-" * 36, "minutes": 5}, "no id"),
        ({"alert_id": str(uuid.UUID(int=1)), "minutes": 5, "reason": "  "}, "reason"),
    ],
)
async def test_what_cannot_be_shelved(
    history_worker: Worker, tables: Connection, body: dict[str, Any], words: str
) -> None:
    problem = await shelve(history_worker, 422, **body)

    assert words in problem["detail"]
    assert await tables.fetchval("SELECT count(*) FROM alarm_shelves") == 0


async def test_an_alert_that_is_unknown_or_over_cannot_be_shelved(history_worker: Worker, tables: Connection) -> None:
    await shelve(history_worker, 404, alert_id=str(uuid.UUID(int=1)), minutes=5)
    over = await raise_now(tables, "over", resolved_at=ago(0))
    await shelve(history_worker, 409, alert_id=over, minutes=5)


async def test_who_has_no_token_shelves_nothing(history_worker: Worker, tables: Connection) -> None:
    body = {"reason": "because", "rule": "congestion", "source_kind": "camera", "source": "cam_1", "minutes": 5}
    await asked(history_worker, "POST", "/api/alarms/shelves", 401, json=body, headers={"X-Admin-Token": ""})
    await asked(history_worker, "DELETE", "/api/alarms/shelves/1", 401, headers={"X-Admin-Token": ""})


async def test_a_camera_out_of_order_suppresses_what_follows_from_its_figures(
    history_worker: Worker, tables: Connection
) -> None:
    await tables.execute(
        """
        INSERT INTO city_alerts (alert_id, revision, alert_type, state, severity, subject, title, message, told_at,
                                 opened_at)
        VALUES (gen_random_uuid(), 0, 'unhealthy_source', 'opened', 'WARNING', 'cam_1', '', 'cam_1: chatter', $1, $1)
        """,
        datetime.now(UTC) - timedelta(minutes=1),
    )
    await raise_now(tables, "from its figures")
    await raise_now(tables, "of another camera", "cam_2")

    found = await performance(history_worker)

    # the outage itself is told
    assert (found["raised"], found["told"], found["suppressed"]) == (3, 2, 1)
    assert found["told_by_stream"] == {"alert": 1, "notification": 0, "city_alert": 1}


async def test_spans_that_are_none(history_worker: Worker) -> None:
    for query in (f"since={ago(60)}", f"since={ago(9e6)}", f"since={ago(0)}&until={ago(60)}", "since=yesterday"):
        problem = await asked(history_worker, "GET", f"/api/alarms/performance?{query}", 400)
        assert "since" in problem["detail"]


async def test_people_are_told_of_alarms_and_not_of_what_was_over_before(
    history_worker: Worker, tables: Connection
) -> None:
    await tables.execute(
        """
        WITH event AS (
            INSERT INTO congestion_events (event_id, state, severity, began_at, updated_at, head, tail, length_m,
                                           extent_m, delay_vehicle_hours, delay_method, roads)
            SELECT gen_random_uuid(), 'growing', 'WARNING', $1, $1, place, place, 420, 420, 1.5, 'greenshields', '[]'
            FROM (SELECT '{"road_id": "r1", "road_name": "", "latitude": null, "longitude": null}'::jsonb AS place)
            RETURNING event_id
        )
        INSERT INTO congestion_event_cameras (event_id, camera_id, since) SELECT event_id, 'cam_2', $1 FROM event
        """,
        datetime.now(UTC) - timedelta(seconds=200),
    )
    early = {"since": ago(305), "triggered_at": ago(300), "updated_at": ago(100)}
    raised = {
        "told": {"alarm_at": ago(100)},
        "held": {"alarm_at": None},
        "short": {"alarm_at": None, "resolved_at": ago(100)},
        # its delay ended while the event stood
        "folded": {"alarm_at": ago(100), "camera_id": "cam_2"},
        # and here before it
        "known": {"alarm_at": ago(250), "camera_id": "cam_2"},
    }
    events = {name: alert_event(name, **{**early, **changes}) for name, changes in raised.items()}
    await store(tables, *events.values())
    await keep_open(history_worker.context.redis, *(one for one in events.values() if one.resolved_at is None))

    found = await performance(history_worker)
    listed = {one["id"]: one for one in await asked(history_worker, "GET", "/api/alerts/history")}
    current = {one["id"]: one for one in await asked(history_worker, "GET", "/api/alerts/current")}
    shift = await asked(history_worker, "GET", f"/api/alarms/handover?since={ago(3600)}")

    counts = {name: found[name] for name in ("raised", "told", "folded", "held", "short")}
    assert counts == {"raised": 5, "told": 2, "folded": 1, "held": 1, "short": 1}
    assert (shift["counts"]["raised"], shift["counts"]["held"], shift["counts"]["short"]) == (4, 1, 1)
    assert events["short"].id not in {one["alarm_id"] for name in ("raised", "cleared") for one in shift[name]}

    def said(rows: dict[str, Any], name: str) -> tuple[str | None, str | None]:
        row = rows[events[name].id]
        return row["alarm_at"], row.get("withheld", {}).get("how")

    assert {name: said(listed, name) for name in events} == {
        "told": (raised["told"]["alarm_at"], None),
        "held": (None, "held"),
        "short": (None, "short"),
        "folded": (raised["folded"]["alarm_at"], "folded"),
        "known": (raised["known"]["alarm_at"], None),
    }
    assert said(current, "held") == (None, "held")
    assert said(current, "told") == (raised["told"]["alarm_at"], None)
