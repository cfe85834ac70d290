"""Refused messages, read in place."""

from __future__ import annotations

from typing import Any

from models.cameras.detections import Rejected
from models.dead_letters import dead_letter_of, encode_dead_letter
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import records
from tests.web.conftest import Worker, serving, settings_of
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.outbox import Outbox
from trafficapp.topics import DEAD_LETTERS, declared_topics

#: Nobody else's.
TOPIC = "test-refused-messages"


async def refuse(worker: Worker, value: bytes | None, reason: str, detail: str) -> None:
    settings = worker.context.settings
    await create_topics(settings, [topic for topic in declared_topics(settings) if topic.name == DEAD_LETTERS])
    [record] = records([value or b""], 7)
    record = type(record)(**{**record.__dict__, "key": b"\xffcam", "value": value})
    letter = dead_letter_of(TOPIC, 0, record, Rejected(reason, detail))
    outbox = Outbox(settings)
    for sent in await outbox.send(DEAD_LETTERS, 0, [(letter.key, encode_dead_letter(letter))]):
        await sent
    await outbox.stop()


async def refused(worker: Worker, query: str = "") -> list[Any]:
    async with worker.client.get(f"/api/dead-letters?topic={TOPIC}{query}") as answer:
        assert answer.status == 200, await answer.text()
        return list(await answer.json())


async def test_the_newest_come_first_with_their_reason_and_what_was_sent(history_worker: Worker) -> None:
    await refuse(history_worker, b'{"camera_id": "<b>x</b>"', "not_json", "cut off")
    await refuse(history_worker, None, "empty", "nothing in it")
    await refuse(history_worker, b"\xff" * 5000, "not_json", "no text")
    found = await refused(history_worker)
    assert [(one["reason"], one["detail"]) for one in found] == [
        ("not_json", "no text"), ("empty", "nothing in it"), ("not_json", "cut off")
    ]  # fmt: skip
    assert (found[2]["key"], found[2]["value"], found[2]["is_whole"]) == ("\ufffdcam", '{"camera_id": "<b>x</b>"', True)
    assert (found[1]["value"], found[1]["value_bytes"]) == (None, None)
    assert (len(found[0]["value"]), found[0]["value_bytes"], found[0]["is_whole"]) == (4096, 5000, False)
    assert [one["reason"] for one in await refused(history_worker, "&reason=empty")] == ["empty"]
    assert len(await refused(history_worker, "&limit=1")) == 1


async def test_without_kafka_it_is_said(worker: Worker) -> None:
    async with worker.client.get("/api/dead-letters") as answer:
        assert answer.status == 503
        assert answer.content_type == "application/problem+json"


async def test_they_are_for_operators_only(redis_server: RedisServer, kafka_bootstrap: str) -> None:
    async with serving(settings_of(redis_server, kafka_bootstrap), redis_server) as worker:
        worker.client.session.headers.popall("X-Admin-Token", None)  # type: ignore[attr-defined]
        assert (await worker.client.get("/api/dead-letters")).status == 401
