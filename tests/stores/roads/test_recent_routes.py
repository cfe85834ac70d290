"""Which recently asked routes a road is on."""

from __future__ import annotations

import time

from redis.asyncio import Redis

from tests.stores.redis.redis_server import RedisServer
from trafficapp.stores.roads.recent_routes import (
    KEPT_ROUTES,
    KEPT_SECONDS,
    RECENT_ROUTES_KEY,
    affected_routes,
    recent_routes,
    remember_routes,
    route_name,
)

STATION, FAIR, AIRPORT = (44.50504, 11.34297), (44.51331, 11.36309), (44.53, 11.29)


async def test_a_name_tells_nobodys_door() -> None:
    assert route_name((44.51234, 11.36567), (-0.00001, -0.0)) == "44.512,11.366:0.0,0.0"


async def test_routes_through_any_edge_of_a_road_the_newest_first(client: Redis) -> None:
    await remember_routes(client, [(STATION, FAIR, ["a", "b"])])
    await remember_routes(client, [(STATION, AIRPORT, ["a", "c"])])
    await remember_routes(client, [(FAIR, AIRPORT, ["d"])])
    assert await affected_routes(client, ["a", "b"]) == ["44.505,11.343:44.53,11.29", "44.505,11.343:44.513,11.363"]
    # asked again, it is the newest, and it is there once
    await remember_routes(client, [(STATION, FAIR, ["b", "e"])])
    routes = await recent_routes(client)
    assert routes.through(["a"]) == ["44.505,11.343:44.513,11.363", "44.505,11.343:44.53,11.29"]
    assert routes.through(["d"]) == ["44.513,11.363:44.53,11.29"]
    assert routes.through(["nowhere"]) == []


async def test_only_the_newest_of_an_hour_are_kept(client: Redis) -> None:
    old = b'{"route":"0,0:1,1","edges":["a"]}'
    await client.zadd(RECENT_ROUTES_KEY, {old: time.time() - KEPT_SECONDS - 1, b"{": time.time()})
    assert await affected_routes(client, ["a"]) == []
    for number in range(KEPT_ROUTES + 5):
        await remember_routes(client, [(STATION, (44.0, 11.0 + number / 1000), ["a"])])
    assert await client.zcard(RECENT_ROUTES_KEY) == KEPT_ROUTES
    assert 0 < await client.ttl(RECENT_ROUTES_KEY) <= KEPT_SECONDS
    assert (await affected_routes(client, ["a"]))[0] == "44.505,11.343:44.0,11.504"


async def test_without_redis_nothing_is_affected_and_nothing_fails(server: RedisServer, client: Redis) -> None:
    server.kill()
    await remember_routes(client, [(STATION, FAIR, ["a"])])
    assert await affected_routes(client, ["a"]) == []
