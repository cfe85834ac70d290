"""What the API offers: each operation declared once, with the shapes that validate it and describe it.

A view says what it answers in its docstring and what it takes in its parameters; its module has ``operations()`` that
lists where it is mounted. `web.application` mounts them, and `web.documents.openapi` describes them from the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from functools import cached_property
from inspect import cleandoc
from typing import Any, get_type_hints

import msgspec
from aiohttp import web
from msgspec import Struct

from web.auth.access import Access, authorise
from web.costly.forwarding import forward
from web.guards.costs import READ_FOR_AN_ANSWERED_ROW, client_of
from web.serving import shapes
from web.serving.context import CONTEXT, WebContext
from web.serving.limits import LIMITER
from web.serving.pieces import TURN

#: Administration and health wait for nobody.
_NEVER_WAIT = frozenset({Access.OPEN, Access.ADMINISTER})

#: Called with the request and, by name, those of its parts that it takes: ``path``, ``query``, ``body``.
View = Callable[..., Awaitable[web.StreamResponse]]


class Tag(StrEnum):
    """Chapters of the documentation."""

    CURRENT = "Current state"
    HISTORY = "History"
    ALERTS = "Alerts"
    ANALYTICS = "Analytics"
    ROADS = "Roads"
    INCIDENTS = "Incidents"
    LIVE = "Live"
    ADMINISTRATION = "Administration"
    OPERATION = "Operation"


@dataclass(frozen=True, eq=False)
class Operation:
    """One method of one path.

    Attributes:
        call: method and path, as aiohttp writes it: ``POST /api/alerts/{id}/acknowledge``; a ``GET`` answers ``HEAD``
            too.
        view: answers; see `View`. The first line of its docstring is the summary, what follows the description. The
            types of its parameters ``path``, ``query`` and ``body`` are `msgspec.Struct`; what does not fit them is
            refused with 400 (path, query, no JSON) or 422 (a body of another shape) before the view is called.
        tag: chapter of the documentation.
        answer: type of the JSON answer, or of each message of a socket; None when there is none or it is no JSON.
        words: summary and description of a view that serves more than one operation, in the place of its docstring.
        access: who may.
        authorise: lets a request pass in another way than `access` says, where a setting asks for that.
        status: of the successful answer.
        content_type: of the successful answer.
        other_types: content types of the other forms in which the caller may ask for it.
        errors: further statuses that the view itself may answer with; those of access, limits and shapes are
            added by themselves.
        headers: headers of the successful answer worth telling, by name with a sentence.
        websocket: the answer is 101 and a socket, described in the AsyncAPI document.
        price: how many rows are read for a query, as far as that can be told before; of one that takes a span.
        streamed: the answer is sent piece by piece for as long as the client takes; it has a turn for that.
        is_long: whether the answer may be sent like that though it mostly is not.
        apart: whether a costly, long or streamed answer is made by the process for costly questions, which knows what
            Postgres and Redis know, and nothing that only a worker hears.
    """

    call: str
    view: View
    tag: Tag
    answer: Any = None
    _: KW_ONLY
    words: str | None = None
    access: Access = Access.READ
    authorise: Callable[[web.Request], Awaitable[None]] | None = None
    status: int = 200
    content_type: str = "application/json"
    other_types: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    websocket: bool = False
    price: Callable[[WebContext, Any], float] | None = None
    streamed: bool = False
    is_long: Callable[[WebContext, Any], bool] | None = None
    apart: bool = False

    @property
    def method(self) -> str:
        """``GET`` and so on."""
        return self.call.partition(" ")[0]

    @property
    def path(self) -> str:
        """As aiohttp writes it."""
        return self.call.partition(" ")[2]

    @property
    def summary(self) -> str:
        """A few words."""
        return self._told[0].removesuffix(".")

    @property
    def description(self) -> str:
        """Whatever else a user must know, Markdown."""
        return self._told[1]

    @property
    def path_shape(self) -> type[Struct] | None:
        """Of the variable parts of the path."""
        return self._takes.get("path")

    @property
    def query_shape(self) -> type[Struct] | None:
        """Of the query string."""
        return self._takes.get("query")

    @property
    def body_shape(self) -> type[Struct] | None:
        """Of the body."""
        return self._takes.get("body")

    @cached_property
    def _told(self) -> tuple[str, str]:
        first, _, more = cleandoc(self.words or self.view.__doc__ or "").partition("\n")
        return first, more.strip()

    @cached_property
    def _takes(self) -> dict[str, type[Struct]]:
        return get_type_hints(self.view)

    @cached_property
    def _usual_rows(self) -> int:
        """Rows of a list of which nobody said how many."""
        fields = () if self.query_shape is None else msgspec.structs.fields(self.query_shape)
        return next((field.default for field in fields if field.name == "limit" and isinstance(field.default, int)), 0)

    def _more_rows(self, query: Struct | None) -> int:
        """Rows of a list beyond what comes unless somebody asks for more: dashboards ask for that all the time."""
        rows = getattr(query, "limit", None)
        return rows - self._usual_rows if isinstance(rows, int) else 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Authorise, validate, answer."""
        if self.authorise is None:
            await authorise(request, self.access, self.websocket)
        else:
            await self.authorise(request)
        parts = await self._parts(request)
        if not self.streamed and (more_rows := self._more_rows(parts.get("query"))) > 0:
            request.config_dict[LIMITER].spend_on_rows(client_of(request), more_rows)
        if self.websocket or self.access in _NEVER_WAIT:
            return await self.view(request, **parts)
        context = request.config_dict[CONTEXT]
        costs, client = context.costs, client_of(request)
        goes_apart = self.apart and context.settings.limits.costly_apart
        if self.streamed:
            async with costs.streams.turn(client):
                return await (forward(request, self.call) if goes_apart else self.view(request, **parts))
        async with AsyncExitStack() as turn:
            request[TURN] = turn
            await turn.enter_async_context(costs.asking.turn(client))
            rows = self._rows(context, parts.get("query"))
            await turn.enter_async_context(costs.question(request, rows))
            if goes_apart and (costs.is_costly(rows) or self._may_be_long(context, parts.get("query"))):
                return await forward(request, self.call)
            return await self.view(request, **parts)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Validate and answer what somebody else has let pass and whose turn it is."""
        return await self.view(request, **await self._parts(request))

    async def _parts(self, request: web.Request) -> dict[str, Struct]:
        """What the view takes of a request, in shape."""
        parts: dict[str, Struct] = {}
        if self.path_shape is not None:
            parts["path"] = shapes.from_path(request, self.path_shape)
        if self.query_shape is not None:
            parts["query"] = shapes.from_query(request, self.query_shape)
        if self.body_shape is not None:
            parts["body"] = await shapes.from_body(request, self.body_shape)
        return parts

    def _may_be_long(self, context: WebContext, query: Struct | None) -> bool:
        """Whether the answer may be sent piece by piece."""
        with suppress(OverflowError):
            return self.is_long is not None and self.is_long(context, query)
        return False

    def _rows(self, context: WebContext, query: Struct | None) -> float:
        """What a question costs."""
        rows = 0.0
        with suppress(OverflowError):  # the view says which time lies beyond all calendars
            rows = 0.0 if self.price is None else self.price(context, query)
        return rows + max(0, self._more_rows(query)) * READ_FOR_AN_ANSWERED_ROW


def operation_of(request: web.Request) -> Operation | None:
    """The operation that a request is for; None when it is for something else, or for nothing."""
    found = getattr(request.match_info.handler, "__self__", None)
    return found if isinstance(found, Operation) else None


OPERATIONS: web.AppKey[tuple[Operation, ...]] = web.AppKey("operations", tuple)


def mount(web_app: web.Application, operations: Iterable[Operation]) -> None:
    """Put operations on an application."""
    listed = tuple(operations)
    web_app[OPERATIONS] = listed
    for operation in listed:
        if operation.method == "GET":
            web_app.router.add_get(operation.path, operation.handle, allow_head=not operation.websocket)
        else:
            web_app.router.add_route(operation.method, operation.path, operation.handle)
