"""The same lake in a bucket of an S3 server, with a writer that is killed wherever it is."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.stores.lake.endless_writer import RUN
from tests.stores.lake.fixtures import FEED, bays, storage_of, write
from tests.stores.lake.s3_server import s3_options
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.lake.queries import ask
from trafficapp.stores.lake.sink import LakeSink
from trafficapp.stores.lake.tables import FeedTable
from trafficapp.topics import declared_topics

__all__ = ["s3_options"]


@pytest.fixture
async def settings(kafka_bootstrap: str, s3_options: str) -> Settings:
    app_id = f"lake-{secrets.token_hex(3)}"
    url = f"s3://lake/{app_id}?{s3_options}"
    settings = load_settings(app_id=app_id, kafka={"bootstrap_servers": kafka_bootstrap}, lake={"url": url})
    await create_topics(settings, declared_topics(settings, [FEED]))
    return settings


def offsets(settings: Settings) -> list[int]:
    question = "SELECT kafka_offset FROM parking_bays ORDER BY ALL"
    asked = ask(storage_of(settings), [FeedTable(FEED, settings)], question)
    return [int(offset) for (offset,) in asked.fetchall()]


async def test_a_writer_that_is_killed_loses_and_doubles_nothing(settings: Settings) -> None:
    storage = storage_of(settings)

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(180):
            while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.01)

    def reached() -> int:
        return max((piece.last + 1 for piece in storage.pieces()), default=0)

    assert settings.lake.url is not None
    told = [settings.app_id, settings.kafka.bootstrap_servers, settings.lake.url]
    for _ in range(2):
        before = reached()
        writer = subprocess.Popen([sys.executable, "-m", "tests.stores.lake.endless_writer", *told])  # noqa: S603, ASYNC220
        try:
            await until(lambda before=before: reached() > before + 2 * RUN)  # type: ignore[misc]
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    sink = LakeSink(FeedTable(FEED, settings), settings)
    try:
        (first,) = (await sink.load([0])).values()
        assert offsets(settings) == list(range(first))
        await write(sink, 0, bays(range(first, first + 5)))
        await sink.compact()
        assert offsets(settings) == list(range(first + 5))
    finally:
        await sink.close()
