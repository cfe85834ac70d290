"""What a worker remembers of a feed's documents, when a test decides what it hears and when."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import cast

import pytest
from redis.asyncio import Redis

from models.timestamps import rfc3339
from tests.feeds.parking_bays import PARKING_BAYS
from tests.web.sockets.test_feeds import Reader
from trafficapp.feeds.declaration import Current
from trafficapp.settings import load_settings
from web.feeds import socket
from web.feeds.socket import DocumentFeed
from web.sockets.clients import SocketClient

NOW = 1_782_900_000
KEPT_SECONDS = 60


class Clock:
    """A monotonic clock that is set."""

    seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(socket, "time", clock)
    return clock


@pytest.fixture
def feed() -> DocumentFeed:
    assert isinstance(PARKING_BAYS.current, Current)
    current = replace(PARKING_BAYS.current, seconds=KEPT_SECONDS)
    return DocumentFeed(
        replace(PARKING_BAYS, current=current), current, "channel", load_settings(), lambda: cast(Redis, None)
    )


def bay(key: str, seconds: int) -> bytes:
    message = {"bay_id": key, "occupied": True, "timestamp": rfc3339((NOW + seconds) * 1_000_000), "lat": 1, "lon": 2}
    return json.dumps(message).encode()


async def known(feed: DocumentFeed) -> list[bytes]:
    """What one who joins is told."""
    reader = Reader()
    feed._loaded.set()
    await feed.join(cast(SocketClient, reader), snapshot=True)
    feed.leave(cast(SocketClient, reader))
    return [json.dumps(one).encode() for one in reader.messages]


async def test_a_producer_whose_clock_was_set_back_is_told_when_the_old_document_has_expired(
    feed: DocumentFeed, clock: Clock
) -> None:
    newer, older = bay("a", 10_800), bay("a", 0)
    feed.take(b"[%b,%b]" % (newer, older))
    assert await known(feed) == [newer]
    clock.seconds += KEPT_SECONDS
    # Redis has taken it, since nothing stood there any more
    feed.take(b"[%b]" % older)
    assert await known(feed) == [older]


async def test_keys_that_never_come_again_are_forgotten(feed: DocumentFeed, clock: Clock) -> None:
    for number in range(1000):
        clock.seconds += 1
        feed.take(b"[%b,%b]" % (bay(f"k{number}", number), bay("stays", number)))
    assert len(feed._newest) == KEPT_SECONDS + 1
    assert (await known(feed))[-1] == bay("stays", 999)
    clock.seconds += KEPT_SECONDS
    assert await known(feed) == []
    assert not feed._newest


async def test_what_is_none_of_a_message_costs_no_neighbour_and_no_message_that_follows(feed: DocumentFeed) -> None:
    for strange in (b"", b"{", b"{}", b'"a"', b"[", b"null"):
        feed.take(strange)
    feed.take(b"[%b,{},%b]" % (bay("a", 0), bay("b", 0)))
    assert await known(feed) == [bay("a", 0), bay("b", 0)]
