"""A document in Redis that cannot be read is left out of every answer, counted, and takes no other with it."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from tests.web.conftest import Worker
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.fleet.feeds import POSITIONS
from trafficapp.incidents.feeds import INCIDENT_STEPS
from trafficapp.stores.feeds.current import current_of
from trafficapp.stores.redis import documents
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.documents import readable, those_in_json

NO_JSON = (b"{", b"", b'{"a": 1} {"b": 2}', b'{"a": 1}, {"b": 2}', b"\xff\xfe", b"nonsense", b"\x00")


@pytest.fixture(autouse=True)
def tell_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_told_at", {})


@pytest.mark.parametrize("broken", NO_JSON)
def test_what_is_no_json_is_left_out_wherever_it_stands(broken: bytes) -> None:
    good = [b'{"a": [1, 2]}', b'"text"', b'{"b": null}']
    for place in range(4):
        assert those_in_json([*good[:place], broken, *good[place:]], "tests") == good
    assert those_in_json(good, "tests") == good
    assert those_in_json([], "tests") == []
    # none of two that make one together
    assert those_in_json([b'{"a": [1', b"2]}"], "tests") == []


def test_each_is_counted_and_they_are_told_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    before = documents.UNREADABLE.labels("numbers")._value.get()
    with caplog.at_level(logging.WARNING):
        assert readable([b"1", b"x", b"2", b"y"], msgspec.json.Decoder(int).decode, "numbers") == [1, 2]
    assert documents.UNREADABLE.labels("numbers")._value.get() == before + 2
    assert len([record for record in caplog.records if "among numbers" in record.getMessage()]) == 1


async def put(client: Redis, feed: Feed[Any], key: str, document: bytes) -> None:
    current = current_of(feed)
    await client.set(current.key_of(key), document)
    await client.zadd(current.listed, {key: 1_768_392_000})


#: Paths beside the list of a feed that read its documents.
PATHS = {
    POSITIONS.name: ("/api/vehicles/locations", "/api/fleet/vehicles", "/api/analytics/city-summary", "/api/stats"),
    INCIDENT_STEPS.name: ("/api/emergencies/active", "/api/stats"),
}
OF_DOCUMENTS = [feed for feed in FEEDS if feed.path is not None and hasattr(feed.current, "listed")]


@pytest.mark.parametrize("broken", [b"{ no JSON", b'{"of": "another version"}', b"[1]"])
async def test_no_answer_fails_for_a_broken_document(worker: Worker, broken: bytes) -> None:
    client = connect(worker.redis_server.url)
    for feed in (*OF_DOCUMENTS, POSITIONS, INCIDENT_STEPS):
        await put(client, feed, "broken", broken)
        await put(client, feed, "good", msgspec.json.encode(feed.sample))
    await client.set("city:summary", broken)
    try:
        for feed in OF_DOCUMENTS:
            for form in ("json", "csv", "geojson"):
                async with worker.client.get(f"{feed.path}?format={form}") as answer:
                    said = await answer.read()
                    assert answer.status == 200, (feed.name, form, said)
                    if form == "csv":
                        assert said.count(b"\r\n") == 2, (feed.name, said)
                    else:
                        found = msgspec.json.decode(said)
                        found = found if form == "json" else found["features"]
                        # what is JSON at all is passed on where nothing is made of it
                        is_passed_on = form == "json" and not broken.startswith(b"{ ")
                        assert len(found) - is_passed_on in (0, 1), (feed.name, form, found)
                        assert len(found) >= 1
            async with worker.client.get(f"{feed.path}?key=broken") as answer:
                assert answer.status in (200, 404), await answer.text()
        for paths in PATHS.values():
            for path in paths:
                async with worker.client.get(path) as answer:
                    assert answer.status == 200, (path, await answer.text())
        for path in (
            "/api/incidents/broken/units",
            "/api/still-cameras/broken/snapshot",
            "/api/transit/vehicles/broken",
            "/metrics/current?camera_id=broken",
        ):
            async with worker.client.get(path) as answer:
                assert answer.status in (200, 404), (path, await answer.text())
        async with worker.client.get("/api/vehicles/locations") as answer:
            assert len(await answer.json()) == 1
        async with worker.client.get("/metrics") as answer:
            assert "b2_unreadable_documents_total{" in await answer.text()
    finally:
        await client.aclose()


async def test_a_broken_row_of_a_camera_and_a_broken_alert(worker: Worker) -> None:
    client = connect(worker.redis_server.url)
    await client.set("camera:broken:current", b"{")
    await client.zadd("cameras:last_seen", {"broken": 1_768_392_000})
    await client.hset("alerts:open", "00000000-0000-0000-0000-000000000001", "{")
    try:
        for path, status in (
            ("/metrics/current", 200),
            ("/metrics/current?camera_id=broken", 404),
            ("/congestion/current", 200),
            ("/api/alerts/current", 200),
        ):
            async with worker.client.get(path) as answer:
                assert answer.status == status, (path, await answer.text())
                if status == 200:
                    assert await answer.json() == []
        async with worker.client.get("/api/dashboard/summary") as answer:
            assert answer.status == 200
    finally:
        await client.aclose()
