"""All topics of a city at once: sent by plain clients, checked, judged by rules, kept, and looked at everywhere."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import ClientWebSocketResponse
from aiokafka import TopicPartition

from agents.feeds import FeedIntake
from agents.roads.feed import RoadFeedSink
from agents.rules import RulesSink
from models.dead_letters import DeadLetter, decode_dead_letter
from models.timestamps import epoch_us
from tests.feeds.committed import existing_partitions, is_committed
from tests.feeds.contract_messages import AHEAD, ON_A_ROAD, Outer
from tests.feeds.place import PARTITIONS, Place, until
from tests.feeds.plain_clients import CLIENTS, CODECS
from trafficapp.areas.feeds import AREAS
from trafficapp.batching import unpacking
from trafficapp.batching.codecs import GZIP, LZ4, SNAPPY, ZSTD
from trafficapp.engine.kafka import end_offsets
from trafficapp.engine.outbox import Outbox
from trafficapp.feeds.declaration import Current, Feed, rules_of
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.rules import Rules
from trafficapp.incidents.feeds import OPERATORS
from trafficapp.riders.feeds import RIDERS, TAPS
from trafficapp.roads.feeds import ROAD_SPEEDS, ROADS
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.state_logs import road_feed_state_log
from trafficapp.stores.areas.areas_sink import HistoryAreasSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.roads.observations_sink import HistoryRoadsSink
from trafficapp.topics import DEAD_LETTERS

_NAMES: Final = {GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4", ZSTD: "zstd"}

#: Which topic is being read, for whoever looks at what is decompressed.
_read: ContextVar[str] = ContextVar("_read")

_Case = tuple[str, str, str]


class Codecs:
    """In place of what decompresses batches: remembers, of each topic, with which codecs they came."""

    def __init__(self) -> None:
        self.found: dict[str, set[str]] = defaultdict(set)
        self._decompress = unpacking.decompress

    def __call__(self, codec: int, *arguments: Any, **options: Any) -> bytes | memoryview:
        if (topic := _read.get(None)) is not None:
            self.found[topic].add(_NAMES[codec])
        return self._decompress(codec, *arguments, **options)


@dataclass
class City:
    """What became of all that was sent.

    Attributes:
        outers: the topics, under names that no other test has.
        codecs: of a topic those of its batches.
        keys: of a feed's name, client and codec the keys of its messages.
        at: of a feed's name the time that its messages tell.
        rows: of a feed's name natural keys and times.
        documents: of a feed that is shown its documents in Redis by natural key.
        listed: the same of its list.
        heard: the same of its socket.
    """

    place: Place
    outers: list[Outer]
    codecs: dict[str, set[str]]
    keys: dict[_Case, list[str]] = field(default_factory=dict)
    at: dict[str, datetime] = field(default_factory=dict)
    rows: dict[str, dict[str, datetime]] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    heard: dict[str, dict[str, Any]] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)

    @property
    def shown(self) -> list[Feed[Any]]:
        """What is shown of all that is sent."""
        return list({outer.shown.name: outer.shown for outer in self.outers}.values())

    def messages(self, client: str, codec: str) -> list[tuple[str, bytes | None, bytes]]:
        """What a client sends with a codec: of each topic under a random key, and under none."""
        found = []
        for outer in self.outers:
            name = outer.feed.name
            for record_key in (secrets.token_bytes(6), None):
                key = f"{outer.named_by or name}-{self.place.settings.app_id}-{client}-{codec}-{record_key is None}"
                self.keys.setdefault((name, client, codec), []).append(key)
                # incidents that are close are one: each message has a place of its own
                number = sum(map(len, self.keys.values()))
                place = (44.1 + 0.005 * (number // 60), 11.1 + 0.01 * (number % 60))
                for message in outer.messages(key, self.at[name], ON_A_ROAD if outer.own_key else place):
                    value = json.dumps(message).encode()
                    used = str(message[outer.feed.key]).encode() if outer.own_key else record_key
                    found.append((outer.feed.topic_in(self.place.settings), used, value))
        return found

    async def send(self) -> None:
        """Let all clients send side by side."""
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        self.at = {outer.feed.name: minute + outer.ahead for outer in self.outers}
        bootstrap = self.place.settings.kafka.bootstrap_servers
        sent = [
            (produce, codec, self.messages(client, codec)) for client, produce in CLIENTS.items() for codec in CODECS
        ]
        await asyncio.gather(
            *(asyncio.to_thread(produce, bootstrap, codec, records) for produce, codec, records in sent)
        )

    async def settle(self) -> None:
        """Let it be checked, judged by rules, and kept."""
        settings, telemetry = self.place.settings, self.place.telemetry
        feeds = {outer.feed.name: outer.feed for outer in self.outers}
        intakes = {name: FeedIntake(feed, settings, telemetry) for name, feed in feeds.items() if feed.is_checked}
        operators = intakes.pop(OPERATORS.name)
        await asyncio.gather(*map(self.pump, intakes.values()), self.check_roads(feeds[ROAD_SPEEDS.name]))
        await self.pump(operators)
        rules = {one.name: one for one in rules_of(feeds.values(), settings)}
        await self.committed(one.topic_in(settings) for one in rules.values())
        await asyncio.gather(*(self.judge(one) for one in rules.values() if one is not RIDERS))
        await self.finish_windows(intakes[TAPS.name])
        await self.committed({feed.kept_topic_in(settings) for feed in self.shown if feed.name != ROADS.name})
        for intake in (*intakes.values(), operators):
            await intake.close()
        kept = [feed for feed in feeds.values() if feed.history is not None and feed.is_checked]
        kept += [feed for feed in self.shown if feed.history is not None]
        await asyncio.gather(*map(self.keep, kept), *map(self.put, self.shown))

    async def pump(self, sink: Any) -> None:
        """Give a sink all there is."""
        _read.set(sink.topic)
        await self.place.pump(sink)

    async def check_roads(self, feed: Feed[Any]) -> None:
        """The line that roads have of their own."""
        settings = self.place.settings
        _read.set(topic := feed.topic_in(settings))
        outbox = Outbox(settings)
        state = road_feed_state_log(settings, outbox)
        graph = await asyncio.to_thread(city_graph, settings.roads)
        sink = RoadFeedSink(settings, graph, outbox, state, self.place.telemetry)
        starts = await sink.load(range(PARTITIONS))
        async for partition, records in self.place.runs(topic, starts):
            await sink.apply(partition, records, lambda: True)
        await sink.flush()
        sink.release(range(PARTITIONS))
        await outbox.stop()

    async def judge(self, rules: Rules[Any]) -> None:
        """Apply rules."""
        settings = self.place.settings
        senders = [
            outer.feed.name
            for outer in self.outers
            if outer.feed.sends and rules in outer.feed.sends.rules_in(settings)
        ]
        sink = RulesSink(rules, senders, self.place.settings, self.place.telemetry)
        await self.pump(sink)
        await sink.close()

    async def finish_windows(self, intake: FeedIntake) -> None:
        """Let so much time pass that windows of riders are final."""
        settings = self.place.settings
        ends = await end_offsets(settings, intake.topic, range(PARTITIONS))
        now_us = epoch_us(datetime.now(UTC) + AHEAD)
        # a tick moves the clock by ten seconds at most
        for seconds in range(0, 100, 10):
            await intake.send_ticks(now_us + seconds * 1_000_000, ends, ends.get)
        await self.committed([RIDERS.topic_in(settings)])
        await self.judge(RIDERS)

    async def committed(self, topics: Iterable[str]) -> None:
        """Wait until no transaction is open: what one sent is seen a moment after it was committed."""
        settings = self.place.settings
        tps = [
            TopicPartition(topic, number) for topic in topics for number in await existing_partitions(settings, topic)
        ]
        assert await is_committed(settings, tps, 60)

    async def keep(self, feed: Feed[Any]) -> None:
        """Write rows."""
        made = {AREAS.name: HistoryAreasSink, ROADS.name: HistoryRoadsSink}.get(feed.name)
        sink = RowsSink(feed, self.place.settings) if made is None else made(self.place.settings)
        await self.place.pump(sink)
        await sink.close()

    async def put(self, feed: Feed[Any]) -> None:
        """Put documents."""
        await replace(self.place, feed=feed).put()

    async def look(self) -> None:
        """Look at the stores and lists."""
        for outer in self.outers:
            if outer.rows:
                self.rows[outer.feed.name] = {key: at for key, at in await self.place.database.fetch(outer.rows)}
        redis = connect(self.place.redis_server.url)
        async with self.place.api(FEEDS) as client:
            for outer in {outer.shown.name: outer for outer in self.outers}.values():
                shown, found, path = outer.shown, dict[str, Any](), f"{outer.path}?limit=1000"
                while path:
                    async with client.get(path) as answer:
                        assert answer.status == 200, await answer.text()
                        found |= {one[shown.key]: one for one in await answer.json()}
                        path = str(answer.links["next"]["url"].relative()) if "next" in answer.links else ""
                self.listed[shown.name] = found
                assert isinstance(shown.current, Current)
                keys = list(found)
                kept: Any = await redis.mget([shown.current.key_of(key) for key in keys]) if keys else []
                self.documents[shown.name] = {
                    key: json.loads(one) for key, one in zip(keys, kept, strict=True) if one is not None
                }
        await redis.aclose()

    async def listen(self, name: str, socket: ClientWebSocketResponse) -> None:
        """Take in what the socket of a feed that is shown tells: all that is listed, and what else comes."""
        [shown] = [shown for shown in self.shown if shown.name == name]
        found = self.heard[name] = {}
        with suppress(TimeoutError):
            while True:
                waits = 0.3 if self.listed[name].keys() <= found.keys() else 60.0
                one = json.loads(await socket.receive_str(timeout=waits))
                found[one[shown.key]] = one

    async def look_at_letters(self, begins: dict[int, int]) -> None:
        """Read letters of ours that came since: each message has the run in its key."""
        run = self.place.settings.app_id.encode()
        async for _, records in self.place.runs(DEAD_LETTERS, begins):
            letters = [decode_dead_letter(record.value or b"") for record in records]
            self.letters += [letter for letter in letters if run in (letter.value or b"")]


async def are_heard(place: Place, feeds: list[Feed[Any]]) -> None:
    """Wait until whoever listens is told."""
    redis = connect(place.redis_server.url)
    channels = [feed.current.channel for feed in feeds if isinstance(feed.current, Current) and feed.current.channel]

    async def all_are() -> bool:
        return all(count for _, count in await redis.pubsub_numsub(*channels))

    await until(all_are)
    await redis.aclose()
