"""Every topic of a city, written by plain clients with every codec, and seen in the stores, the API and on sockets.

All messages of all topics are sent at once, and taken up once; each test looks at what became of those of one topic,
client and codec.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from models.timestamps import epoch_us, rfc3339
from tests.feeds.committed import existing_partitions
from tests.feeds.contract_messages import BOUNDS, OUTER, ZONES
from tests.feeds.place import PARTITIONS, place_of
from tests.feeds.plain_clients import CLIENTS, CODECS
from tests.feeds.whole_city import City, Codecs, are_heard
from tests.stores.redis.redis_server import RedisServer
from trafficapp.areas.feeds import AREA_DATA
from trafficapp.batching import unpacking
from trafficapp.engine.kafka import create_topics, end_offsets
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import load_settings
from trafficapp.stores.migrations import migrate
from trafficapp.topics import DEAD_LETTERS, declared_topics

logger = logging.getLogger(__name__)


@pytest.fixture(scope="module")
async def city(kafka_bootstrap: str, database_url: str) -> AsyncIterator[City]:
    await asyncio.to_thread(migrate, database_url)
    redis_server = RedisServer()
    redis_server.start()
    async with AsyncExitStack() as stack:
        stack.callback(redis_server.kill)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(unpacking, "decompress", codecs := Codecs())
        of = await stack.enter_async_context(
            place_of(AREA_DATA, database_url, kafka_bootstrap, redis_server, ["traffic_data"])
        )
        told_settings = load_settings(**ZONES, city={"bounds": BOUNDS})
        settings = of.settings.model_copy(update={name: getattr(told_settings, name) for name in (*ZONES, "city")})
        place = replace(of, settings=settings, longest=1000)
        own = {outer.feed.name: f"{settings.app_id}-{outer.feed.topic}" for outer in OUTER}
        outers = [
            replace(outer, feed=replace(outer.feed, topic=own[outer.feed.name], partitions=PARTITIONS))
            for outer in OUTER
        ]
        # what is shown as it came, by its key, is the same feed
        outers = [
            replace(outer, shown=outer.feed) if outer.shown.name == outer.feed.name else outer for outer in outers
        ]
        found = City(place, outers, codecs.found)
        ours = [feed for feed in FEEDS if feed.is_ours]
        await create_topics(settings, declared_topics(settings, [*(outer.feed for outer in outers), *ours]))
        letters = await end_offsets(settings, DEAD_LETTERS, await existing_partitions(settings, DEAD_LETTERS))
        began = time.monotonic()
        await found.send()
        client = await stack.enter_async_context(place.api(FEEDS))
        sockets = {
            shown.name: await stack.enter_async_context(
                client.ws_connect(f"/ws{shown.path.removeprefix('/api')}?snapshot=false")
            )
            for shown in found.shown
            if shown.path is not None
        }
        await are_heard(place, [shown for shown in found.shown if shown.path is not None])
        await found.settle()
        await found.look()
        taken = time.monotonic() - began
        for name, socket in sockets.items():
            await found.listen(name, socket)
        await found.look_at_letters(letters)
        count = sum(map(len, found.keys.values()))
        logger.info("%d messages into %d topics: in all stores and lists after %.1f s", count, len(outers), taken)
        yield found


def test_no_topic_is_left_out() -> None:
    assert {outer.feed.name for outer in OUTER} == {feed.name for feed in FEEDS if not feed.is_ours}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("number", range(len(OUTER)), ids=[outer.feed.name for outer in OUTER])
async def test_what_a_plain_client_sends_is_seen_everywhere(city: City, number: int, client: str, codec: str) -> None:
    outer = city.outers[number]
    name, shown = outer.feed.name, outer.shown
    at = city.at[name]
    for key in city.keys[name, client, codec]:
        natural = outer.key_in_documents(key)
        if outer.rows:
            assert city.rows[name][natural] == at
        listed = city.listed[shown.name][natural]
        if outer.lists[1]:
            listed["timestamp"] = listed[outer.lists[1]]
        seen = [city.documents[shown.name][natural], listed]
        if shown.path is not None:
            seen.append(city.heard[shown.name][natural])
        for one in seen:
            assert outer.time is None or one[outer.time] == rfc3339(epoch_us(at))
            assert {field: one[field] for field in outer.says} == outer.says
        if outer.place(0, 0):
            for word, (reason, detail) in (("swapped", outer.swapped), ("beyond", outer.beyond)):
                letters = [letter for letter in city.letters if f"{word}-{key}".encode() in (letter.value or b"")]
                assert [letter.reason for letter in letters] == [reason]
                assert detail in letters[0].detail
    # what is small is not compressed, whatever its client was told
    assert codec == "none" or codec in city.codecs[outer.feed.topic_in(city.place.settings)]


async def test_nothing_is_refused_but_what_is_wrong(city: City) -> None:
    with_place = {outer.feed.name for outer in city.outers if outer.place(0, 0)}
    placed = sum(len(keys) for (name, *_), keys in city.keys.items() if name in with_place)
    assert len(city.letters) == 2 * placed
