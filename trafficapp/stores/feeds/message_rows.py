"""Messages of a feed as rows of its table, for every store that keeps its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.decoder import Accepted, FeedDecoder
from trafficapp.settings import Settings
from trafficapp.stores.feeds.table import Row, RowMaker
from trafficapp.stores.record_rows import RecordRows

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord


class MessageRows:
    """Reads messages of a feed with a history.

    Args:
        feed: the declaration.
        settings: of the process.

    Attributes:
        history: that of the feed.
        decoder: reads the messages; another that decides alike may take its place.
        maker: makes the rows.
        records: reads records, each into what was accepted and its row.

    Raises:
        ValueError: the feed has no history.
    """

    def __init__(self, feed: Feed[Any], settings: Settings) -> None:
        if feed.history is None:
            raise ValueError(f"the feed {feed.name} has no history")
        self.history = feed.history
        self.decoder = FeedDecoder(feed, settings)
        self.maker = RowMaker(feed, feed.history, self.decoder.zone)
        make = self.maker.row

        def read(record: ConsumerRecord) -> tuple[Accepted, Row]:
            record_us = record.timestamp * 1000
            accepted = self.decoder.check(record.key, record.value, record_us)
            return accepted, accepted.row or make(accepted.message, record_us, accepted.time_us)

        what = f"message of {feed.name}"
        self.records = RecordRows(feed.kept_topic_in(settings), what, read, is_ours=feed.is_ours)
