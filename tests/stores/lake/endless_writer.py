"""Writes records of bays into a lake until it is killed: arguments are the application, Kafka and the address."""

from __future__ import annotations

import asyncio
import sys

from tests.stores.lake.fixtures import FEED, bays, write
from trafficapp.settings import load_settings
from trafficapp.stores.lake.sink import LakeSink
from trafficapp.stores.lake.tables import FeedTable

RUN = 20


async def main(app_id: str, bootstrap_servers: str, url: str) -> None:
    """Go on where the last one was, for ever; small files become one after each third."""
    settings = load_settings(app_id=app_id, kafka={"bootstrap_servers": bootstrap_servers}, lake={"url": url})
    sink = LakeSink(FeedTable(FEED, settings), settings)
    (first,) = (await sink.load([0])).values()
    while True:
        await write(sink, 0, bays(range(first, first + RUN), 0, lambda offset: offset % 2))
        first += RUN
        if first // RUN % 3 == 0:
            await sink.compact()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
