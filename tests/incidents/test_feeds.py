"""The feeds of incidents on real servers: from what producers send to Postgres, Redis, the API and its sockets."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from models.timestamps import rfc3339
from tests.feeds.place import told
from tests.feeds.rules_place import RulesPlace, rules_place
from tests.stores.redis.redis_server import RedisServer
from trafficapp.engine.kafka import create_topics
from trafficapp.incidents import feeds
from trafficapp.incidents.feeds import CITIZENS, DESK, EMERGENCY_DESK, INCIDENT_RULES, OPERATORS
from trafficapp.incidents.topics import REPORTS
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import connect
from trafficapp.topics import declared_topics

ADMIN_KEY = "the-administrators-key-of-the-tests"
INPUTS = (DESK, EMERGENCY_DESK, CITIZENS, OPERATORS)
OUTPUTS = tuple(feed for feed in feeds.FEEDS if feed.is_ours)
RUN = secrets.token_hex(3)
AS_ADA = {"X-Admin-Token": ADMIN_KEY, "X-Admin-User": "ada"}
LAT, LON = 44.4985, 11.3175


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def place(kafka_bootstrap: str, database_url: str, redis_server: RedisServer) -> AsyncIterator[RulesPlace]:
    migrate(database_url)
    sections: dict[str, Any] = {
        "postgres": {"url": database_url},
        "redis": {"url": redis_server.url},
        "admin": {"api_key": ADMIN_KEY},
        "city": {"bounds": [44.0, 11.0, 45.0, 12.0]},
        "incidents": {"time_zone": "Europe/Rome"},
    }
    async with rules_place(INPUTS, INCIDENT_RULES, OUTPUTS, kafka_bootstrap, **sections) as made:
        # the API tells under the names of the contract
        await create_topics(made.settings, declared_topics(made.settings, INPUTS))
        yield made


async def settle(place: RulesPlace, clock_us: int | None = None) -> None:
    await place.settle(clock_us)
    await place.keep(OUTPUTS)


async def rows(place: RulesPlace, question: str, *arguments: Any) -> list[dict[str, Any]]:
    database = await asyncpg.connect(place.settings.postgres.url.get_secret_value())
    try:
        return [dict(row) for row in await database.fetch(question, *arguments)]
    finally:
        await database.close()


def desk(incident_id: str, **changes: Any) -> bytes:
    told = {"incident_id": f"{incident_id}-{RUN}", "type": "accident", "latitude": LAT, "longitude": LON, "severity": 4}
    return json.dumps(told | {"description": "two cars", "timestamp": now()} | changes).encode()


def emergency(incident_id: str, **changes: Any) -> bytes:
    said = {"id": secrets.token_hex(8), "device_id": "d-1", "incidentId": f"{incident_id}-{RUN}", "status": "Active"}
    said |= {"timestamp": now(), "location": [LAT + 0.1, LON], "incident_type": "Accident", "description": "help"}
    return json.dumps(said | changes).encode()


def now(ago: float = 0) -> str:
    return rfc3339((time.time_ns() // 1_000_000_000 - round(ago)) * 1_000_000)


async def test_what_two_desks_send_is_seen_everywhere(place: RulesPlace) -> None:
    async with place.api(AS_ADA) as client, client.ws_connect("/ws/incidents?snapshot=false") as socket:
        # any key, any partition, and the emergency desk in local time without an offset, ahead by an hour
        await place.send(DESK.name, desk("a"), desk("b", type="road_closure", latitude=LAT + 0.01), key=b"\xff")
        await place.send(
            EMERGENCY_DESK.name,
            emergency("e", timestamp="2026-07-01T14:00:00.123456789"),
            emergency("r", status="Resolved", location=[LAT, LON]),
            emergency("t", incident_type="Theft", location=[LAT + 0.2, LON], timestamp="2999-01-01 00:00:00"),
        )
        await settle(place)
        names = {f"{name}-{RUN}" for name in "abert"}
        messages = await told(socket, has_all=lambda found: names <= {one["incident_id"] for one in found})
        heard = {one["incident_id"]: one for one in messages}
        listed = {one["incident_id"]: one for one in await (await client.get("/api/incidents")).json()}
        active = await (await client.get("/api/emergencies/active")).json()
        one = await (await client.get(f"/api/incidents?key=a-{RUN}")).json()
        alerts = await (await client.get("/api/incidents/alerts")).json()
    assert names <= heard.keys()
    assert names <= listed.keys()
    assert (one[0]["state"], one[0]["severity"], one[0]["sources"]) == ("verified", "high", ["desk"])
    assert {name: found for name, found in listed.items() if name in names} == {
        name: found for name, found in heard.items() if name in names
    }
    ours = [found for found in active if found["incident_id"] in names]
    assert [(found["incident_id"], found["incident_type"], found["status"]) for found in ours] == [
        (f"e-{RUN}", "Accident", "active"),
        (f"t-{RUN}", "Theft", "active"),
    ]
    # nine digits are cut, and the zone is that of the setting
    assert ours[0]["timestamp"] == "2026-07-01T12:00:00.123456Z"
    redis = connect(place.settings.redis.url.get_secret_value())
    document = json.loads(await redis.get(f"emergency:incident:e-{RUN}"))
    assert (document["status"], document["severity"]) == ("active", "high")
    assert 7000 < await redis.ttl(f"emergency:incident:e-{RUN}") <= 7200
    assert json.loads(await redis.get(f"emergency:incident:a-{RUN}"))["is_emergency"] is False
    await redis.aclose()
    kept = await rows(place, "SELECT * FROM incidents WHERE incident_id LIKE $1 ORDER BY 1", f"%-{RUN}")
    assert [(row["incident_id"], row["state"]) for row in kept] == [
        *((f"{name}-{RUN}", "verified") for name in "abe"),
        (f"r-{RUN}", "normal"),
        (f"t-{RUN}", "verified"),
    ]
    reports = await rows(place, "SELECT * FROM incident_reports WHERE incident_id LIKE $1", f"%-{RUN}")
    assert sorted((row["source_id"][0], row["effect"], row["source"]) for row in reports) == [
        ("a", "opened", "desk"),
        ("b", "opened", "desk"),
        ("e", "opened", "emergency"),
        ("r", "kept", "emergency"),
        ("t", "opened", "emergency"),
    ]
    about = {one["subject"][0]: (one["severity"], one["state"]) for one in alerts if one["subject"] in names}
    assert about == dict.fromkeys("abe", ("CRITICAL", "opened"))


async def test_what_is_wrong_is_refused_with_the_reason_and_costs_no_neighbour(place: RulesPlace) -> None:
    wrong = {
        "outside_city": [desk("w", latitude=LON, longitude=LAT), emergency("w", location=[10.0, 11.3])],
        "invalid_field": [
            *(desk("w", severity=6), desk("w", type="ufo"), desk("w", latitude=91.0), desk("w", heading=-1)),
            *(emergency("w", status="Perhaps"), emergency("w", location=[44.5]), emergency("w", location="here")),
        ],
        "invalid_timestamp": [desk("w", timestamp="yesterday")],
        "not_json": [b"{"],
        "empty": [b""],
    }
    good = 0
    for messages in wrong.values():
        for message in messages:
            good += 1
            await place.send((EMERGENCY_DESK if b"incidentId" in message else DESK).name, message)
            await place.send(DESK.name, desk(f"good{good}", latitude=44.1 + good / 100))
    await place.settle()
    letters = await place.letters()
    expected = sorted(reason for reason, messages in wrong.items() for _ in messages)
    assert sorted(letter.reason for letter in letters) == expected
    assert sum("they look swapped" in (letter.detail or "") for letter in letters) == 1
    reported = [json.loads(record.value or b"")["source_id"] for record in await place.told(REPORTS)]
    assert sum(name.startswith("good") and name.endswith(RUN) for name in reported) == good


async def test_a_citizen_reports_and_operators_act(place: RulesPlace) -> None:
    # where no run before reported on the same servers: reports near by are of one incident
    here = {"latitude": LAT - 0.2, "longitude": LON + 0.1 + secrets.randbelow(400) / 1000}

    async def pass_on() -> None:
        """What the API sent, to the topics of this place."""
        for feed in (CITIZENS, OPERATORS):
            records = [one for one in await place.told(feed.topic_in(place.settings)) if one.value not in passed]
            passed.update(one.value or b"" for one in records)
            await place.send(feed.name, *(one.value for one in records))
        await place.settle()
        await place.keep([feeds.INCIDENT_STEPS])

    passed: set[bytes] = set()
    async with place.api(AS_ADA) as client:
        await pass_on()
        answer = await client.post(
            "/api/incidents/report",
            json={**here, "incident_type": "road_closure", "description": "a tree", "severity": 5},
        )
        assert answer.status == 202
        accepted = await answer.json()
        assert accepted["status"] == "unverified"
        # it is safe before it is answered
        found = [json.loads(one.value or b"") for one in await place.told(feeds.CITIZEN_REPORTS)]
        assert accepted["report_id"] in [one["report_id"] for one in found]
        await pass_on()
        name = accepted["report_id"]
        path = f"/api/incidents/{name}"

        async def state() -> Any:
            answer = await client.get(f"/api/incidents?key={name}")
            assert answer.status == 200, await answer.text()
            return (await answer.json())[0]

        assert ((await state())["state"], (await state())["closed"]) == ("reported", True)
        for action, body, after in (
            ("reopen", None, None),
            ("confirm", {"severity": 3}, ("verified", "medium")),
            ("confirm", {}, None),
            ("respond", {"unit_id": "police-1"}, ("responding", "medium")),
            ("clear", None, ("cleared", "medium")),
            ("respond", {}, None),
            ("reopen", None, ("verified", "medium")),
            ("clear", None, ("cleared", "medium")),
            ("normal", None, ("normal", "medium")),
            ("reject", None, None),
        ):
            answer = await client.post(f"{path}/{action}", json=body)
            told_back = await answer.json()
            if after is None:
                assert (answer.status, answer.content_type) == (409, "application/problem+json"), action
                continue
            assert (answer.status, told_back["by"], told_back["status"]) == (202, "ada", "queued"), told_back
            await pass_on()
            now_known = await state()
            assert (now_known["state"], now_known["severity"]) == after
        for unknown in (secrets.token_hex(8), "%00"):
            assert (await client.post(f"/api/incidents/{unknown}/clear")).status == 404
        wrong = await client.post(f"{path}/clear", headers={"X-Admin-Token": "wrong"})
        assert wrong.status == 401
        span = f"from={now(3600)}&to={now(-60)}"
        assert (await state())["units"] == ["police-1"]
        measured = await (await client.get(f"/api/incidents/measures?{span}")).json()
        assert (await client.get(f"/api/incidents/measures?from={now()}&to={now(60)}")).status == 400
    (closures,) = (one for one in measured if one["kind"] == "road_closure")
    assert closures["reopened"] >= 1
    assert closures["clearance_seconds"] >= 0
    audited = await rows(place, "SELECT action, actor FROM audit_logs WHERE target = $1 ORDER BY id", name)
    done = ["confirm", "respond", "clear", "reopen", "clear", "normal"]
    assert [(row["action"], row["actor"]) for row in audited] == [(f"incidents.{word}", "ada") for word in done]
    (row,) = await rows(place, "SELECT * FROM incidents WHERE incident_id = $1", name)
    assert (row["state"], row["cleared_by"], row["reopened"]) == ("normal", "ada", 1)


async def test_emergencies_come_from_postgres_while_redis_is_away(place: RulesPlace, redis_server: RedisServer) -> None:
    await place.send(EMERGENCY_DESK.name, emergency("p", location=[LAT + 0.3, LON]))
    await settle(place)
    async with place.api(AS_ADA) as client:
        redis_server.kill()
        answer = await client.get("/api/emergencies/active")
        listed = {one["incident_id"]: one for one in await answer.json()}
    assert answer.headers["X-Data-Source"] == "postgres"
    assert listed[f"p-{RUN}"]["status"] == "active"
    assert set(listed[f"p-{RUN}"]) == {
        *("incident_id", "incident_type", "latitude", "longitude", "severity", "status", "timestamp"),
    }
