from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from msgspec.structs import replace

from models.administration.thresholds import decode_control
from models.cameras.window_rows import Level
from tests.stores.redis.rows import window_row
from tests.verification.log import end_offsets
from tests.web.administration.conftest import Call, Connection
from tests.web.conftest import Worker
from trafficapp.engine.kafka import create_topics, groupless_consumer
from trafficapp.settings import Settings
from trafficapp.stores.administration.threshold_queries import next_window, retell_thresholds
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.topics import EVENTS_RAW, declared_topics

PATH = "/api/admin/thresholds"


def change(low: Any, moderate: Any, high: Any) -> dict[str, Any]:
    return {
        "congestion_threshold_low": low,
        "congestion_threshold_moderate": moderate,
        "congestion_threshold_high": high,
    }


@pytest.fixture
async def raw_ends(history_worker: Worker, kafka_bootstrap: str) -> dict[int, int]:
    """Where the partitions of the raw events end before the test; it exists from now on."""
    settings = history_worker.context.settings
    await create_topics(settings, [topic for topic in declared_topics(settings) if topic.name == EVENTS_RAW])
    return await asyncio.to_thread(end_offsets, kafka_bootstrap, EVENTS_RAW)


async def records_since(settings: Settings, ends: dict[int, int]) -> list[Any]:
    """One record of each partition, from where it ended."""
    from aiokafka import TopicPartition

    async with groupless_consumer(settings) as consumer:
        places = [TopicPartition(EVENTS_RAW, partition) for partition in ends]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, ends[place.partition])
        found: dict[int, Any] = {}
        async with asyncio.timeout(180):
            while len(found) < len(ends):
                record = await consumer.getone()
                found.setdefault(record.partition, record)
    return list(found.values())


async def test_without_a_change_those_of_the_settings_are_in_force(call: Call) -> None:
    answer = await call("GET", PATH)
    assert answer == change(0.3, 0.55, 0.8) | dict.fromkeys(("effective_from", "set_by", "set_at")) | {"version": 0}


async def test_a_change_reaches_every_partition_and_holds_from_the_next_window(
    call: Call, history_worker: Worker, raw_ends: dict[int, int]
) -> None:
    before = time.time()
    answer = await call("PUT", PATH, change(0.3, 0.55, 0.81), X_Admin_User="Giulia")
    effective = datetime.fromisoformat(answer["effective_from"]).timestamp()
    assert effective % 5 == 0
    assert before < effective <= time.time() + 5
    assert before * 1000 - 1 < answer["version"] <= time.time() * 1000  # larger than any of an earlier database
    assert answer["set_by"] == "Giulia"
    assert await call("GET", PATH) == answer

    records = await records_since(history_worker.context.settings, raw_ends)
    assert len(records) == 8
    for record in records:
        assert record.headers == (("trafficapp-tick", b""),)
        told = decode_control(record.value).thresholds
        assert told is not None
        assert told.valid
        assert (told.version, told.effective_from_us) == (answer["version"], effective * 1e6)
        assert (told.moderate, told.high, told.severe) == (0.3, 0.55, 0.81)

    (row,) = await call("GET", "/api/admin/audit?action=thresholds.update&actor=Giulia")
    assert row["before"]["version"] == 0
    assert row["after"] == answer


@pytest.mark.parametrize(
    "body",
    [
        change(0.5, 0.4, 0.8),
        change(0.8, 0.5, 0.3),
        change(0, 0.5, 0.8),
        change(0.3, 0.5, 1),
        change(0.3, 0.5, None),
        change("0.3", 0.5, 0.8),
        {"congestion_threshold_low": 0.3},
        [],
    ],
)
async def test_thresholds_ascend_between_0_and_1(call: Call, body: object) -> None:
    await call("PUT", PATH, body, 422)
    assert (await call("GET", PATH))["version"] == 0


