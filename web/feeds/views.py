"""The list and the socket of each declared feed that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct
from redis.asyncio import Redis

from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.feeds.decoder import LONGEST_KEY
from trafficapp.settings import Settings
from web.feeds.forms import Form, place_of
from web.feeds.listing import MAX_DOCUMENTS, DocumentPages
from web.feeds.socket import DocumentFeed
from web.serving import parameters
from web.serving.answers import NEXT_PAGE
from web.serving.operations import Operation, Tag
from web.serving.problems import unavailable
from web.serving.shapes import Name
from web.serving.shared_pages import MAX_AGE_SECONDS
from web.sockets.clients import SocketClient, SocketClients
from web.sockets.windows import SOCKET_ERRORS

DEFAULT_DOCUMENTS = 1000

#: A worker that has just started hears of Redis in this time, or Redis is away.
_KNOWN_WITHIN_SECONDS = 2.0

_SOCKET = """
With `snapshot`, what is current comes first. Then each message that is newer than what was known of its key. After an
interruption between worker and Redis the newest of each key follows. A client that reads too slowly is cut with 1013.
"""


class ListQuery(Struct, frozen=True, kw_only=True):
    """One key, or which ones in order of the keys; ``format`` is that of the list."""

    key: Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_DOCUMENTS)] = DEFAULT_DOCUMENTS
    cursor: str | None = None
    format: Form = "json"


class PlacedListQuery(ListQuery, frozen=True, kw_only=True):
    """Likewise, and ``zone`` is the id or name of a zone: those in it."""

    zone: Name | None = None


class SocketQuery(Struct, frozen=True, kw_only=True):
    """Whether what is current comes first."""

    snapshot: bool = True


class FeedViews:
    """List and socket of one feed.

    Args:
        feed: one that asks for them.
        current: what is current of it.
        settings: of the process.
        telemetry: of the process.
        connect: makes a client for the subscription, one that does not connect again by itself.
    """

    def __init__(
        self, feed: Feed[Any], current: Current, settings: Settings, telemetry: Telemetry, connect: Callable[[], Redis]
    ) -> None:
        self.feed, self._current = feed, current
        self.topic = feed.topic_in(settings)
        self._pages = DocumentPages(feed, f"what is current of {feed.name}")
        self.heard: DocumentFeed | None = None
        if current.channel is not None:
            self.heard = DocumentFeed(feed, current, current.channel, settings, connect)
        self.clients = SocketClients(f"/ws{(feed.path or '').removeprefix('/api')}", settings, telemetry)

    async def listed(self, request: web.Request, query: ListQuery) -> web.Response:
        """The newest documents."""
        return await self._listed(request, query, None)

    async def listed_by_zone(self, request: web.Request, query: PlacedListQuery) -> web.Response:
        """The newest documents, of a zone."""
        return await self._listed(request, query, query.zone)

    async def _listed(self, request: web.Request, query: ListQuery, zone: str | None) -> web.Response:
        after = parameters.cursor(request, str)
        if query.key is not None:
            missing = f"nothing was told of {query.key!r} in the last {self._current.seconds} s"
            return await self._pages.one(request, query.key, missing, query.format)
        return await self._pages.page(request, after, query.limit, query.format, zone)

    async def live(self, request: web.Request, query: SocketQuery) -> web.StreamResponse:
        """Documents as they come."""
        heard = self.heard
        if heard is None:
            raise unavailable("Redis, which this worker has never heard,")

        async def attend(client: SocketClient) -> None:
            await heard.join(client, snapshot=query.snapshot)

        with heard.wanted():
            if not await heard.knows_within(_KNOWN_WITHIN_SECONDS):
                raise unavailable("Redis, which this worker does not hear,")
            return await self.clients.serve(request, attend, heard.leave)

    def operations(self) -> list[Operation]:
        """What these views answer."""
        feed, summary = self.feed, self.feed.summary.rstrip(".")
        about = (
            f"The newest of each `{feed.key}` of the last {self._current.seconds} seconds, in order of it. "
            f"`key` asks for one. At most {MAX_AGE_SECONDS:g} s old. `format` is `json`, `csv` (a header line, what "
            "has parts as JSON) or `geojson` (a point each)."
        )
        listed = Operation(
            f"GET {feed.path or ''}",
            self.listed if place_of(feed) is None else self.listed_by_zone,
            Tag.CURRENT,
            list[feed.shape],  # type: ignore[name-defined]
            words=f"{summary}.\n\n{about}",
            errors=(404, 503),
            headers=(NEXT_PAGE,),
        )
        if self.heard is None:
            return [listed]
        live = Operation(
            f"GET {self.clients.route}",
            self.live,
            Tag.LIVE,
            feed.shape,
            words=f"{summary}, as they come.\n\n{_SOCKET.strip()}",
            errors=SOCKET_ERRORS,
            websocket=True,
        )
        return [listed, live]


def views_of(
    feeds: Iterable[Feed[Any]], settings: Settings, telemetry: Telemetry, connect: Callable[[], Redis]
) -> Sequence[FeedViews]:
    """Views of the feeds that ask for them."""
    return [
        FeedViews(feed, feed.current, settings, telemetry, connect)
        for feed in feeds
        if feed.path is not None and isinstance(feed.current, Current)
    ]
