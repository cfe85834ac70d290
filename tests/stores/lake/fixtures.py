"""A lake of parking bays in a folder, and what writes it."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from models.records import PlainRecord
from models.timestamps import rfc3339
from tests.feeds.parking_bays import PARKING_BAYS
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.lake.sink import LakeSink
from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.lake.tables import FeedTable, LakeTable
from trafficapp.topics import declared_topics

NOON_US = 1_768_392_000_000_000  # 2026-01-14T12:00:00Z
DAY_US = 86_400_000_000
PARTITIONS = 2
FEED = replace(PARKING_BAYS, partitions=PARTITIONS)

Make: TypeAlias = Callable[..., LakeSink]


def owned() -> bool:
    return True


@pytest.fixture
async def settings(kafka_bootstrap: str, tmp_path: Path) -> Settings:
    settings = load_settings(
        app_id=f"lake-{secrets.token_hex(3)}",
        kafka={"bootstrap_servers": kafka_bootstrap},
        lake={"url": f"file://{tmp_path}/lake"},
    )
    await create_topics(settings, declared_topics(settings, [FEED]))
    return settings


@pytest.fixture
async def make(settings: Settings) -> AsyncIterator[Make]:
    """Make sinks, of parking bays unless told otherwise, each as another process."""
    made: list[LakeSink] = []

    def make(table: LakeTable | None = None) -> LakeSink:
        made.append(LakeSink(table or FeedTable(FEED, settings), settings))
        return made[-1]

    yield make
    for sink in made:
        await sink.close()


def bays(offsets: range, partition: int = 0, days: Callable[[int], int] = lambda _: 0) -> list[Any]:
    """Records of bays; each says when it was by its offset."""
    times_us = [NOON_US + offset * 1_000_000 + days(offset) * DAY_US for offset in offsets]
    return [bay(offset, f"b{partition}-{offset}", at_us) for offset, at_us in zip(offsets, times_us, strict=True)]


def bay(offset: int, bay_id: str, at_us: int) -> PlainRecord:
    value = {"bay_id": bay_id, "occupied": offset % 2 == 0, "timestamp": rfc3339(at_us), "lat": 44.5, "lon": 11.3}
    return PlainRecord(offset, at_us // 1000, 1, bay_id.encode(), json.dumps(value).encode())


async def write(sink: LakeSink, partition: int, records: list[Any]) -> None:
    """Gather records and write them at once."""
    await sink.apply(partition, records, owned)
    await sink._flush(partition, sink._gathered[partition])


def storage_of(settings: Settings) -> Storage:
    assert settings.lake.url is not None
    return Storage(settings.lake.url)
