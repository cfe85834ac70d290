"""How many recently asked routes a road is on, and that nobody learns whose they are."""

from __future__ import annotations

import time

from redis.asyncio import Redis

from models.roads.notifications import decode_notification, encode_notification
from tests.stores.redis.redis_server import RedisServer
from tests.stores.roads.notifications import notification
from trafficapp.stores.roads.recent_routes import (
    KEPT_ROUTES,
    KEPT_SECONDS,
    SLICE_SECONDS,
    recent_routes,
    remember_routes,
    slice_key,
)


async def test_routes_through_any_edge_of_a_road_count_each_once(client: Redis) -> None:
    await remember_routes(client, [["a", "b"], ["a", "c"]])
    await remember_routes(client, [["d"], ["a", "b"]])
    routes = await recent_routes(client)
    assert [routes.count_through(edges) for edges in (["a", "b"], ["d"], ["a", "d"], ["nowhere"])] == [2, 1, 3, 0]


async def test_what_was_asked_is_gone_within_the_hour_whatever_is_asked_later(client: Redis) -> None:
    now = time.time()
    await remember_routes(client, [["a"]])
    key = slice_key(now)
    expires = int(await client.expiretime(key))
    assert now < expires <= now + KEPT_SECONDS
    # what is asked later in these minutes does not keep it longer
    await remember_routes(client, [["b"]])
    assert {int(await client.expiretime(one)) for one in await client.keys("routes:asked:*")} <= {
        expires,
        expires + SLICE_SECONDS,
    }
    # nothing of older minutes is read
    await client.sadd(slice_key(now - KEPT_SECONDS - SLICE_SECONDS), b'["old"]')
    await client.sadd(key, b"{")
    assert (await recent_routes(client)).count_through(["old"]) == 0


async def test_so_many_are_kept(client: Redis) -> None:
    for number in range(0, KEPT_ROUTES + 50, 50):
        await remember_routes(client, [["a", str(number + one)] for one in range(50)])
    assert KEPT_ROUTES <= (await recent_routes(client)).count_through(["a"]) <= 2 * KEPT_ROUTES
    assert max([await client.scard(key) for key in await client.keys("routes:asked:*")]) == KEPT_ROUTES


def test_a_notification_tells_no_place_of_a_route_not_even_an_older_one() -> None:
    told = encode_notification(notification(0))
    assert b'"affected_routes":[]' in told
    older = told.replace(b'"affected_routes":[]', b'"affected_routes":["44.505,11.343:44.53,11.29","1,2:3,4"]')
    read = decode_notification(older)
    assert (read.affected_routes, read.affected_routes_count) == ([], 2)
    assert b"44.505" not in encode_notification(read)


async def test_without_redis_nothing_is_affected_and_nothing_fails(server: RedisServer, client: Redis) -> None:
    server.kill()
    await remember_routes(client, [["a"]])
    assert (await recent_routes(client)).count_through(["a"]) == 0
