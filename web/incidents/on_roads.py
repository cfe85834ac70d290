"""What incidents do to the road graph of a worker: heard as they change, and put on the graph of the planner.

Every worker works it out by itself from the same documents, the same graph and the same settings.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from redis.asyncio import Redis

from models.cameras.detections import Rejected
from models.incidents.current import Incident
from models.incidents.kinds import OPEN_STATES
from models.records import MALFORMED
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.incidents.effects import Effect, Effects, effect_of
from trafficapp.roads.graph.index import RoadIndex
from trafficapp.settings import Settings
from trafficapp.stores.feeds.current import CurrentDocuments, told_documents
from web.sockets.subscription import Subscription, Tasks

logger = logging.getLogger(__name__)

_FORGET_SECONDS = 30.0


class IncidentsOnRoads:
    """Hears of incidents.

    Args:
        feed: of their steps; with a channel.
        settings: of the process.
        connect: makes the client for the subscription; it is closed here.
    """

    def __init__(self, feed: Feed[Incident], settings: Settings, connect: Callable[[], Redis]) -> None:
        if not isinstance(feed.current, Current) or feed.current.channel is None:
            raise TypeError(f"the feed {feed.name} tells no documents")
        self._feed, self._settings = feed, settings.incidents
        self._decoder = FeedDecoder(feed, settings)
        self._seconds = feed.current.seconds
        #: Open ones, with the time of their step and when it was heard, monotonic.
        self._open: dict[str, tuple[Incident, int, float]] = {}
        #: Of those that are over, the time of their last step: what comes out of order opens none again.
        self._over: dict[str, tuple[int, float]] = {}
        self._on_graph: dict[str, Effect] = {}
        self._to_be_put: set[str] = set()
        self._effects = Effects()
        self._forget_again = 0.0
        self._subscription = Subscription(connect, feed.current.channel, self._catch_up, self._receive)
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin to listen."""
        self._tasks.start(self._subscription.run())

    async def stop(self) -> None:
        """Stop listening."""
        await self._tasks.stop()

    def effects(self, index: RoadIndex) -> Effects:
        """What they do to this graph, which is always the same; cheap when nothing changed."""
        if (now := time.monotonic()) >= self._forget_again:
            self._forget_again = now + _FORGET_SECONDS
            self._forget(now - self._seconds)
        if self._to_be_put:
            for incident_id in self._to_be_put:
                known = self._open.get(incident_id)
                effect = None if known is None else effect_of(index, known[0], self._settings)
                if effect is None:
                    self._on_graph.pop(incident_id, None)
                else:
                    self._on_graph[incident_id] = effect
            self._to_be_put.clear()
            self._effects = Effects(dict(self._on_graph))
        return self._effects

    def take(self, document: bytes) -> None:
        """Take a step in, unless a later one is known."""
        try:
            read = self._decoder.read(document)
        except Rejected as error:
            logger.warning("what is told of %s cannot be read: %s", self._feed.name, error)
            return
        known = self._open.get(read.key)
        last = known[1] if known is not None else self._over.get(read.key, (0, 0.0))[0]
        if read.time_us < last:
            return
        now = time.monotonic()
        if read.message.state in OPEN_STATES:
            self._over.pop(read.key, None)
            self._open[read.key] = (read.message, read.time_us, now)
        else:
            self._open.pop(read.key, None)
            self._over[read.key] = (read.time_us, now)
        if known is None or known[0] != read.message:
            self._to_be_put.add(read.key)

    def _forget(self, before: float) -> None:
        """Who is open is told again in time; what is not, Redis does not have any more either."""
        gone = [name for name, (_, _, heard) in self._open.items() if heard <= before]
        for name in gone:
            del self._open[name]
        self._to_be_put.update(gone)
        for name in [name for name, (_, heard) in self._over.items() if heard <= before]:
            del self._over[name]

    async def _catch_up(self, client: Redis) -> None:
        current = CurrentDocuments(client, self._feed)
        for document in await current.documents(await current.keys()):
            self.take(document)

    async def _receive(self, _: Redis, message: bytes) -> None:
        try:
            documents = told_documents(message)
        except MALFORMED as error:
            logger.warning("what is told of %s cannot be read: %s", self._feed.name, error)
            return
        for document in documents:
            self.take(document)