async def test_a_change_while_kafka_is_away_is_done_and_told_later(
    tables: Connection, migrated: str, worker: Worker
) -> None:
    # `worker` has neither Kafka nor Postgres; give it the latter
    worker.context.reserved = type(worker.context.reserved)(
        worker.context.settings.postgres.model_copy(update={"url": _secret(migrated)})
    )
    response = await worker.client.put(PATH, json=change(0.3, 0.55, 0.81))
    assert (response.status, response.headers["X-Publication"]) == (200, "pending")
    assert await tables.fetchval("SELECT count(*) FROM pending_publications") == 1
    assert await tables.fetchval("SELECT count(*) FROM admin_thresholds") == 1
    await worker.context.reserved.close()


async def test_changes_at_once_have_an_order(call: Call, tables: Connection, raw_ends: dict[int, int]) -> None:
    await asyncio.gather(*(call("PUT", PATH, change(0.3, 0.55, 0.8 + number / 1000)) for number in range(5)))
    rows = await tables.fetch("SELECT before->>'version' AS b, after->>'version' AS a FROM audit_logs ORDER BY id")
    versions = [0, *(int(row["a"]) for row in rows)]
    assert len(versions) == 6
    assert versions == sorted(set(versions))
    assert [int(row["b"]) for row in rows] == versions[:-1]


async def test_versions_grow_when_the_clock_does_not(call: Call, tables: Connection, raw_ends: dict[int, int]) -> None:
    await call("PUT", PATH, change(0.3, 0.55, 0.8))
    await tables.execute("UPDATE admin_thresholds SET version = version + 3600000")
    ahead = (await call("GET", PATH))["version"]
    assert (await call("PUT", PATH, change(0.3, 0.55, 0.7)))["version"] == ahead + 1


async def test_the_newest_are_told_again_at_the_start_of_a_history_worker(
    call: Call, tables: Connection, history_worker: Worker, raw_ends: dict[int, int]
) -> None:
    async with create_pool(history_worker.context.settings.postgres) as pool:
        await retell_thresholds(pool)
        assert await tables.fetchval("SELECT count(*) FROM pending_publications") == 0
        version = (await call("PUT", PATH, change(0.3, 0.55, 0.82)))["version"]
        await retell_thresholds(pool)
    assert f'"version":{version}' in await tables.fetchval("SELECT payload->>'value' FROM pending_publications")


@pytest.mark.parametrize(("now_us", "begin_us"), [(0, 5_000_000), (4_999_999, 5_000_000), (5_000_000, 10_000_000)])
def test_the_next_window_begins_after_now(now_us: int, begin_us: int) -> None:
    assert next_window(now_us, 5_000_000) == datetime.fromtimestamp(begin_us / 1e6, UTC)


def _secret(url: str) -> Any:
    from pydantic import SecretStr

    return SecretStr(url)


async def test_a_preview_says_which_cameras_would_change_and_changes_nothing(
    call: Call, history_worker: Worker
) -> None:
    for camera, score, level in (
        ("a", 0.2, "LOW"),
        ("b", 0.4, "MODERATE"),
        ("c", 0.9, "SEVERE"),
        ("d", None, "UNKNOWN"),
    ):
        row = replace(window_row(camera, 1), congestion_score=score, congestion_level=cast(Level, level))
        await history_worker.put(row)
    query = "congestion_threshold_low=0.1&congestion_threshold_moderate=0.45&congestion_threshold_high=0.95"
    found = await call("GET", f"{PATH}/preview?{query}")
    assert found == {
        "cameras": 3,
        "now": {"LOW": 1, "MODERATE": 1, "SEVERE": 1},
        "then": {"MODERATE": 2, "HIGH": 1},
        "changes": [
            {"camera_id": "a", "congestion_score": 0.2, "congestion_level": "LOW", "would_be": "MODERATE"},
            {"camera_id": "c", "congestion_score": 0.9, "congestion_level": "SEVERE", "would_be": "HIGH"},
        ],
    }
    assert (await call("GET", PATH))["version"] == 0
    await call("GET", f"{PATH}/preview?{query.replace('0.1', '0.5')}", status=400)
    await call("GET", f"{PATH}/preview?congestion_threshold_low=0.1", status=400)
