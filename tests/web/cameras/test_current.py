from __future__ import annotations

import asyncio

import pytest
from yarl import URL

from models.cameras.window_rows import WindowRow
from tests.stores.cameras.test_live_sink import flat
from tests.stores.redis.rows import records, window_row, window_rows
from tests.web.conftest import Client, Worker
from trafficapp.stores.cameras.live_upkeep import CameraUpkeep
from trafficapp.stores.redis.connection import PUT_KEY


async def answer(client: Client, path: str, status: int = 200) -> list[dict[str, object]]:
    response = await client.get(path)
    assert response.status == status, await response.text()
    assert response.content_type == "application/json"
    body = await response.json()
    assert isinstance(body, list)
    return body


async def one(client: Client, camera_id: str) -> dict[str, object]:
    response = await client.get("/metrics/current", params={"camera_id": camera_id})
    assert response.status == 200, await response.text()
    body = await response.json()
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize("path", ["/cameras", "/metrics/current", "/congestion/current"])
async def test_nothing_has_reported(worker: Worker, path: str) -> None:
    assert await answer(worker.client, path) == []


async def test_cameras_in_order(worker: Worker) -> None:
    await worker.put(*window_rows("b", 3), *window_rows("a", 4))
    assert await answer(worker.client, "/cameras") == [
        {"camera_id": "a", "last_seen": "2026-01-14T07:00:25Z"},
        {"camera_id": "b", "last_seen": "2026-01-14T07:00:20Z"},
    ]


async def test_current_rows(worker: Worker) -> None:
    a, b = window_rows("a", 4, lanes=3), window_rows("b", 3, lanes=0)
    await worker.put(*b, *a)
    assert await answer(worker.client, "/metrics/current") == flat([a[0], b[0]])
    assert await answer(worker.client, "/metrics/current?lanes=true") == flat([*a, *b])
    assert await one(worker.client, "a") == flat(a[:1])[0] | {"lanes": flat(a[1:])}
    assert await one(worker.client, "b") == flat(b)[0] | {"lanes": []}


async def test_one_camera_is_one_object_in_the_order_of_the_fields(worker: Worker) -> None:
    await worker.put(*window_rows("a", 4))
    assert list(await one(worker.client, "a")) == [*WindowRow.__struct_fields__, "lanes"]
    assert (await worker.client.get("/metrics/current?lanes=perhaps")).status == 400


async def test_a_camera_may_have_any_name(worker: Worker) -> None:
    name = 'Straße "7",lanes":[ /?&=😀'
    rows = window_rows(name, 1)
    await worker.put(*rows)
    assert await one(worker.client, name) == flat(rows[:1])[0] | {"lanes": flat(rows[1:])}
    assert await answer(worker.client, "/metrics/current") == flat(rows[:1])
    assert await answer(worker.client, "/metrics/current?lanes=true") == flat(rows)


async def test_congestion(worker: Worker) -> None:
    await worker.put(*window_rows("b", 3), *window_rows("a", 4))
    assert await answer(worker.client, "/congestion/current") == flat([window_row("a", 4), window_row("b", 3)])


@pytest.mark.parametrize("path", ["/cameras", "/metrics/current", "/metrics/current?lanes=true", "/congestion/current"])
async def test_pages(worker: Worker, path: str) -> None:
    await worker.put(*(row for number in range(5) for row in window_rows(f"cam_{number}", 1)))
    everything = await answer(worker.client, path)
    collected: list[dict[str, object]] = []
    url = f"{path}{'&' if '?' in path else '?'}limit=2"
    pages = 0
    while True:
        response = await worker.client.get(url)
        collected += await response.json()
        pages += 1
        if "next" not in response.links:
            break
        url = URL(response.links["next"]["url"]).path_qs
    assert collected == everything
    assert pages == 3


async def test_a_camera_of_two_partitions_says_so_and_only_then(worker: Worker) -> None:
    await worker.sink.load([1])
    await worker.put(*window_rows("b", 1))
    for window in range(1, 6):
        await worker.put(*window_rows("a", window))
        await worker.sink.apply(1, records([*window_rows("a", window)], 100 * window, 1), lambda: True)
    a, b = await answer(worker.client, "/cameras")
    assert a == {"camera_id": "a", "last_seen": window_row("a", 5).window_end, "partitions": [0, 1]}
    assert b == {"camera_id": "b", "last_seen": window_row("b", 1).window_end}
    assert await answer(worker.client, "/cameras?limit=1") == [a]
    worker.sink.release([1])


