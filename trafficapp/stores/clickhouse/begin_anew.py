"""Offsets in ClickHouse of a topic that was deleted and made again."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from trafficapp.engine.state_rows import SourceLog
from trafficapp.feeds.declaration import Feed
from trafficapp.settings import Settings
from trafficapp.stores.clickhouse import tables
from trafficapp.stores.clickhouse.client import ClickHouse


async def foreign_partitions(feed: Feed[Any], settings: Settings, log: SourceLog) -> list[int]:
    """The partitions whose offsets are of another topic of that name.

    Args:
        feed: with a history.
        settings: where ClickHouse is.
        log: the topic that is there.

    Raises:
        ClickHouseError, aiohttp.ClientError, OSError, TimeoutError: it does not answer.
    """
    if feed.history is None or not log.id:
        return []
    server, topic = ClickHouse(settings.clickhouse), feed.kept_topic_in(settings)
    question = tables.kept_offsets(feed.history.table, topic, server.database, range(log.partitions))
    try:
        rows = await server.ask(question)
    finally:
        await server.close()
    known = {int(row["partition"]) for row in rows if row["kafka_log"] in ("", log.id)}
    return sorted({int(row["partition"]) for row in rows} - known)


async def begin(feed: Feed[Any], settings: Settings, log: SourceLog, partitions: Collection[int]) -> None:
    """Read partitions of the topic that is there from its beginning; rows stay.

    Args, Raises: likewise.
    """
    if feed.history is None:
        return
    server, topic = ClickHouse(settings.clickhouse), feed.kept_topic_in(settings)
    lines = tables.offsets_lines(feed.history.table, topic, log.id, dict.fromkeys(partitions, 0))
    try:
        await server.insert(tables.offsets_insertion(server.database), lines)
    finally:
        await server.close()
