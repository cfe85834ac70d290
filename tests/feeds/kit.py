"""What every feed owes. A feed passes when a test module has a subclass of `FeedOwes` with its declaration in it.

All on real servers: messages go through the feed's own topic, and what must be there is looked for in Postgres, in
Redis, behind the API and on its socket. A crash is a new process that begins where the stored offset says, after its
forerunner was cut off in the middle.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import psycopg
import pytest
from aiokafka.errors import KafkaError

from models.cameras.detections import MAX_MESSAGE_BYTES
from models.timestamps import epoch_us, rfc3339
from tests.feeds.place import PARTITIONS, Place, place_of, told, until
from tests.stores.postgres.proxy import Proxy
from tests.stores.redis.redis_server import RedisServer
from trafficapp.feeds.declaration import Current, Feed, History
from trafficapp.feeds.decoder import FeedDecoder, sample_of
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import connect
from trafficapp.topics import declared_topics
from web.documents import asyncapi

NUL, REPLACEMENT = "\0", "\ufffd"


class FeedOwes(ABC):
    """Checks a feed.

    Attributes:
        feed: its declaration, with documents in Redis, a table, and a path.
        table: SQL that makes the table, where no migration does.
    """

    feed: ClassVar[Feed[Any]]
    table: ClassVar[str] = ""

    @staticmethod
    @abstractmethod
    def make(key: str, timestamp: str, number: int) -> dict[str, Any]:
        """A valid message of a key and time; another number makes another message of them."""

    # ------------------------------------------------------------------ the servers

    @pytest.fixture(scope="class")
    @classmethod
    def history_url(cls, database_url: str) -> str:
        migrate(database_url)
        if cls.table and cls.feed.history is not None:
            with psycopg.connect(database_url, autocommit=True) as server:
                # another class of the module may have made it
                server.execute(f"DROP TABLE IF EXISTS {cls.feed.history.table}")
                server.execute(cls.table)
        return database_url

    @pytest.fixture
    def redis_server(self) -> Iterator[RedisServer]:
        server = RedisServer()
        server.start()
        yield server
        server.kill()

    @pytest.fixture
    async def place(self, history_url: str, kafka_bootstrap: str, redis_server: RedisServer) -> AsyncIterator[Place]:
        async with place_of(self.feed, history_url, kafka_bootstrap, redis_server, [self.history.table]) as place:
            yield place

    @property
    def history(self) -> History:
        assert self.feed.history is not None
        return self.feed.history

    @property
    def current(self) -> Current:
        assert isinstance(self.feed.current, Current)
        return self.feed.current

    def at(self, seconds_ago: float) -> str:
        """A time in whole seconds."""
        return rfc3339(int(time.time() - seconds_ago) * 1_000_000)

    def message(self, key: str = "a", seconds_ago: float = 60, number: int = 0) -> dict[str, Any]:
        return self.make(key, self.at(seconds_ago), number)

    async def keys_and_times(self, place: Place) -> list[tuple[str, datetime]]:
        """What the rows are of."""
        of = {column.of or name: name for name, column in self.history.columns.items()}
        return [(row[of[self.feed.key]], row[of[self.feed.time]]) for row in await place.rows()]

    def sent(self, *messages: dict[str, Any]) -> list[tuple[str, datetime]]:
        """The same of messages."""
        moments = [(one[self.feed.key], datetime.fromisoformat(one[self.feed.time])) for one in messages]
        return sorted(moments)

    # ------------------------------------------------------------------ what follows from the declaration

    def test_its_sample_is_accepted(self) -> None:
        now = datetime.now(UTC)
        accepted = FeedDecoder(self.feed, load_settings()).check(*sample_of(self.feed, now), epoch_us(now))
        assert accepted.time_us == epoch_us(now)

    def test_its_topics_are_declared(self) -> None:
        settings = load_settings()
        declared = {topic.name: topic for topic in declared_topics(settings, [self.feed])}
        assert declared[self.feed.topic_in(settings)].partitions == self.feed.partitions_in(settings)
        assert self.feed.kept_topic_in(settings) in declared

    async def test_it_is_in_the_documents(self, place: Place) -> None:
        async with place.api() as client:
            channels = (await (await client.get("/asyncapi.json")).json())["channels"]
            paths = (await (await client.get("/openapi.json")).json())["paths"]
        addresses = {channel["address"]: channel for channel in channels.values()}
        assert self.feed.shape.__name__ in addresses[place.feed.topic_in(place.settings)]["messages"]
        assert place.socket_path in addresses
        assert self.feed.path in paths
        assert self.feed.topic not in json.dumps(asyncapi.describe([], place.settings, []))

    # ------------------------------------------------------------------ what becomes of messages

    async def test_a_message_becomes_a_row_a_document_and_a_message_of_the_socket(self, place: Place) -> None:
        messages = [self.message(key, 60 - number, number) for number, key in enumerate("abcabca")]
        newest = {one[self.feed.key]: one for one in messages}
        async with place.api() as client, place.socket(client) as socket:
            await place.send(*messages)
            await place.settle()
            found = await told(socket, least=len(newest))
        assert await self.keys_and_times(place) == self.sent(*messages)
        assert {one[self.feed.key]: one for one in found} == newest
        assert await place.listed() == await place.listed("?limit=1") == [newest[key] for key in sorted(newest)]
        assert await place.listed("?key=b") == [newest["b"]]
        counted = place.telemetry.exposition().decode()
        assert f'b2_feed_messages_total{{feed="{self.feed.name}",outcome="accepted"}} 7.0' in counted

    async def test_who_joins_later_is_told_what_is_current(self, place: Place) -> None:
        await place.send(one := self.message("a"), other := self.message("b"))
        await place.settle()
        async with place.api() as client:
            async with client.ws_connect(place.socket_path) as socket:
                assert sorted(map(json.dumps, await told(socket, least=2))) == sorted(map(json.dumps, [one, other]))
            async with client.ws_connect(f"{place.socket_path}?snapshot=false") as socket:
                assert await told(socket) == []

    async def test_a_repeat_changes_nothing(self, place: Place) -> None:
        message = self.message()
        async with place.api() as client, place.socket(client) as socket:
            for _ in range(2):
                await place.send(message, message)
                await place.settle()
            assert await told(socket, least=1) == [message]
        assert await self.keys_and_times(place) == self.sent(message)

    async def test_a_late_one_is_kept_and_is_not_current(self, place: Place) -> None:
        newer, older = self.message(seconds_ago=30), self.message(seconds_ago=50, number=1)
        async with place.api() as client, place.socket(client) as socket:
            for message in (newer, older):
                await place.send(message)
                await place.settle()
            assert await told(socket, least=1) == [newer]
        assert await place.listed() == [newer]
        kept = [newer] if self.history.newest_by is not None else [newer, older]
        assert await self.keys_and_times(place) == self.sent(*kept)

    async def test_what_is_wrong_is_refused_with_the_reason_and_costs_no_neighbour(self, place: Place) -> None:
        key, told_at = self.feed.key, self.feed.time
        good = [self.message(f"good-{number}") for number in range(9)]
        without = {name: value for name, value in self.message("w").items() if name != key}
        guard = 10 * (self.feed.future_seconds_in(place.settings) or 0) + 3600
        wrong: list[tuple[str, Any]] = [
            ("empty", b""),
            ("not_json", b"{"),
            ("not_json", b"\xff\xfe"),
            ("invalid_field", b"[]"),
            ("missing_field", without),
            ("invalid_field", self.message("w") | {key: ""}),
            ("invalid_field", self.message("w") | {key: "k" * 257}),
            ("invalid_timestamp", self.message("w") | {told_at: "yesterday"}),
            ("too_large", self.message("w") | {"more": "x" * (1 << 20)}),
        ]
        if self.feed.future_seconds_in(place.settings) is not None:
            wrong.append(("future", self.message("w", seconds_ago=-guard)))
        if not self.feed.rekey:
            wrong.append(("key_mismatch", self.message("w")))
        for number, (reason, value) in enumerate(wrong):
            other_key = b"other" if reason == "key_mismatch" else None
            await place.send(value, key=other_key, partition=0)
            if number < len(good):
                await place.send(good[number])
        await place.settle()
        assert [letter.reason for letter in await place.letters()] == [reason for reason, _ in wrong]
        assert await self.keys_and_times(place) == self.sent(*good)
        assert [one[key] for one in await place.listed()] == [one[key] for one in good]
        counted = place.telemetry.exposition().decode()
        assert f'b2_feed_messages_total{{feed="{self.feed.name}",outcome="missing_field"}} 1.0' in counted

    async def test_the_largest_message_that_is_accepted_is_kept(self, place: Place) -> None:
        bare = self.message("large") | {"more": ""}
        large = bare | {"more": "x" * (MAX_MESSAGE_BYTES - len(json.dumps(bare)))}
        await place.send(large, self.message("b"))
        await place.settle()
        assert [key for key, _ in await self.keys_and_times(place)] == ["b", "large"]
        assert [one[self.feed.key] for one in await place.listed()] == ["b", "large"]

    async def test_a_time_without_an_offset_is_of_the_feeds_zone(self, place: Place) -> None:
        moment = datetime.fromtimestamp(int(time.time()) - 60, ZoneInfo(self.feed.zone_in(place.settings)))
        naive = self.make("a", moment.replace(tzinfo=None).isoformat(), 0)
        await place.send(naive)
        await place.settle()
        assert await self.keys_and_times(place) == [("a", moment.astimezone(UTC))]
        assert [one[self.feed.time] for one in await place.listed()] == [rfc3339(epoch_us(moment))]

    async def test_characters_that_postgres_cannot_hold_are_replaced_there(self, place: Place) -> None:
        odd = self.message(f"a{NUL}b")
        await place.send(odd, self.message("c"))
        await place.settle()
        assert [key for key, _ in await self.keys_and_times(place)] == [f"a{REPLACEMENT}b", "c"]
        assert [one[self.feed.key] for one in await place.listed()] == [f"a{NUL}b", "c"]

    async def test_producers_may_use_any_partition_if_the_feed_says_so(self, place: Place) -> None:
        if not self.feed.rekey:
            pytest.skip("the feed trusts its producers with partitions")
        messages = [self.message("a", 60 - number, number) for number in range(12)]
        for number, message in enumerate(messages):
            await place.send(message, key=b"\xff" if number % 2 else None, partition=number % PARTITIONS)
        await place.settle()
        assert await self.keys_and_times(place) == self.sent(*messages)
        assert await place.listed() == [messages[-1]]
        inner = place.feed.kept_topic_in(place.settings)
        runs = [part async for part, _ in place.runs(inner, dict.fromkeys(range(PARTITIONS), 0))]
        assert len(set(runs)) == 1

    # ------------------------------------------------------------------ crashes and outages

    @pytest.mark.parametrize(
        "moment", [b"BEGIN", b"SELECT next_offset", b"INSERT INTO", b"UPDATE sink_offsets", b"COMMIT"]
    )
    async def test_a_cut_on_the_way_to_postgres_loses_and_doubles_nothing(
        self, place: Place, history_url: str, moment: bytes
    ) -> None:
        messages = [self.message(f"k{number:02}", 60, number) for number in range(20)]
        await place.send(*messages)
        await place.check()
        async with Proxy(history_url).listening() as proxy:
            proxy.cut_after = moment
            await place.keep(proxy.url)
            assert proxy.cuts == 1
        await place.keep()
        assert await self.keys_and_times(place) == self.sent(*messages)

    async def test_a_cut_on_the_way_to_redis_tells_nothing_twice(self, place: Place) -> None:
        messages = [self.message(f"k{number:02}", 60, number) for number in range(20)]
        assert self.current.channel is not None
        client, heard = connect(place.redis_server.url), []
        async with client.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(self.current.channel)
            await channel.get_message(timeout=1)
            # the server knows the script by then, so that what is cut off is the answer to a put that was done
            await place.send(messages[0])
            await place.check()
            await place.put()
            await place.send(*messages[1:])
            await place.check()
            async with Proxy(place.redis_server.url).listening() as proxy:
                proxy.cut_after = messages[10][self.feed.key].encode()
                await place.put(proxy.url)
                assert proxy.cuts == 1
            await place.put()
            while message := await channel.get_message(timeout=60 if len(heard) < len(messages) else 0.4):
                heard += [one[self.feed.key] for one in json.loads(message["data"])]
        await client.aclose()
        assert sorted(heard) == [one[self.feed.key] for one in messages]

    async def test_a_crash_before_the_transaction_ends_sends_nothing_twice(self, place: Place) -> None:
        messages = [self.message(f"k{number:02}", 60, number) for number in range(10)]
        await place.send(*messages, b"{", partition=0)
        topic = place.feed.topic_in(place.settings)
        crashed = place.intake()
        starts = await crashed.load([0])
        records = [record async for _, run in place.runs(topic, starts) for record in run]
        producer = crashed._owned[0].producer
        await producer.begin_transaction()
        for one in crashed.outcome(0, records):
            await (await producer.send(one.topic, one.value, one.key, one.partition, one.timestamp_ms))
        # nobody ends the transaction; the next process does
        await place.settle()
        with pytest.raises(KafkaError):
            await producer.commit_transaction()
        await crashed.close()
        await self.check_that_each_is_there_once(place, messages)

    @pytest.mark.parametrize("still_owned", [True, False])
    async def test_a_process_that_was_frozen_while_another_took_over_sends_nothing(
        self, place: Place, still_owned: bool
    ) -> None:
        messages = [self.message(f"k{number:02}", 60, number) for number in range(10)]
        await place.send(*messages, b"{", partition=0)
        frozen = place.intake()
        starts = await frozen.load([0])
        await place.settle()
        records = [record async for _, run in place.runs(frozen.topic, starts) for record in run]
        with pytest.raises(KafkaError) if still_owned else nullcontext():
            await frozen.apply(0, records, lambda: still_owned)
        await frozen.close()
        await self.check_that_each_is_there_once(place, messages)

    async def check_that_each_is_there_once(self, place: Place, messages: list[dict[str, Any]]) -> None:
        """What was sent, and a letter of what was not JSON behind it."""
        await place.settle()
        assert [letter.reason for letter in await place.letters()] == ["not_json"]
        assert await self.keys_and_times(place) == self.sent(*messages)
        inner = place.feed.kept_topic_in(place.settings)
        kept = [record async for _, run in place.runs(inner, dict.fromkeys(range(PARTITIONS), 0)) for record in run]
        assert len(kept) == len(messages) + (not place.feed.rekey)

    async def test_an_emptied_redis_is_filled_again(self, place: Place) -> None:
        messages = [self.message(f"k{number}", 60, number) for number in range(10)]
        await place.send(*messages)
        await place.settle()
        place.redis_server.kill()
        place.redis_server.start()
        await place.put()
        assert await place.listed() == messages

    async def test_an_emptied_redis_is_filled_by_the_process_that_is_there(self, place: Place) -> None:
        messages = [self.message(f"k{number}", 60, number) for number in range(10)]
        await place.send(*messages)
        await place.check()
        client = connect(place.redis_server.url)
        sink = place.documents_sink(client)
        await place.pump(sink)
        await client.flushall()

        async def is_filled() -> bool:
            documents = CurrentDocuments(client, place.feed)
            return len(await documents.documents(await documents.keys())) == 10

        await until(is_filled)
        sink.release(range(PARTITIONS))
        await client.aclose()
        assert await place.listed() == messages

    async def test_a_postgres_that_is_away_is_waited_for(self, place: Place, history_url: str) -> None:
        message = self.message()
        await place.send(message)
        await place.check()
        async with Proxy(history_url).listening() as proxy:
            proxy.refusing = True
            keeping = asyncio.create_task(place.keep(proxy.url))
            await place.put()
            assert await place.listed() == [message]
            assert not keeping.done()
            proxy.refusing = False
            await asyncio.wait_for(keeping, 60)
        assert await self.keys_and_times(place) == self.sent(message)
