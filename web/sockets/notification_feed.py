"""Notifications about roads for the WebSocket clients of a worker.

One subscription to Redis serves all of them. What the channel did not bring, because Redis or the way there was
interrupted, stands in the list of the newest ones, and is told as soon as the list can be read again.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable

from redis.asyncio import Redis

from models.records import MALFORMED
from models.roads.notifications import decode_notification
from trafficapp.roads.feeds import NOTIFICATION_LOG, NOTIFIED
from trafficapp.stores.feeds.log_sink import newest_records
from web.sockets.channel import HeardChannel
from web.sockets.clients import SocketClient

logger = logging.getLogger(__name__)

#: Ids that are remembered, so that what came over the channel and stands in the list is told once.
_KNOWN_IDS = 10 * NOTIFICATION_LOG.kept
#: Quotes in a text are escaped, so that nobody's words look like it.
_WITHHELD = b'"withheld":{"how":'


class NotificationFeed(HeardChannel):
    """Hears of notifications and tells the clients.

    Args:
        connect: makes the client for the subscription; the feed closes it.
    """

    def __init__(self, connect: Callable[[], Redis]) -> None:
        super().__init__(connect, NOTIFICATION_LOG.channel)
        #: each with whether it was withheld: once it is not any more, it is told
        self._ids: OrderedDict[str, bool] = OrderedDict()
        #: the newest ones, numbered as this worker heard of them
        self._newest: deque[tuple[int, bytes]] = deque(maxlen=NOTIFICATION_LOG.kept)

    async def join(self, client: SocketClient, recent: int) -> None:
        """Tell a client so many of the newest ones, oldest first, and from then on each."""
        await self._loaded.wait()
        told = self._number - min(recent, len(self._newest))
        while told < self._number:
            number, record = next(one for one in self._newest if one[0] > told)
            if number != told + 1:
                client.cut("reading too slowly")
                return
            await client.put(record)
            told = number
        # no waiting since the last one was found to be the newest
        self._clients.add(client)

    async def catch_up(self, client: Redis) -> None:
        """Take the newest ones over; clients are told those that the channel did not bring."""
        for event_id, record in await newest_records(client, NOTIFIED):
            self._take(event_id, record)

    def take(self, message: bytes) -> None:
        """Tell a notification on, once."""
        try:
            notification = decode_notification(message)
        except MALFORMED as error:
            logger.warning("a message on %s cannot be read: %s", NOTIFICATION_LOG.channel, error)
            return
        self._take(notification.event_id, message)

    def _take(self, event_id: str, record: bytes) -> None:
        is_withheld = _WITHHELD in record
        if event_id in self._ids and (is_withheld or not self._ids[event_id]):
            return
        self._ids[event_id] = is_withheld
        if len(self._ids) > _KNOWN_IDS:
            self._ids.popitem(last=False)
        self._number += 1
        self._newest.append((self._number, record))
        if not is_withheld:
            self._broadcaster.send(record, self._clients)