@pytest.mark.parametrize("path", ["/cameras", "/metrics/current", "/congestion/current"])
async def test_a_forgotten_camera_is_nowhere_and_is_there_again_at_once(worker: Worker, path: str) -> None:
    await worker.put(*window_rows("gone", 2, lanes=0), *window_rows("stays", 2, lanes=0))
    redis = worker.context.redis
    upkeep = CameraUpkeep(redis, worker.sink, 3600.0, 10_000)

    async def names() -> list[object]:
        return [camera["camera_id"] for camera in await answer(worker.client, path)]

    async with worker.client.ws_connect("/ws/metrics?changes=true") as socket:
        while len(await socket.receive_json(timeout=5)) != 2:
            pass
        await redis.zincrby(PUT_KEY, -3601, "gone")
        (memory,) = worker.sink.memories()
        for window in memory:
            window.told_at -= 3601 if window.camera_id == "gone" else 0
        assert await names() == ["gone", "stays"]
        await upkeep.look()
        assert await names() == ["stays"]
        assert (await worker.client.get("/metrics/current?camera_id=gone")).status == 404
        # what is sent when nothing comes, and to those who come
        while [row["camera_id"] for row in await socket.receive_json(timeout=10)] != ["stays"]:
            pass
        async with worker.client.ws_connect("/ws/metrics?changes=true") as late:
            assert [row["camera_id"] for row in await late.receive_json(timeout=5)] == ["stays"]
        await worker.put(*window_rows("gone", 1, lanes=0))
        assert await names() == ["gone", "stays"]
        assert [row["camera_id"] for row in await socket.receive_json(timeout=10)] == ["gone"]


async def test_no_camera_is_listed_that_has_no_row_while_many_are_forgotten(worker: Worker) -> None:
    for first in range(0, 3000, 1000):
        await worker.put(*(window_row(f"c{number:04}", 1) for number in range(first, first + 1000)))
    redis = worker.context.redis
    for camera_id in await redis.zrange(PUT_KEY, 0, -1):
        await redis.zincrby(PUT_KEY, -3601, camera_id)
    looking = asyncio.create_task(CameraUpkeep(redis, worker.sink, 3600.0, 10_000).look())
    seen = []
    while not looking.done():
        listed = {str(camera["camera_id"]) for camera in await answer(worker.client, "/cameras")}
        rows = {str(row["camera_id"]) for row in await answer(worker.client, "/metrics/current")}
        # what was forgotten between the two questions
        assert rows <= listed
        seen.append(len(rows))
    await looking
    assert await answer(worker.client, "/cameras") == await answer(worker.client, "/metrics/current") == []
    assert any(0 < number < 3000 for number in seen)


async def test_redis_away_without_anything_local(worker: Worker) -> None:
    worker.redis_server.kill()
    for path in ("/cameras", "/metrics/current", "/metrics/current?camera_id=a", "/congestion/current"):
        response = await worker.client.get(path)
        assert response.status == 503
        assert response.content_type == "application/problem+json"
        assert int(response.headers["Retry-After"]) > 0


async def test_redis_frozen_is_given_up_soon(worker: Worker) -> None:
    worker.redis_server.freeze()
    try:
        response = await worker.client.get("/cameras")
        assert response.status == 503
        health = await (await worker.client.get("/health")).json()
        assert health["redis"] == "unreachable"
    finally:
        worker.redis_server.thaw()


async def test_redis_away_but_the_worker_knows(local_worker: Worker, local_rows: list[WindowRow]) -> None:
    local_rows += [*window_rows("a", 4), *window_rows("b", 4)]
    local_worker.redis_server.kill()
    response = await local_worker.client.get("/metrics/current?camera_id=a")
    assert response.headers["X-Data-Source"] == "local"
    assert await response.json() == flat(local_rows[:1])[0] | {"lanes": flat(local_rows[1:3])}
    assert await answer(local_worker.client, "/metrics/current?lanes=true") == flat(local_rows)
    for path in ("/metrics/current", "/congestion/current"):
        assert await answer(local_worker.client, path) == flat([window_row("a", 4), window_row("b", 4)])
    assert await answer(local_worker.client, "/cameras") == [
        {"camera_id": camera_id, "last_seen": window_row(camera_id, 4).window_end} for camera_id in ("a", "b")
    ]
    # of a camera that another worker has, this one cannot say that it does not exist
    assert (await local_worker.client.get("/metrics/current?camera_id=c")).status == 503
