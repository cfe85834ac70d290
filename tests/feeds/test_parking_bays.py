"""A feed that was only declared does all that a feed owes."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.timestamps import epoch_us, rfc3339
from tests.feeds.kit import FeedOwes
from tests.feeds.parking_bays import PARKING_BAYS, TABLE
from tests.feeds.place import Place, told
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.connection import connect

AHEAD_SECONDS = 200_000


def bay(key: str, timestamp: str, number: int) -> dict[str, Any]:
    return {"bay_id": key, "occupied": number % 2 == 0, "timestamp": timestamp, "lat": 44.5, "lon": 11.25 + number}


class TestBaysOfTrustedProducers(FeedOwes):
    """The same feed without an inner topic."""

    feed = replace(PARKING_BAYS, rekey=False)
    table = TABLE
    make = staticmethod(bay)


class TestParkingBays(FeedOwes):
    feed = PARKING_BAYS
    table = TABLE

    make = staticmethod(bay)


class TestBaysWhoseClocksRunAhead(FeedOwes):
    """Their times are days ahead, and nobody refuses that; of a key the newest counts by its own clock."""

    feed = replace(PARKING_BAYS, future_seconds=None)
    table = TABLE
    make = staticmethod(bay)

    def at(self, seconds_ago: float) -> str:
        return super().at(seconds_ago - AHEAD_SECONDS)

    async def test_clocks_that_run_ahead_of_each_other_hide_no_key(self, place: Place) -> None:
        """Each round ten minutes more, beside some that are years ahead or behind."""
        minutes = {"years": -3_000_000, "days": -4000, "behind": 4000, "far-behind": 3_000_000}
        rounds = [self.message("rounds", -600 * number, number) for number in range(20)]
        others = [self.message(key, 60 * ahead) for key, ahead in minutes.items()]
        async with place.api() as client, place.socket(client) as socket:
            for message in (*rounds[:10], *others, *rounds[10:]):
                await place.send(message)
            await place.settle()
            found = await told(socket, least=len(others) + 1)
        newest = {one[self.feed.key]: one for one in (*others, rounds[-1])}
        assert {one[self.feed.key]: one for one in found} == newest
        assert await place.listed() == [newest[key] for key in sorted(newest)]
        await place.send(rounds[3])
        await place.settle()
        assert await place.listed("?key=rounds") == [rounds[-1]]
        assert await self.keys_and_times(place) == self.sent(*rounds, *others)

    async def test_keys_are_unlisted_a_day_after_they_were_put(self, place: Place) -> None:
        await place.send(self.message("gone"), self.message("stays"))
        await place.settle()
        client = connect(place.redis_server.url)
        await client.zadd(self.current.put_at, {"gone": time.time() - 86_500})
        await place.send(self.message("b"))
        await place.settle()
        assert await CurrentDocuments(client, place.feed).keys() == ["b", "stays"]
        assert await client.zcard(self.current.put_at) == 2
        await client.aclose()

    async def test_times_of_any_year_make_no_partition_for_each_day(self, place: Place) -> None:
        first = datetime(2030, 1, 1, tzinfo=UTC)
        times = [rfc3339(epoch_us(first + timedelta(days=day))) for day in range(365)]
        await place.send(*[bay("wild", time, 0) for time in times])
        await place.settle()
        assert len(await place.rows()) == 365
        names = await place.database.fetch(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'parking_bays'::regclass"
        )
        of_2030 = sorted(row["name"] for row in names if row["name"].startswith("parking_bays_2030"))
        assert of_2030 == [f"parking_bays_2030{month:02}" for month in range(1, 13)]

    @pytest.mark.parametrize("guards", [(60.0, None), (None, 60.0)])
    async def test_a_guard_that_comes_or_goes_leaves_a_table_that_takes_rows(
        self, place: Place, guards: tuple[float | None, float | None]
    ) -> None:
        """What was cut by days is not cut by months beside them, nor the other way round."""
        year = 2021 if guards[0] is None else 2025
        times = [f"{year}-03-{day:02}T12:00:00Z" for day in range(1, 9)]
        for guard, sent in zip(guards, (times[:4], times[4:]), strict=True):
            place.feed = replace(place.feed, future_seconds=guard)
            await place.send(*[bay("a", time, 0) for time in sent])
            await place.check()
            await place.keep()
        assert [rfc3339(epoch_us(observed)) for _, observed in await self.keys_and_times(place)] == times
