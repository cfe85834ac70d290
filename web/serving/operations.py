"""What the API offers: each operation declared once, with the shapes that validate it and describe it.

A view says what it answers in its docstring and what it takes in its parameters; its module has ``operations()`` that
lists where it is mounted. `web.application` mounts them, and `web.documents.openapi` describes them from the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from inspect import cleandoc
from typing import Any, get_type_hints

from aiohttp import web
from msgspec import Struct

from web.auth.access import Access, authorise
from web.serving import shapes

#: Called with the request and, by name, those of its parts that it takes: ``path``, ``query``, ``body``.
View = Callable[..., Awaitable[web.StreamResponse]]


class Tag(StrEnum):
    """Chapters of the documentation."""

    CURRENT = "Current state"
    HISTORY = "History"
    ALERTS = "Alerts"
    ANALYTICS = "Analytics"
    ROADS = "Roads"
    LIVE = "Live"
    ADMINISTRATION = "Administration"
    OPERATION = "Operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        method: ``GET`` and so on; a ``GET`` answers ``HEAD`` too.
        path: as aiohttp writes it: ``/api/alerts/{id}/acknowledge``.
        view: answers; see `View`.
        summary: a few words.
        description: whatever else a user must know, Markdown.
        access: who may.
        authorise: lets a request pass in another way than `access` says, where a setting asks for that.
        path_shape, query_shape, body_shape: a `msgspec.Struct` for each part that is there; what does not fit is
            refused with 400 (path, query, no JSON) or 422 (a body of another shape) before the view is called.
        answer: type of the JSON answer, or of each message of a socket; None when there is none or it is no JSON.
        status: of the successful answer.
        content_type: of the successful answer.
        errors: further statuses that the view itself may answer with; those of access, limits and shapes are
            added by themselves.
        headers: headers of the successful answer worth telling, by name with a sentence.
        websocket: the answer is 101 and a socket, described in the AsyncAPI document.
    """

    method: str
    path: str
    view: View
    summary: str
    tag: Tag
    access: Access = Access.READ
    authorise: Callable[[web.Request], Awaitable[None]] | None = None
    description: str = ""
    path_shape: type[Struct] | None = None
    query_shape: type[Struct] | None = None
    body_shape: type[Struct] | None = None
    answer: Any = None
    status: int = 200
    content_type: str = "application/json"
    errors: tuple[int, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    websocket: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Authorise, validate, answer."""
        if self.authorise is None:
            await authorise(request, self.access, self.websocket)
        else:
            await self.authorise(request)
        parts: dict[str, Struct] = {}
        if self.path_shape is not None:
            parts["path"] = shapes.from_path(request, self.path_shape)
        if self.query_shape is not None:
            parts["query"] = shapes.from_query(request, self.query_shape)
        if self.body_shape is not None:
            parts["body"] = await shapes.from_body(request, self.body_shape)
        return await self.view(request, **parts)


def operation(
    call: str,
    view: View,
    tag: Tag,
    answer: Any = None,
    *,
    description: str | None = None,
    access: Access = Access.READ,
    authorise: Callable[[web.Request], Awaitable[None]] | None = None,
    status: int = 200,
    content_type: str = "application/json",
    errors: tuple[int, ...] = (),
    headers: tuple[tuple[str, str], ...] = (),
    websocket: bool = False,
) -> Operation:
    """The operation of a view; whatever is not said here is as in `Operation`.

    The first line of the view's docstring is the summary, what follows the description. The types of its parameters
    ``path``, ``query`` and ``body`` are the shapes of those parts. ``call`` is method and path, as in
    ``POST /api/alerts/{id}/acknowledge``; ``description`` is for views that share one, with a line of docstring each.
    """
    method, _, path = call.partition(" ")
    summary, _, more = cleandoc(view.__doc__ or "").partition("\n")
    takes = get_type_hints(view)
    return Operation(
        method=method,
        path=path,
        view=view,
        summary=summary.removesuffix("."),
        description=more.strip() if description is None else description,
        tag=tag,
        access=access,
        authorise=authorise,
        path_shape=takes.get("path"),
        query_shape=takes.get("query"),
        body_shape=takes.get("body"),
        answer=answer,
        status=status,
        content_type=content_type,
        errors=errors,
        headers=headers,
        websocket=websocket,
    )


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
